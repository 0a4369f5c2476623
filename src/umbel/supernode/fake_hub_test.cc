#include "umbel/supernode/fake_hub_test.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace umbel::supernode {

namespace {

constexpr absl::Duration kPatience = absl::Seconds(20);
constexpr uint64_t kUploadBytesMax = uint64_t{1} << 30;

std::string nonce_text() {
  std::string nonce(wire::kNonceBytes, 0);
  random_bytes(std::as_writable_bytes(std::span(nonce)));
  return nonce;
}

uint64_t number_at_end(const std::string& path) {
  return std::stoull(path.substr(path.rfind('/') + 1));
}

http::Response offset_response(uint64_t offset) {
  return {.body = fmt::format("{{\"offset\": {}}}", offset)};
}

}  // namespace

class FakeHub::Listener final : public http::SessionListener {
 public:
  Listener(FakeHub& hub, std::shared_ptr<http::Session> session)
      : hub_(hub), session_(std::move(session)) {}
  void received(std::span<const std::byte> message) override {
    const auto frame = wire::parse_node_frame(message);
    EXPECT_TRUE(frame.ok()) << frame.status();
    if (frame.ok()) hub_.received(session_, *frame);
  }
  void closed(const Status&) override {
    absl::MutexLock lock(&hub_.mutex_);
    if (hub_.session_ == session_) hub_.session_ = nullptr;
    session_ = nullptr;
  }

 private:
  FakeHub& hub_;
  std::shared_ptr<http::Session> session_;
};

// Keeps what came, also when the connection breaks.
class FakeHub::UploadCall final : public http::Call {
 public:
  UploadCall(FakeHub& hub, uint64_t instruction, uint64_t offset)
      : hub_(hub), instruction_(instruction) {
    absl::MutexLock lock(&hub_.mutex_);
    hub_.uploads_[instruction].resize(offset);
  }
  uint64_t body_max() const override { return kUploadBytesMax; }
  Status take(std::span<const std::byte> piece) override {
    absl::MutexLock lock(&hub_.mutex_);
    hub_.bytes_uploaded_ += piece.size();
    hub_.uploads_[instruction_].append(reinterpret_cast<const char*>(piece.data()), piece.size());
    return absl::OkStatus();
  }
  void finish(std::shared_ptr<http::Responder> responder) override {
    responder->respond(offset_response(hub_.uploaded(instruction_).size()));
  }

 private:
  FakeHub& hub_;
  const uint64_t instruction_;
};

FakeHub::FakeHub() {
  auto server = http::Server::start({.address = "127.0.0.1", .port = 0}, *this);
  EXPECT_TRUE(server.ok()) << server.status();
  server_ = *std::move(server);
}

FakeHub::~FakeHub() { server_->stop(); }

void FakeHub::serve_bundle(const std::string& sha256, std::string archive) {
  absl::MutexLock lock(&mutex_);
  bundles_[sha256] = std::move(archive);
}
void FakeHub::serve_blob(uint64_t id, std::string bytes) {
  absl::MutexLock lock(&mutex_);
  blobs_[id] = std::move(bytes);
}
void FakeHub::refuse(bool refuse) {
  absl::MutexLock lock(&mutex_);
  refuse_ = refuse;
}
void FakeHub::keep_only(std::vector<uint64_t> keep) {
  absl::MutexLock lock(&mutex_);
  keep_ = std::move(keep);
}

void FakeHub::send(const wire::HubFrame& frame) {
  absl::MutexLock lock(&mutex_);
  ASSERT_NE(session_, nullptr);
  session_->send(wire::format(frame));
}

void FakeHub::close_session() {
  absl::MutexLock lock(&mutex_);
  ASSERT_NE(session_, nullptr);
  std::exchange(session_, nullptr)->close("a test's will");
}

std::optional<wire::NodeFrame> FakeHub::next_that(bool (*wanted)(const wire::NodeFrame&)) {
  absl::MutexLock lock(&mutex_);
  const auto find = [&] { return std::find_if(frames_.begin(), frames_.end(), wanted); };
  const auto there = [&] { return find() != frames_.end(); };
  if (!mutex_.AwaitWithTimeout(absl::Condition(&there), kPatience)) return std::nullopt;
  const auto found = find();
  wire::NodeFrame frame = std::move(*found);
  frames_.erase(found);
  return frame;
}

bool FakeHub::wait_for_welcomes(int count) {
  absl::MutexLock lock(&mutex_);
  const auto there = [&] { return welcomes_ >= count; };
  return mutex_.AwaitWithTimeout(absl::Condition(&there), kPatience);
}

wire::Hello FakeHub::last_hello() const {
  absl::MutexLock lock(&mutex_);
  return hello_;
}
std::string FakeHub::uploaded(uint64_t instruction) const {
  absl::MutexLock lock(&mutex_);
  const auto found = uploads_.find(instruction);
  return found == uploads_.end() ? "" : found->second;
}
bool FakeHub::wait_for_upload(uint64_t instruction, size_t bytes) {
  absl::MutexLock lock(&mutex_);
  const auto there = [&] { return uploads_[instruction].size() >= bytes; };
  return mutex_.AwaitWithTimeout(absl::Condition(&there), kPatience);
}
uint64_t FakeHub::bytes_uploaded() const {
  absl::MutexLock lock(&mutex_);
  return bytes_uploaded_;
}
int FakeHub::bundle_requests() const {
  absl::MutexLock lock(&mutex_);
  return bundle_requests_;
}
int FakeHub::blob_requests() const {
  absl::MutexLock lock(&mutex_);
  return blob_requests_;
}

Result<std::shared_ptr<http::SessionListener>> FakeHub::open(
    const http::RequestHead& head, std::shared_ptr<http::Session> session) {
  if (head.path != "/v1/fleet") return not_found("{}", head.path);
  session->set_message_max(wire::kFrameBytesMax);
  return std::make_shared<Listener>(*this, std::move(session));
}

void FakeHub::received(const std::shared_ptr<http::Session>& session,
                       const wire::NodeFrame& frame) {
  if (const auto* hello = std::get_if<wire::Hello>(&frame)) {
    absl::MutexLock lock(&mutex_);
    hello_ = *hello;
    nonce_ = nonce_text();
    session->send(wire::format(wire::HubFrame(wire::Challenge{.nonce = nonce_})));
  } else if (const auto* proof = std::get_if<wire::Proof>(&frame)) {
    welcome(session, *proof);
  } else {
    absl::MutexLock lock(&mutex_);
    frames_.push_back(frame);
  }
}

void FakeHub::welcome(const std::shared_ptr<http::Session>& session, const wire::Proof& proof) {
  absl::MutexLock lock(&mutex_);
  const std::string text = wire::proof_text(nonce_, hello_.nonce, session->certificate_sha256());
  if (!hello_.key.verifies(std::as_bytes(std::span(text)), proof.signature) || refuse_) {
    session->send(wire::format(wire::HubFrame(wire::Refusal{"unknown-key", "not registered"})));
    session->close("refused");
    return;
  }
  session_ = session;
  token_ = random_hex(16);
  wire::Welcome welcome{.token = token_, .name = "ward-7", .keep = hello_.holding};
  if (keep_) welcome.keep = *keep_;
  session->send(wire::format(wire::HubFrame(std::move(welcome))));
  ++welcomes_;
}

http::Response FakeHub::ranged(const std::string& bytes, const http::RequestHead& head) const {
  const uint64_t first = head.range ? head.range->first : 0;
  if (first >= bytes.size()) return http::error_response(absl::OutOfRangeError("beyond the end"));
  // Bodies of parts are files: memory will do for one.
  auto blob = SharedBlob::create(bytes.size());
  if (!blob.ok() || !blob->write(0, std::as_bytes(std::span(bytes))).ok()) {
    return http::error_response(absl::InternalError("no memory"));
  }
  http::Response response{.code = head.range ? 206 : 200, .type = "application/octet-stream"};
  const auto file = std::make_shared<const Descriptor>(dup(blob->descriptor()));
  response.part = {
      .file = file, .first = first, .count = bytes.size() - first, .total = bytes.size()};
  return response;
}

std::unique_ptr<http::Call> FakeHub::begin(const http::RequestHead& head) {
  absl::ReleasableMutexLock lock(&mutex_);
  if (head.bearer != token_) {
    return http::answered(http::error_response(absl::UnauthenticatedError("another token")));
  }
  if (head.path.starts_with("/v1/fleet/bundles/")) {
    ++bundle_requests_;
    const auto found = bundles_.find(head.path.substr(head.path.rfind('/') + 1));
    if (found != bundles_.end()) return http::answered(ranged(found->second, head));
  } else if (head.path.starts_with("/v1/fleet/blobs/")) {
    ++blob_requests_;
    const auto found = blobs_.find(number_at_end(head.path));
    if (found != blobs_.end()) return http::answered(ranged(found->second, head));
  } else if (head.path.starts_with("/v1/fleet/replies/")) {
    const uint64_t instruction = number_at_end(head.path);
    if (head.method == "GET") {
      return http::answered(offset_response(uploads_[instruction].size()));
    }
    const uint64_t offset = std::stoull(head.query_value("offset"));
    lock.Release();
    return std::make_unique<UploadCall>(*this, instruction, offset);
  }
  return http::answered(http::error_response(not_found("{}", head.path)));
}

}  // namespace umbel::supernode
