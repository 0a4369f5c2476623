#include "umbel/superlink/collection.h"

#include <algorithm>

#include "umbel/base/check.h"
#include "umbel/superlink/log.h"

namespace umbel::superlink {

enum class Stage : uint8_t {
  kAsked,      // the node has it, or will have it once it is connected
  kDeciding,   // its reply's head is here: being weighed, or waiting for memory
  kUploading,  // its blob is wanted
  kKept,       // it counts, and was folded without being kept: it may be asked for again
  kOver,
};

// A node that lost its reply so often, after the hub had its head, has failed.
constexpr int kLossesMax = 2;

// One ask on its way.  Everything but the first two changes only while the collection's gate is
// held: alone, or shared and with `mutex`.  `stage` is also read under the collection's own mutex,
// and so changes under it as well.
struct Pending {
  Ask ask;
  wire::Envelope message;  // to send, in a collection without a fold

  absl::Mutex mutex;
  Stage stage = Stage::kAsked;
  bool lost = false;  // the node does not have its reply any more
  int losses = 0;
  uint64_t attempt = 0;            // goes up with every reply's head
  uint64_t weights_to_ignore = 0;  // that were asked for heads of earlier attempts
  bool weighing = false;
  std::shared_ptr<const wire::Envelope> reply;
  uint64_t blob_bytes = 0;  // of the reply, known to the end
  std::optional<double> weight;
  uint64_t turn = 0;  // goes up with every upload, and when the bytes so far were forgotten
  uint64_t offset = 0;
  uint32_t crc = 0;  // of the chunk that is under way
  std::shared_ptr<aggregate::StreamFold::Streamed> streamed;
  SharedBlob kept;
  uint64_t budgeted = 0;
};

namespace {

// RecordDict::byte_size() of the content, arrays and all.
size_t content_bytes(const wire::ContentHead& head) {
  size_t bytes = 0;
  RecordDict rest;
  for (const auto& [name, part] : head.records) {
    if (const Layout* layout = std::get_if<Layout>(&part)) {
      bytes += name.size();
      for (const ArraySpec& spec : *layout) {
        bytes += spec.name.size() + 8 * spec.shape.size() + spec.byte_size();
      }
    } else if (const MetricRecord* metrics = std::get_if<MetricRecord>(&part)) {
      rest.append(name, *metrics);
    } else {
      rest.append(name, std::get<ConfigRecord>(part));
    }
  }
  return bytes + rest.byte_size();
}

Result<Message> mapped_message(const wire::Envelope& reply, const SharedBlob& blob) {
  UMBEL_ASSIGN_OR_RETURN(const Buffer bytes, blob.map());
  return wire::to_message(reply, bytes);
}

}  // namespace

Collection::Collection(Options options, NodeLines& lines, MemoryBudget& memory, Hooks hooks)
    : options_(std::move(options)), lines_(lines), memory_(memory), hooks_(std::move(hooks)) {
  if (options_.folds) fold_.emplace(options_.layout, options_.fold);
  absl::MutexLock lock(&mutex_);
  decision_.run = options_.run.id;
  decision_.round = options_.round;
  decision_.type = options_.type;
}

Collection::~Collection() {
  absl::MutexLock lock(&mutex_);
  for (const auto& [instruction, pending] : pending_) release(*pending);
}

void Collection::release(Pending& pending) {
  pending.kept = SharedBlob();
  if (pending.budgeted) memory_.give_back(std::exchange(pending.budgeted, 0));
}

wire::Assign Collection::assign_of(const Pending& pending) const {
  wire::Assign assign;
  assign.instruction = pending.ask.instruction;
  assign.run = options_.run;
  assign.message = options_.folds ? options_.message : pending.message;
  Metadata& metadata = assign.message.metadata;
  metadata.run = options_.run.id;
  metadata.id = pending.ask.message;
  metadata.source = kServerNode;
  metadata.destination = NodeId(pending.ask.client);
  if (options_.folds) {
    metadata.type = options_.type;
    metadata.round = options_.round;
  }
  assign.client = pending.ask.client;
  return assign;
}

void Collection::start(std::vector<Ask> asks) {
  std::vector<std::shared_ptr<Pending>> added;
  {
    absl::MutexLock lock(&mutex_);
    for (const Ask& ask : asks) {
      auto pending = std::make_shared<Pending>();
      pending->ask = ask;
      decision_.asked.push_back(ask.client);
      pending_[ask.instruction] = pending;
      added.push_back(std::move(pending));
    }
    open_ = added.size();
  }
  for (const auto& pending : added) lines_.send(pending->ask.node, assign_of(*pending));
}

void Collection::add(const Ask& ask, wire::Envelope message) {
  auto pending = std::make_shared<Pending>();
  pending->ask = ask;
  pending->message = std::move(message);
  {
    absl::MutexLock lock(&mutex_);
    if (ended_) return;
    pending_[ask.instruction] = pending;
    ++open_;
  }
  lines_.send(ask.node, assign_of(*pending));
}

void Collection::forget(std::span<const uint64_t> messages) {
  std::vector<std::shared_ptr<Pending>> dropped;
  {
    absl::MutexLock lock(&mutex_);
    for (auto it = pending_.begin(); it != pending_.end();) {
      const bool meant =
          std::ranges::find(messages, it->second->ask.message.value()) != messages.end();
      if (!meant) {
        ++it;
        continue;
      }
      dropped.push_back(it->second);
      it = pending_.erase(it);
    }
  }
  for (const auto& pending : dropped) {
    {
      absl::ReaderMutexLock gate(&gate_);
      absl::MutexLock upload(&pending->mutex);
      absl::MutexLock lock(&mutex_);
      if (pending->stage == Stage::kOver) continue;
      pending->stage = Stage::kOver;
      --open_;
      start_over(*pending);
    }
    lines_.forget(pending->ask.instruction);
    lines_.send(pending->ask.node, wire::Cancel{pending->ask.instruction});
  }
}

// Forgets what came of a reply; the next one is another attempt.
void Collection::start_over(Pending& pending) {
  ++pending.turn;
  ++pending.attempt;
  if (std::exchange(pending.weighing, false)) ++pending.weights_to_ignore;
  pending.reply.reset();
  pending.weight.reset();
  pending.streamed.reset();
  pending.offset = 0;
  pending.crc = 0;
  release(pending);
}

std::shared_ptr<Pending> Collection::find(uint64_t node, uint64_t instruction) const {
  absl::MutexLock lock(&mutex_);
  const auto found = pending_.find(instruction);
  if (found == pending_.end() || found->second->ask.node != node) return nullptr;
  return found->second;
}

void Collection::node_joined(uint64_t node, const std::set<uint64_t>& holding) {
  std::vector<std::shared_ptr<Pending>> all, again;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [instruction, pending] : pending_) {
      if (pending->ask.node == node) all.push_back(pending);
    }
  }
  Guard guard(*this);
  for (const auto& pending : all) {
    absl::ReaderMutexLock gate(&gate_);
    absl::MutexLock upload(&pending->mutex);
    if (is_ended() || pending->stage == Stage::kOver) continue;
    pending->lost = !holding.contains(pending->ask.instruction);
    if (!pending->lost || pending->stage == Stage::kKept) continue;
    if (pending->stage != Stage::kAsked && ++pending->losses > kLossesMax) {
      guard.torn |= fail_locked(
          pending, {MessageError::Code::kBadReply, "the node lost its reply time and again"});
      continue;
    }
    // What it sends next may have other bytes than the part that was folded.
    if (pending->streamed) guard.torn |= fold_->abandon(*pending->streamed);
    start_over(*pending);
    set_stage(*pending, Stage::kAsked);
    pending->lost = false;
    again.push_back(pending);
  }
  for (const auto& pending : again) lines_.send(node, assign_of(*pending));
}

void Collection::node_gone(uint64_t node, const std::string& reason) {
  std::vector<std::shared_ptr<Pending>> owed;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [instruction, pending] : pending_) {
      if (pending->ask.node == node) owed.push_back(pending);
    }
  }
  fail_all(owed, {MessageError::Code::kDeadline, reason});
}

void Collection::result(uint64_t node, wire::NodeResult result) {
  const std::shared_ptr<Pending> pending = find(node, result.instruction);
  if (!pending) return;
  std::optional<wire::Upload> go_on;
  std::shared_ptr<const wire::Envelope> reply;
  uint64_t attempt = 0;
  bool weighs = false;
  std::optional<MessageError> wrong;
  {
    absl::ReaderMutexLock gate(&gate_);
    absl::MutexLock upload(&pending->mutex);
    if (is_ended()) return;
    if (pending->stage == Stage::kUploading) {
      // The node is back after a cut and offers the same reply: it goes on where we are.
      const bool same =
          !result.reply.error && result.reply.blob.crc32 == pending->reply->blob.crc32;
      if (!same) return;
      go_on = wire::Upload{result.instruction, pending->offset};
    } else if (pending->stage == Stage::kAsked) {
      wrong = wrong_with(*pending, result.reply);
      weighs = !wrong && options_.weighs;
      set_stage(*pending, Stage::kDeciding);
      attempt = ++pending->attempt;
      pending->weighing = weighs;
      pending->blob_bytes = result.reply.blob.size;
      pending->reply = reply = std::make_shared<const wire::Envelope>(std::move(result.reply));
    } else {
      return;
    }
  }
  if (go_on) {
    lines_.send(node, *go_on);
  } else if (wrong) {
    fail(pending, attempt, *wrong);
  } else if (weighs) {
    const MetricRecord* metrics = reply->head.first_metrics();
    hooks_.weigh(result.instruction, metrics ? *metrics : MetricRecord());
  } else {
    admit(pending, reply, attempt, std::nullopt);
  }
}

// What can be seen from a reply's head alone.
std::optional<MessageError> Collection::wrong_with(const Pending& pending,
                                                   const wire::Envelope& reply) const {
  const Metadata& metadata = reply.metadata;
  const auto bad = [](std::string reason) {
    return MessageError{MessageError::Code::kBadReply, std::move(reason)};
  };
  if (metadata.reply_to != pending.ask.message || metadata.source != NodeId(pending.ask.client) ||
      metadata.run != options_.run.id) {
    return bad("it replies to another message");
  }
  if (reply.error) return reply.error;
  if (reply.blob.here.size() > wire::kInlineBytesMax) {
    return bad(fmt::format("a blob of {} bytes in its message; {} fit, larger ones are uploaded",
                           reply.blob.here.size(), wire::kInlineBytesMax));
  }
  if (reply.blob.is_here()) return std::nullopt;
  const uint64_t chunks = (reply.blob.size + wire::kChunkBytes - 1) / wire::kChunkBytes;
  if (reply.blob.size != reply.head.blob_size() || reply.blob.crc32.size() != chunks) {
    return bad(fmt::format("its blob has {} bytes and {} checksums, its arrays need {} and {}",
                           reply.blob.size, reply.blob.crc32.size(), reply.head.blob_size(),
                           chunks));
  }
  if (!options_.layout) return std::nullopt;
  const Layout* layout = reply.head.first_layout();
  if (!layout) return bad("it has no arrays");
  const Status fits = require_layout(*layout, *options_.layout);
  return fits.ok() ? std::nullopt : std::optional(bad(umbel::message_of(fits)));
}

void Collection::weighed(uint64_t instruction, Result<double> weight) {
  std::shared_ptr<Pending> pending;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = pending_.find(instruction);
    if (found == pending_.end()) return;
    pending = found->second;
  }
  std::shared_ptr<const wire::Envelope> reply;
  uint64_t attempt = 0;
  {
    absl::ReaderMutexLock gate(&gate_);
    absl::MutexLock upload(&pending->mutex);
    if (pending->weights_to_ignore > 0) {
      --pending->weights_to_ignore;
      return;
    }
    if (!std::exchange(pending->weighing, false)) return;
    reply = pending->reply;
    attempt = pending->attempt;
  }
  if (!weight.ok()) {
    return fail(pending, attempt,
                {MessageError::Code::kBadReply, umbel::message_of(weight.status())});
  }
  admit(pending, reply, attempt, *weight);
}

// Takes a reply in whose head nothing is wrong.
void Collection::admit(const std::shared_ptr<Pending>& pending,
                       const std::shared_ptr<const wire::Envelope>& reply, uint64_t attempt,
                       std::optional<double> weight) {
  const bool here = reply->blob.is_here();
  if (!here && (!fold_ || options_.layout)) return admit_large(pending, *reply, attempt, weight);
  wire::Envelope head = *reply;
  if (!here) {
    // Only metrics are asked for: the arrays stay where they are.
    std::erase_if(head.head.records,
                  [](const auto& record) { return std::holds_alternative<Layout>(record.second); });
    head.blob = {};
  }
  Result<Message> message = wire::to_message(head, head.blob.here);
  if (!message.ok()) {
    return fail(pending, attempt,
                {MessageError::Code::kBadReply, umbel::message_of(message.status())});
  }
  absl::ReaderMutexLock gate(&gate_);
  absl::MutexLock upload(&pending->mutex);
  if (!is_current(*pending, attempt, Stage::kDeciding)) return;
  if (!fold_) {
    hooks_.arrived(*reply, SharedBlob());
    return settle(pending, true, false, "");
  }
  const bool counted = fold_->add(*message, weight);
  settle(pending, counted, false, counted ? "" : "the reply does not fit the round");
}

void Collection::admit_large(const std::shared_ptr<Pending>& pending, const wire::Envelope& reply,
                             uint64_t attempt, std::optional<double> weight) {
  const uint64_t bytes = reply.blob.size;
  if (!fold_ && bytes > memory_.most()) {
    return fail(pending, attempt,
                {MessageError::Code::kBadReply,
                 fmt::format("a single reply of {} bytes; this hub keeps {} at most "
                             "(umbel-superlink --memory-max)",
                             bytes, memory_.most())});
  }
  if (!fold_) {
    return memory_.take_when_free(bytes, [self = shared_from_this(), pending, attempt, bytes] {
      self->begin_kept(pending, attempt, std::nullopt, bytes);
    });
  }
  if (memory_.try_take(bytes)) return begin_kept(pending, attempt, weight, bytes);
  Status begun;
  {
    absl::ReaderMutexLock gate(&gate_);
    absl::MutexLock upload(&pending->mutex);
    if (!is_current(*pending, attempt, Stage::kDeciding)) return;
    pending->weight = weight;
    begun = begin_streamed(*pending);
    if (begun.ok()) set_stage(*pending, Stage::kUploading);
  }
  if (!begun.ok()) {
    return fail(pending, attempt, {MessageError::Code::kBadReply, umbel::message_of(begun)});
  }
  lines_.send(pending->ask.node, wire::Upload{pending->ask.instruction, 0});
}

Status Collection::begin_streamed(Pending& pending) {
  const wire::ContentHead& head = pending.reply->head;
  static const MetricRecord none;
  const MetricRecord* metrics = head.first_metrics();
  UMBEL_ASSIGN_OR_RETURN(
      pending.streamed,
      fold_->begin(NodeId(pending.ask.client), *head.first_layout(), metrics ? *metrics : none,
                   content_bytes(head), pending.weight));
  pending.offset = 0;
  pending.crc = 0;
  ++pending.turn;
  return absl::OkStatus();
}

// Makes room for a reply that is kept until it is whole; `bytes` were taken from the budget for it.
void Collection::begin_kept(const std::shared_ptr<Pending>& pending, uint64_t attempt,
                            std::optional<double> weight, uint64_t bytes) {
  Result<SharedBlob> blob = SharedBlob::create(bytes);
  bool current = false;
  {
    absl::ReaderMutexLock gate(&gate_);
    absl::MutexLock upload(&pending->mutex);
    // Meanwhile it may have been given up, or lost and asked for again.
    current = is_current(*pending, attempt, Stage::kDeciding);
    if (current && blob.ok()) {
      pending->weight = weight;
      pending->kept = *std::move(blob);
      pending->budgeted = bytes;
      set_stage(*pending, Stage::kUploading);
    }
  }
  if (current && blob.ok()) {
    lines_.send(pending->ask.node, wire::Upload{pending->ask.instruction, 0});
    return;
  }
  memory_.give_back(bytes);
  if (current) {
    fail(pending, attempt, {MessageError::Code::kUnknown, umbel::message_of(blob.status())});
  }
}

Result<std::unique_ptr<Collection::Upload>> Collection::begin_upload(uint64_t node,
                                                                     uint64_t instruction,
                                                                     uint64_t offset) {
  const std::shared_ptr<Pending> pending = find(node, instruction);
  if (!pending) return not_found("instruction {}: not one of this node's", instruction);
  absl::ReaderMutexLock gate(&gate_);
  absl::MutexLock upload_lock(&pending->mutex);
  if (is_ended() || pending->stage != Stage::kUploading) {
    return failed_precondition("instruction {}: its reply is not wanted now", instruction);
  }
  if (offset != pending->offset) {
    return failed_precondition("instruction {}: go on at offset {}, not {}", instruction,
                               pending->offset, offset);
  }
  auto upload = std::make_unique<Upload>();
  upload->collection = shared_from_this();
  upload->pending = pending;
  upload->turn = ++pending->turn;
  return upload;
}

Result<uint64_t> Collection::offset(uint64_t node, uint64_t instruction) {
  const std::shared_ptr<Pending> pending = find(node, instruction);
  if (!pending) return not_found("instruction {}: not one of this node's", instruction);
  absl::ReaderMutexLock gate(&gate_);
  absl::MutexLock upload_lock(&pending->mutex);
  return pending->stage >= Stage::kKept ? pending->blob_bytes : pending->offset;
}

Status Collection::Upload::take(std::span<const std::byte> piece) {
  Guard guard(*collection);
  absl::ReaderMutexLock gate(&collection->gate_);
  absl::MutexLock lock(&pending->mutex);
  if (pending->turn != turn || collection->is_ended()) {
    return failed_precondition(
        "another upload of this reply has begun, or it is not wanted any more");
  }
  const Status status = collection->add_bytes(*pending, piece);
  if (!status.ok()) {
    guard.torn = collection->fail_locked(
        pending, {MessageError::Code::kBadReply, umbel::message_of(status)});
    return status;
  }
  if (pending->offset == pending->reply->blob.size) collection->whole(pending);
  return absl::OkStatus();
}

// Checks bytes against their chunk's checksum, and folds or keeps them.
Status Collection::add_bytes(Pending& pending, std::span<const std::byte> piece) {
  const wire::BlobRef& blob = pending.reply->blob;
  if (piece.size() > blob.size - pending.offset) {
    return invalid_argument("the reply is longer than the {} bytes it announced", blob.size);
  }
  while (!piece.empty()) {
    const uint64_t chunk = pending.offset / wire::kChunkBytes;
    const uint64_t left =
        std::min<uint64_t>((chunk + 1) * wire::kChunkBytes, blob.size) - pending.offset;
    const auto part = piece.first(std::min<uint64_t>(left, piece.size()));
    piece = piece.subspan(part.size());
    pending.crc = wire::crc32(part, pending.crc);
    if (part.size() == left) {
      if (pending.crc != blob.crc32[chunk]) {
        return data_loss("chunk {} came with another checksum than it was announced with", chunk);
      }
      pending.crc = 0;
    }
    if (pending.streamed) {
      // Other records' arrays travel in the same blob; they are not folded.
      const auto [first, end] = pending.reply->head.first_layout_range();
      const uint64_t from = std::clamp(pending.offset, first, end);
      const uint64_t to = std::clamp(pending.offset + part.size(), first, end);
      if (from < to) {
        UMBEL_RETURN_IF_ERROR(
            fold_->add(*pending.streamed, part.subspan(from - pending.offset, to - from)));
      }
    } else {
      UMBEL_RETURN_IF_ERROR(pending.kept.write(pending.offset, part));
    }
    pending.offset += part.size();
  }
  return absl::OkStatus();
}

bool Collection::Upload::whole() const {
  absl::MutexLock lock(&pending->mutex);
  return pending->offset == pending->blob_bytes;
}

uint64_t Collection::Upload::offset() const {
  absl::MutexLock lock(&pending->mutex);
  return pending->stage >= Stage::kKept ? pending->blob_bytes : pending->offset;
}

// The last byte is here.
void Collection::whole(const std::shared_ptr<Pending>& pending) {
  if (pending->streamed) {
    // All of its bytes were taken: what finish() could still refuse would be a bug of ours.
    UMBEL_CHECK(fold_->finish(*pending->streamed).ok());
    return settle(pending, true, true, "");
  }
  UMBEL_CHECK(pending->kept.seal().ok());
  if (!fold_) {
    hooks_.arrived(*pending->reply, std::move(pending->kept));
    return settle(pending, true, false, "");
  }
  const Result<Message> message = mapped_message(*pending->reply, pending->kept);
  bool counted = false;
  std::string reason = "the reply does not fit the round";
  if (message.ok()) {
    counted = fold_->add(*message, pending->weight);
  } else {
    reason = umbel::message_of(message.status());
    fold_->fail(NodeId(pending->ask.client), {MessageError::Code::kBadReply, reason});
  }
  settle(pending, counted, false, counted ? "" : reason);
}

bool Collection::is_ended() const {
  absl::MutexLock lock(&mutex_);
  return ended_;
}

bool Collection::is_current(const Pending& pending, uint64_t attempt, Stage stage) const {
  return pending.attempt == attempt && pending.stage == stage && !is_ended();
}

void Collection::set_stage(Pending& pending, Stage stage) {
  absl::MutexLock lock(&mutex_);
  pending.stage = stage;
}

// The end of a reply; its mutex is held, and the gate.
void Collection::settle(const std::shared_ptr<Pending>& pending, bool counted, bool keep,
                        const std::string& reason) {
  bool complete = false;
  {
    absl::MutexLock lock(&mutex_);
    pending->stage = keep ? Stage::kKept : Stage::kOver;
    if (counted) {
      decision_.counted.push_back(pending->ask.client);
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started_;
      if (fold_) reply_seconds_.push_back(took.count());
    }
    complete = --open_ == 0 && !ended_;
    if (!keep && !options_.folds) pending_.erase(pending->ask.instruction);
  }
  if (!keep) {
    // A reply's own memory goes with it.
    start_over(*pending);
    lines_.forget(pending->ask.instruction);
    lines_.send(pending->ask.node, wire::Done{pending->ask.instruction, counted, reason});
  }
  if (complete && hooks_.complete) hooks_.complete();
}

// Holds off complete() while replies fail: not before the sums are without the torn ones.
Collection::Guard::Guard(Collection& collection) : collection_(collection) {
  absl::MutexLock lock(&collection_.mutex_);
  ++collection_.open_;
}

Collection::Guard::~Guard() {
  if (torn) collection_.fetch_again();
  bool complete = false;
  {
    absl::MutexLock lock(&collection_.mutex_);
    complete = --collection_.open_ == 0 && !collection_.ended_;
  }
  if (complete && collection_.hooks_.complete) collection_.hooks_.complete();
}

// True if a part of it is in the sums.
bool Collection::fail_locked(const std::shared_ptr<Pending>& pending, const MessageError& error) {
  bool torn = false;
  if (pending->streamed) {
    torn = fold_->drop(*pending->streamed, error);
  } else if (fold_) {
    fold_->fail(NodeId(pending->ask.client), error);
  } else {
    wire::Envelope reply;
    reply.metadata = assign_of(*pending).message.metadata;
    reply.metadata.reply_to = pending->ask.message;
    std::swap(reply.metadata.source, reply.metadata.destination);
    reply.error = error;
    hooks_.arrived(reply, SharedBlob());
  }
  settle(pending, false, false, error.reason);
  return torn;
}

void Collection::fail(const std::shared_ptr<Pending>& pending, uint64_t attempt,
                      const MessageError& error) {
  Guard guard(*this);
  absl::ReaderMutexLock gate(&gate_);
  absl::MutexLock upload(&pending->mutex);
  if (pending->attempt != attempt || pending->stage >= Stage::kKept || is_ended()) return;
  guard.torn = fail_locked(pending, error);
}

void Collection::fail_all(const std::vector<std::shared_ptr<Pending>>& all,
                          const MessageError& error) {
  Guard guard(*this);
  for (const auto& pending : all) {
    absl::ReaderMutexLock gate(&gate_);
    absl::MutexLock upload(&pending->mutex);
    if (pending->stage >= Stage::kKept || is_ended()) continue;
    guard.torn |= fail_locked(pending, error);
  }
}

// Empties the sums, and has every reply sent again that was folded without being kept.
void Collection::fetch_again() {
  std::vector<std::shared_ptr<Pending>> wanted, lost;
  std::vector<std::pair<std::shared_ptr<Pending>, Status>> refused;
  {
    absl::WriterMutexLock gate(&gate_);
    absl::MutexLock lock(&mutex_);
    if (ended_) return;
    fold_->restart();
    for (const auto& [instruction, pending] : pending_) {
      const bool was_kept = pending->stage == Stage::kKept;
      if (!was_kept && !(pending->stage == Stage::kUploading && pending->streamed)) continue;
      if (was_kept) {
        ++open_;
        std::erase(decision_.counted, pending->ask.client);
      }
      if (pending->lost) {
        start_over(*pending);
        pending->lost = false;
        pending->stage = Stage::kAsked;
        lost.push_back(pending);
        continue;
      }
      pending->stage = Stage::kUploading;
      const Status begun = begin_streamed(*pending);
      if (begun.ok()) {
        wanted.push_back(pending);
      } else {
        pending->streamed.reset();
        refused.emplace_back(pending, begun);
      }
    }
  }
  log_warn("fold: a reply ended half-way; fetching the others again run={} round={} replies={}",
           options_.run.id.value(), options_.round, wanted.size() + lost.size());
  for (const auto& pending : wanted) {
    lines_.send(pending->ask.node, wire::Upload{pending->ask.instruction, 0});
  }
  for (const auto& pending : lost) lines_.send(pending->ask.node, assign_of(*pending));
  for (const auto& [pending, status] : refused) {
    fail_all({pending}, {MessageError::Code::kBadReply, umbel::message_of(status)});
  }
}

void Collection::wrap_up(double seconds) {
  std::vector<Ask> working;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [instruction, pending] : pending_) {
      if (pending->stage == Stage::kAsked) working.push_back(pending->ask);
    }
  }
  for (const Ask& ask : working) lines_.send(ask.node, wire::WrapUp{ask.instruction, seconds});
}

void Collection::expire(const std::string& reason) {
  std::vector<std::shared_ptr<Pending>> owed;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [instruction, pending] : pending_) {
      if (pending->stage < Stage::kKept) owed.push_back(pending);
    }
  }
  for (const auto& pending : owed) {
    lines_.send(pending->ask.node, wire::Cancel{pending->ask.instruction});
  }
  fail_all(owed, {MessageError::Code::kDeadline, reason});
}

void Collection::cancel() {
  std::vector<std::shared_ptr<Pending>> all;
  {
    absl::MutexLock lock(&mutex_);
    if (ended_) return;
    ended_ = true;
    for (const auto& [instruction, pending] : pending_) all.push_back(pending);
  }
  for (const auto& pending : all) {
    bool over = false;
    {
      absl::ReaderMutexLock gate(&gate_);
      absl::MutexLock upload(&pending->mutex);
      over = pending->stage == Stage::kOver;
      start_over(*pending);
    }
    lines_.forget(pending->ask.instruction);
    if (!over) lines_.send(pending->ask.node, wire::Cancel{pending->ask.instruction});
  }
}

Result<aggregate::FoldResult> Collection::close(const aggregate::StreamFold::Take& take) {
  std::vector<std::shared_ptr<Pending>> kept;
  {
    absl::WriterMutexLock gate(&gate_);
    absl::MutexLock lock(&mutex_);
    if (ended_) return absl::CancelledError("the run was stopped");
    if (open_ != 0) return failed_precondition("replies are being fetched again");
    ended_ = true;
    for (const auto& [instruction, pending] : pending_) {
      if (pending->stage == Stage::kKept) kept.push_back(pending);
    }
    std::ranges::sort(decision_.counted);
  }
  Result<aggregate::FoldResult> result = fold_->close(take);
  if (result.status().code() == absl::StatusCode::kFailedPrecondition) {
    return absl::InternalError(umbel::message_of(result.status()));  // not to be tried again
  }
  for (const auto& pending : kept) {
    lines_.forget(pending->ask.instruction);
    lines_.send(pending->ask.node, wire::Done{pending->ask.instruction, true, ""});
  }
  return result;
}

DecisionRecord Collection::decision() const {
  absl::MutexLock lock(&mutex_);
  return decision_;
}

std::vector<double> Collection::reply_seconds() const {
  absl::MutexLock lock(&mutex_);
  return reply_seconds_;
}

bool Collection::is_idle() const {
  absl::MutexLock lock(&mutex_);
  return open_ == 0;
}

}  // namespace umbel::superlink
