#include "umbel/wire/fleet.h"

#include <umbel.pb.h>

#include "umbel/base/check.h"
#include "umbel/wire/convert.h"
#include "umbel/wire/utf8.h"

namespace umbel::wire {

namespace {

constexpr size_t kListMax = 64;         // versions, features
constexpr size_t kHoldingMax = 10'000;  // instructions
std::string as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Status require_list(std::string_view field, int size, size_t most) {
  if (static_cast<size_t>(size) <= most) return absl::OkStatus();
  return invalid_argument("{}: {} entries, the limit is {}", field, size, most);
}

Status require_nonce(const std::string& nonce) {
  if (nonce.size() == kNonceBytes) return absl::OkStatus();
  return invalid_argument("nonce: {} bytes, expected {}", nonce.size(), kNonceBytes);
}

template <class List>
Result<std::vector<std::string>> parse_features(const List& in) {
  UMBEL_RETURN_IF_ERROR(require_list("features", in.size(), kListMax));
  for (const std::string& feature : in) {
    UMBEL_RETURN_IF_ERROR(require_short("features", feature, kShortTextMax));
  }
  return std::vector<std::string>(in.begin(), in.end());
}

template <class List>
Result<std::vector<uint64_t>> parse_instructions(std::string_view field, const List& in) {
  UMBEL_RETURN_IF_ERROR(require_list(field, in.size(), kHoldingMax));
  return std::vector<uint64_t>(in.begin(), in.end());
}

// Node to hub.
void fill(const Hello& hello, v1::NodeFrame& out) {
  v1::Hello& in = *out.mutable_hello();
  in.mutable_versions()->Add(hello.versions.begin(), hello.versions.end());
  for (const std::string& feature : hello.features) in.add_features(feature);
  in.set_public_key(as_text(hello.key.bytes()));
  in.set_nonce(hello.nonce);
  in.mutable_holding()->Add(hello.holding.begin(), hello.holding.end());
  in.set_software(as_utf8(hello.software, kShortTextMax));
  in.set_platform(as_utf8(hello.platform, kShortTextMax));
}
void fill(const Proof& proof, v1::NodeFrame& out) {
  out.mutable_proof()->set_signature(as_text(proof.signature));
}
void fill(const Accept& accept, v1::NodeFrame& out) {
  out.mutable_accept()->set_instruction(accept.instruction);
}
void fill(const NodeResult& result, v1::NodeFrame& out) {
  out.mutable_result()->set_instruction(result.instruction);
  put(result.reply, *out.mutable_result()->mutable_reply());
}
void fill(const NodeLog& log, v1::NodeFrame& out) {
  out.mutable_log()->set_run(log.run.value());
  out.mutable_log()->set_level(as_utf8(log.level, kShortTextMax));
  out.mutable_log()->set_message(as_utf8(log.message, kLineBytesMax));
}
void fill(const Draining&, v1::NodeFrame& out) { out.mutable_draining(); }

Result<NodeFrame> parse(const v1::Hello& in) {
  Hello hello;
  UMBEL_RETURN_IF_ERROR(require_list("versions", in.versions_size(), kListMax));
  hello.versions.assign(in.versions().begin(), in.versions().end());
  UMBEL_ASSIGN_OR_RETURN(hello.features, parse_features(in.features()));
  Result<PublicKey> key = PublicKey::from_bytes(as_bytes(in.public_key()));
  if (!key.ok()) return annotate(key.status(), "public_key");
  hello.key = *key;
  UMBEL_RETURN_IF_ERROR(require_nonce(in.nonce()));
  hello.nonce = in.nonce();
  UMBEL_ASSIGN_OR_RETURN(hello.holding, parse_instructions("holding", in.holding()));
  UMBEL_RETURN_IF_ERROR(require_short("software", in.software(), kShortTextMax));
  UMBEL_RETURN_IF_ERROR(require_short("platform", in.platform(), kShortTextMax));
  hello.software = in.software();
  hello.platform = in.platform();
  return NodeFrame(std::move(hello));
}
Result<NodeFrame> parse(const v1::Proof& in) {
  const auto bytes = as_bytes(in.signature());
  if (bytes.size() != sizeof(Signature)) {
    return invalid_argument("signature: {} bytes, expected {}", bytes.size(), sizeof(Signature));
  }
  return NodeFrame(Proof{{bytes.begin(), bytes.end()}});
}
Result<NodeFrame> parse(const v1::NodeResult& in) {
  NodeResult result{.instruction = in.instruction()};
  UMBEL_ASSIGN_OR_RETURN(result.reply, parse_envelope(in.reply(), Blobs::kChunked));
  return NodeFrame(std::move(result));
}
Result<NodeFrame> parse(const v1::NodeLog& in) {
  UMBEL_RETURN_IF_ERROR(require_short("level", in.level(), kShortTextMax));
  UMBEL_RETURN_IF_ERROR(require_short("message", in.message(), kLineBytesMax));
  return NodeFrame(NodeLog{RunId(in.run()), in.level(), in.message()});
}

// Hub to node.
void fill(const Challenge& challenge, v1::HubFrame& out) {
  v1::Challenge& in = *out.mutable_challenge();
  in.set_version(challenge.version);
  for (const std::string& feature : challenge.features) in.add_features(feature);
  in.set_nonce(challenge.nonce);
}
void fill(const Welcome& welcome, v1::HubFrame& out) {
  v1::Welcome& in = *out.mutable_welcome();
  in.set_token(welcome.token);
  in.set_name(welcome.name);
  in.set_inline_bytes_max(welcome.inline_bytes_max);
  in.set_heartbeat_seconds(welcome.heartbeat_seconds);
  in.mutable_keep()->Add(welcome.keep.begin(), welcome.keep.end());
}
void fill(const Refusal& refusal, v1::HubFrame& out) {
  out.mutable_refusal()->set_code(as_utf8(refusal.code, kShortTextMax));
  out.mutable_refusal()->set_reason(as_utf8(refusal.reason, kReasonBytesMax));
}
void fill(const Assign& assign, v1::HubFrame& out) {
  v1::Assign& in = *out.mutable_assign();
  in.set_instruction(assign.instruction);
  put(assign.run, *in.mutable_run());
  put(assign.message, *in.mutable_message());
  in.set_client(assign.client);
}
void fill(const WrapUp& wrap_up, v1::HubFrame& out) {
  out.mutable_wrap_up()->set_instruction(wrap_up.instruction);
  out.mutable_wrap_up()->set_seconds(wrap_up.seconds);
}
void fill(const Cancel& cancel, v1::HubFrame& out) {
  out.mutable_cancel()->set_instruction(cancel.instruction);
}
void fill(const Upload& upload, v1::HubFrame& out) {
  out.mutable_upload()->set_instruction(upload.instruction);
  out.mutable_upload()->set_offset(upload.offset);
}
void fill(const Done& done, v1::HubFrame& out) {
  out.mutable_done()->set_instruction(done.instruction);
  out.mutable_done()->set_counted(done.counted);
  out.mutable_done()->set_reason(as_utf8(done.reason, kReasonBytesMax));
}
void fill(const RunEnded& ended, v1::HubFrame& out) {
  out.mutable_run_ended()->set_run(ended.run.value());
}

Result<HubFrame> parse(const v1::Challenge& in) {
  Challenge challenge{.version = in.version()};
  UMBEL_ASSIGN_OR_RETURN(challenge.features, parse_features(in.features()));
  UMBEL_RETURN_IF_ERROR(require_nonce(in.nonce()));
  challenge.nonce = in.nonce();
  return HubFrame(std::move(challenge));
}
Result<HubFrame> parse(const v1::Welcome& in) {
  UMBEL_RETURN_IF_ERROR(require_short("token", in.token(), kShortTextMax));
  UMBEL_RETURN_IF_ERROR(require_short("name", in.name(), kShortTextMax));
  Welcome welcome{.token = in.token(),
                  .name = in.name(),
                  .inline_bytes_max = in.inline_bytes_max(),
                  .heartbeat_seconds = in.heartbeat_seconds()};
  UMBEL_ASSIGN_OR_RETURN(welcome.keep, parse_instructions("keep", in.keep()));
  return HubFrame(std::move(welcome));
}
Result<HubFrame> parse(const v1::Refusal& in) {
  UMBEL_RETURN_IF_ERROR(require_short("code", in.code(), kShortTextMax));
  UMBEL_RETURN_IF_ERROR(require_short("reason", in.reason(), kReasonBytesMax));
  return HubFrame(Refusal{in.code(), in.reason()});
}
Result<HubFrame> parse(const v1::Assign& in) {
  Assign assign{.instruction = in.instruction(), .client = in.client()};
  Result<RunInfo> run = parse_run(in.run());
  if (!run.ok()) return annotate(run.status(), "run");
  Result<Envelope> message = parse_envelope(in.message(), Blobs::kChunked);
  if (!message.ok()) return annotate(message.status(), "message");
  assign.run = *std::move(run);
  assign.message = *std::move(message);
  return HubFrame(std::move(assign));
}
Result<HubFrame> parse(const v1::WrapUp& in) {
  UMBEL_RETURN_IF_ERROR(require_seconds("seconds", in.seconds()));
  return HubFrame(WrapUp{in.instruction(), in.seconds()});
}
Result<HubFrame> parse(const v1::Done& in) {
  UMBEL_RETURN_IF_ERROR(require_short("reason", in.reason(), kReasonBytesMax));
  return HubFrame(Done{in.instruction(), in.counted(), in.reason()});
}

}  // namespace

std::string format(const NodeFrame& frame) {
  v1::NodeFrame out;
  std::visit([&out](const auto& f) { fill(f, out); }, frame);
  return out.SerializeAsString();
}

std::string format(const HubFrame& frame) {
  v1::HubFrame out;
  std::visit([&out](const auto& f) { fill(f, out); }, frame);
  return out.SerializeAsString();
}

Result<NodeFrame> parse_node_frame(std::span<const std::byte> bytes) {
  v1::NodeFrame in;
  UMBEL_RETURN_IF_ERROR(parse_frame(bytes, kFrameBytesMax, kNodeFrameForm, in));
  switch (in.frame_case()) {
    case v1::NodeFrame::kHello:
      return named("hello", parse(in.hello()));
    case v1::NodeFrame::kProof:
      return named("proof", parse(in.proof()));
    case v1::NodeFrame::kAccept:
      return NodeFrame(Accept{in.accept().instruction()});
    case v1::NodeFrame::kResult:
      return named("result", parse(in.result()));
    case v1::NodeFrame::kLog:
      return named("log", parse(in.log()));
    case v1::NodeFrame::kDraining:
      return NodeFrame(Draining());
    case v1::NodeFrame::FRAME_NOT_SET:
      break;
  }
  return unknown_frame();
}

Result<HubFrame> parse_hub_frame(std::span<const std::byte> bytes) {
  v1::HubFrame in;
  UMBEL_RETURN_IF_ERROR(parse_frame(bytes, kFrameBytesMax, kHubFrameForm, in));
  switch (in.frame_case()) {
    case v1::HubFrame::kChallenge:
      return named("challenge", parse(in.challenge()));
    case v1::HubFrame::kWelcome:
      return named("welcome", parse(in.welcome()));
    case v1::HubFrame::kRefusal:
      return named("refusal", parse(in.refusal()));
    case v1::HubFrame::kAssign:
      return named("assign", parse(in.assign()));
    case v1::HubFrame::kWrapUp:
      return named("wrap_up", parse(in.wrap_up()));
    case v1::HubFrame::kCancel:
      return HubFrame(Cancel{in.cancel().instruction()});
    case v1::HubFrame::kUpload:
      return HubFrame(Upload{in.upload().instruction(), in.upload().offset()});
    case v1::HubFrame::kDone:
      return named("done", parse(in.done()));
    case v1::HubFrame::kRunEnded:
      return HubFrame(RunEnded{RunId(in.run_ended().run())});
    case v1::HubFrame::FRAME_NOT_SET:
      break;
  }
  return unknown_frame();
}

std::string proof_text(std::string_view hub_nonce, std::string_view node_nonce,
                       std::string_view certificate_sha256) {
  UMBEL_CHECK(hub_nonce.size() == kNonceBytes && node_nonce.size() == kNonceBytes &&
              certificate_sha256.size() == 32);
  return fmt::format("{}{}{}{}", kProofWords, hub_nonce, node_nonce, certificate_sha256);
}

}  // namespace umbel::wire
