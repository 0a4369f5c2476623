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

// One ask on its way.  `stage`, `claimed` and `lost` are guarded by the collection's mutex; what
// belongs to the upload, by `mutex`, with the collection's gate held.
struct Pending {
  Ask ask;
  wire::Envelope message;  // to send, in a collection without a fold
  Stage stage = Stage::kAsked;
  bool claimed = false;  // somebody is about to settle it
  bool lost = false;     // the node does not have its reply any more

  absl::Mutex mutex;
  wire::Envelope reply;
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
      if (std::ranges::find(messages, it->second->ask.message.value()) == messages.end()) {
        ++it;
        continue;
      }
      if (it->second->stage != Stage::kOver) {
        it->second->stage = Stage::kOver;
        --open_;
        dropped.push_back(it->second);
      }
      it = pending_.erase(it);
    }
  }
  for (const auto& pending : dropped) {
    lines_.forget(pending->ask.instruction);
    lines_.send(pending->ask.node, wire::Cancel{pending->ask.instruction});
    absl::MutexLock lock(&pending->mutex);
    ++pending->turn;
    release(*pending);
  }
}

std::shared_ptr<Pending> Collection::find(uint64_t node, uint64_t instruction) const {
  absl::MutexLock lock(&mutex_);
  const auto found = pending_.find(instruction);
  if (found == pending_.end() || found->second->ask.node != node) return nullptr;
  return found->second;
}

void Collection::node_joined(uint64_t node, const std::set<uint64_t>& holding) {
  std::vector<std::shared_ptr<Pending>> again;
  {
    absl::MutexLock lock(&mutex_);
    if (ended_) return;
    for (const auto& [instruction, pending] : pending_) {
      if (pending->ask.node != node || pending->stage == Stage::kOver || pending->claimed) continue;
      pending->lost = !holding.contains(instruction);
      if (pending->lost && pending->stage != Stage::kKept) again.push_back(pending);
    }
  }
  bool torn = false;
  for (const auto& pending : again) {
    {
      absl::ReaderMutexLock gate(&gate_);
      absl::MutexLock lock(&pending->mutex);
      ++pending->turn;
      // What it sends next may have other bytes than the part that was folded.
      if (pending->streamed) torn |= fold_->abandon(*pending->streamed);
      pending->streamed.reset();
      pending->offset = 0;
      pending->crc = 0;
      release(*pending);
    }
    absl::MutexLock lock(&mutex_);
    if (pending->stage != Stage::kOver) pending->stage = Stage::kAsked;
    pending->lost = false;
  }
  for (const auto& pending : again) lines_.send(node, assign_of(*pending));
  if (torn) fetch_again();
}

void Collection::node_gone(uint64_t node, const std::string& reason) {
  std::vector<std::shared_ptr<Pending>> owed;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [instruction, pending] : pending_) {
      if (pending->ask.node == node && pending->stage < Stage::kKept) owed.push_back(pending);
    }
  }
  fail_all(owed, {MessageError::Code::kDeadline, reason});
}

void Collection::result(uint64_t node, wire::NodeResult result) {
  const std::shared_ptr<Pending> pending = find(node, result.instruction);
  if (!pending) return;
  std::optional<wire::Upload> go_on;
  {
    absl::ReaderMutexLock gate(&gate_);
    absl::MutexLock upload(&pending->mutex);
    absl::MutexLock lock(&mutex_);
    if (pending->stage == Stage::kUploading) {
      // The node is back after a cut and offers the same reply: it goes on where we are.
      const bool same = !result.reply.error && result.reply.blob.crc32 == pending->reply.blob.crc32;
      if (!same) return;
      go_on = wire::Upload{result.instruction, pending->offset};
    } else if (pending->stage == Stage::kAsked) {
      pending->stage = Stage::kDeciding;
      pending->reply = std::move(result.reply);
    } else {
      return;
    }
  }
  if (go_on) lines_.send(node, *go_on);
  if (go_on) return;
  wire::Envelope& reply = pending->reply;
  const Metadata& metadata = reply.metadata;
  if (metadata.reply_to != pending->ask.message || metadata.source != NodeId(pending->ask.client) ||
      metadata.run != options_.run.id) {
    return fail(pending, {MessageError::Code::kBadReply, "it replies to another message"});
  }
  if (reply.error) return fail(pending, *reply.error);
  if (options_.weighs) {
    const MetricRecord* metrics = reply.head.first_metrics();
    return hooks_.weigh(result.instruction, metrics ? *metrics : MetricRecord());
  }
  admit(pending, std::nullopt);
}

void Collection::weighed(uint64_t instruction, Result<double> weight) {
  std::shared_ptr<Pending> pending;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = pending_.find(instruction);
    if (found == pending_.end() || found->second->stage != Stage::kDeciding) return;
    pending = found->second;
  }
  if (!weight.ok()) {
    return fail(pending, {MessageError::Code::kBadReply, umbel::message_of(weight.status())});
  }
  admit(pending, *weight);
}

void Collection::admit(const std::shared_ptr<Pending>& pending, std::optional<double> weight) {
  wire::Envelope& reply = pending->reply;
  const bool here = reply.blob.is_here();
  if (!fold_) {
    if (here && claim(*pending)) return hand_on(pending, reply, SharedBlob());
    if (here) return;
    return admit_large(pending, std::nullopt);
  }
  if (!here && options_.layout) return admit_large(pending, weight);
  if (!here) {
    // Only metrics are asked for: the arrays stay where they are.
    std::erase_if(reply.head.records,
                  [](const auto& record) { return std::holds_alternative<Layout>(record.second); });
    reply.blob = {};
  }
  const Result<Message> message = wire::to_message(reply, reply.blob.here);
  if (!message.ok()) {
    return fail(pending, {MessageError::Code::kBadReply, umbel::message_of(message.status())});
  }
  absl::ReaderMutexLock gate(&gate_);
  if (!claim(*pending)) return;
  const bool counted = fold_->add(*message, weight);
  settle(pending, counted, false, counted ? "" : "the reply does not fit the round");
}

void Collection::admit_large(const std::shared_ptr<Pending>& pending,
                             std::optional<double> weight) {
  const wire::Envelope& reply = pending->reply;
  const uint64_t chunks = (reply.blob.size + wire::kChunkBytes - 1) / wire::kChunkBytes;
  if (reply.blob.size != reply.head.blob_size() || reply.blob.crc32.size() != chunks) {
    return fail(
        pending,
        {MessageError::Code::kBadReply,
         fmt::format("its blob has {} bytes and {} checksums, its arrays need {} and {}",
                     reply.blob.size, reply.blob.crc32.size(), reply.head.blob_size(), chunks)});
  }
  if (fold_) {
    const Layout* layout = reply.head.first_layout();
    const Status fits =
        layout ? require_layout(*layout, *options_.layout) : invalid_argument("it has no arrays");
    if (!fits.ok()) {
      return fail(pending, {MessageError::Code::kBadReply, umbel::message_of(fits)});
    }
  }
  pending->weight = weight;
  if (memory_.try_take(reply.blob.size)) {
    pending->budgeted = reply.blob.size;
    return begin_kept(pending);
  }
  if (fold_) {
    Status begun;
    {
      absl::ReaderMutexLock gate(&gate_);
      absl::MutexLock lock(&pending->mutex);
      begun = begin_streamed(*pending);
    }
    if (!begun.ok())
      return fail(pending, {MessageError::Code::kBadReply, umbel::message_of(begun)});
    {
      absl::MutexLock lock(&mutex_);
      if (ended_ || pending->stage != Stage::kDeciding) return;
      pending->stage = Stage::kUploading;
    }
    lines_.send(pending->ask.node, wire::Upload{pending->ask.instruction, 0});
    return;
  }
  if (reply.blob.size > memory_.most()) {
    return fail(pending, {MessageError::Code::kBadReply,
                          fmt::format("a single reply of {} bytes; this hub keeps {} at most "
                                      "(umbel-superlink --memory-max)",
                                      reply.blob.size, memory_.most())});
  }
  const auto [size, turn] = [&] {
    absl::MutexLock lock(&pending->mutex);
    return std::pair(reply.blob.size, pending->turn);
  }();
  memory_.take_when_free(size, [self = shared_from_this(), pending, size = size, turn = turn] {
    {
      absl::MutexLock lock(&pending->mutex);
      if (pending->turn == turn) pending->budgeted = size;
    }
    // Meanwhile it may have been given up, or lost and asked for again.
    if (pending->budgeted == 0) return self->memory_.give_back(size);
    self->begin_kept(pending);
  });
}

Status Collection::begin_streamed(Pending& pending) {
  const wire::ContentHead& head = pending.reply.head;
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

void Collection::begin_kept(const std::shared_ptr<Pending>& pending) {
  Result<SharedBlob> blob = SharedBlob::create(pending->reply.blob.size);
  if (!blob.ok()) {
    return fail(pending, {MessageError::Code::kUnknown, umbel::message_of(blob.status())});
  }
  {
    absl::MutexLock lock(&pending->mutex);
    pending->kept = *std::move(blob);
  }
  {
    absl::MutexLock lock(&mutex_);
    if (ended_ || pending->stage != Stage::kDeciding) {
      release(*pending);
      return;
    }
    pending->stage = Stage::kUploading;
  }
  lines_.send(pending->ask.node, wire::Upload{pending->ask.instruction, 0});
}

Result<std::unique_ptr<Collection::Upload>> Collection::begin_upload(uint64_t node,
                                                                     uint64_t instruction,
                                                                     uint64_t offset) {
  const std::shared_ptr<Pending> pending = find(node, instruction);
  if (!pending) return not_found("instruction {}: not one of this node's", instruction);
  absl::ReaderMutexLock gate(&gate_);
  absl::MutexLock upload_lock(&pending->mutex);
  {
    absl::MutexLock lock(&mutex_);
    if (ended_ || pending->stage != Stage::kUploading) {
      return failed_precondition("instruction {}: its reply is not wanted now", instruction);
    }
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
  absl::MutexLock lock(&mutex_);
  if (pending->stage == Stage::kKept || pending->stage == Stage::kOver)
    return pending->reply.blob.size;
  return pending->offset;
}

Status Collection::Upload::take(std::span<const std::byte> piece) {
  Status status;
  {
    absl::ReaderMutexLock gate(&collection->gate_);
    absl::MutexLock lock(&pending->mutex);
    if (pending->turn != turn) return failed_precondition("another upload of this reply has begun");
    const wire::BlobRef& blob = pending->reply.blob;
    if (piece.size() > blob.size - pending->offset) {
      status = invalid_argument("the reply is longer than the {} bytes it announced", blob.size);
    }
    while (status.ok() && !piece.empty()) {
      const uint64_t chunk = pending->offset / wire::kChunkBytes;
      const uint64_t left =
          std::min<uint64_t>((chunk + 1) * wire::kChunkBytes, blob.size) - pending->offset;
      const auto part = piece.first(std::min<uint64_t>(left, piece.size()));
      piece = piece.subspan(part.size());
      pending->crc = wire::crc32(part, pending->crc);
      if (part.size() == left) {
        if (pending->crc != blob.crc32[chunk]) {
          status =
              data_loss("chunk {} came with another checksum than it was announced with", chunk);
          break;
        }
        pending->crc = 0;
      }
      if (pending->streamed) {
        // Other records' arrays travel in the same blob; they are not folded.
        const auto [first, end] = pending->reply.head.first_layout_range();
        const uint64_t from = std::clamp(pending->offset, first, end);
        const uint64_t to = std::clamp(pending->offset + part.size(), first, end);
        if (from < to) {
          status = collection->fold_->add(*pending->streamed,
                                          part.subspan(from - pending->offset, to - from));
        }
      } else {
        status = pending->kept.write(pending->offset, part);
      }
      pending->offset += part.size();
    }
    if (status.ok() && pending->offset != blob.size) return status;
    ++pending->turn;
  }
  if (!status.ok()) {
    collection->fail(pending, {MessageError::Code::kBadReply, umbel::message_of(status)});
    return status;
  }
  collection->whole(pending);
  return absl::OkStatus();
}

bool Collection::Upload::whole() const {
  absl::MutexLock lock(&pending->mutex);
  return pending->offset == pending->reply.blob.size;
}

uint64_t Collection::Upload::offset() const {
  absl::MutexLock lock(&pending->mutex);
  return pending->offset;
}

bool Collection::claim(Pending& pending) {
  absl::MutexLock lock(&mutex_);
  if (ended_ || pending.claimed || pending.stage >= Stage::kKept) return false;
  return pending.claimed = true;
}

void Collection::whole(const std::shared_ptr<Pending>& pending) {
  absl::ReaderMutexLock gate(&gate_);
  SharedBlob kept;
  {
    absl::MutexLock lock(&pending->mutex);
    // The sums may have been emptied between the last byte and here: then it is fetched again.
    if (pending->offset != pending->reply.blob.size || !claim(*pending)) return;
    kept = std::move(pending->kept);
  }
  if (pending->streamed) {
    // All of its bytes were taken; what finish() could still refuse would be a bug of ours.
    UMBEL_CHECK(fold_->finish(*pending->streamed).ok());
    return settle(pending, true, true, "");
  }
  UMBEL_CHECK(kept.seal().ok());
  if (!fold_) return hand_on(pending, pending->reply, std::move(kept));
  const Result<Message> message = mapped_message(pending->reply, kept);
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

void Collection::hand_on(const std::shared_ptr<Pending>& pending, const wire::Envelope& reply,
                         SharedBlob blob) {
  hooks_.arrived(reply, std::move(blob));
  settle(pending, true, false, "");
}

void Collection::settle(const std::shared_ptr<Pending>& pending, bool counted, bool keep,
                        const std::string& reason) {
  bool complete = false;
  {
    absl::MutexLock lock(&mutex_);
    if (pending->stage >= Stage::kKept) return;
    pending->stage = keep ? Stage::kKept : Stage::kOver;
    pending->claimed = false;
    if (counted) {
      decision_.counted.push_back(pending->ask.client);
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started_;
      if (fold_) reply_seconds_.push_back(took.count());
    }
    complete = --open_ == 0 && !ended_;
    if (!keep && !options_.folds) pending_.erase(pending->ask.instruction);
  }
  if (!keep) {
    {
      absl::MutexLock lock(&pending->mutex);
      release(*pending);
      // A reply's own memory goes with it; what is left of it is where it belongs in the decision.
      pending->reply.blob.here = Buffer();
      pending->reply.head.records.clear();
    }
    lines_.forget(pending->ask.instruction);
    lines_.send(pending->ask.node, wire::Done{pending->ask.instruction, counted, reason});
  }
  if (complete && hooks_.complete) hooks_.complete();
}

void Collection::fail(const std::shared_ptr<Pending>& pending, MessageError error) {
  fail_all({pending}, error);
}

void Collection::fail_all(const std::vector<std::shared_ptr<Pending>>& all,
                          const MessageError& error) {
  bool torn = false;
  std::vector<std::shared_ptr<Pending>> failed;
  for (const auto& pending : all) {
    absl::ReaderMutexLock gate(&gate_);
    absl::MutexLock upload(&pending->mutex);
    if (!claim(*pending)) continue;
    ++pending->turn;  // an upload that is under way ends
    if (pending->streamed) {
      torn |= fold_->drop(*pending->streamed, error);
      pending->streamed.reset();
    } else if (fold_) {
      fold_->fail(NodeId(pending->ask.client), error);
    }
    failed.push_back(pending);
  }
  for (const auto& pending : failed) {
    if (!fold_) {
      wire::Envelope reply;
      reply.metadata = assign_of(*pending).message.metadata;
      reply.metadata.reply_to = pending->ask.message;
      std::swap(reply.metadata.source, reply.metadata.destination);
      reply.error = error;
      hooks_.arrived(reply, SharedBlob());
    }
  }
  // First the sums, then the count: complete() must not be called over sums with a torn reply.
  if (torn) {
    {
      absl::MutexLock lock(&mutex_);
      ++open_;
    }
    for (const auto& pending : failed) settle(pending, false, false, error.reason);
    fetch_again();
    bool complete = false;
    {
      absl::MutexLock lock(&mutex_);
      complete = --open_ == 0 && !ended_;
    }
    if (complete && hooks_.complete) hooks_.complete();
    return;
  }
  for (const auto& pending : failed) settle(pending, false, false, error.reason);
}

// Empties the sums, and has every reply sent again that was folded without being kept.
void Collection::fetch_again() {
  std::vector<std::shared_ptr<Pending>> wanted, lost;
  std::vector<std::pair<std::shared_ptr<Pending>, Status>> refused;
  {
    absl::WriterMutexLock gate(&gate_);
    fold_->restart();
    absl::MutexLock lock(&mutex_);
    if (ended_) return;
    for (const auto& [instruction, pending] : pending_) {
      const bool was_kept = pending->stage == Stage::kKept;
      if (!was_kept && !(pending->stage == Stage::kUploading && pending->streamed)) continue;
      if (was_kept) {
        ++open_;
        std::erase(decision_.counted, pending->ask.client);
      }
      ++pending->turn;
      pending->offset = 0;
      pending->crc = 0;
      if (pending->lost) {
        pending->streamed.reset();
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
    fail(pending, {MessageError::Code::kBadReply, umbel::message_of(status)});
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
    absl::MutexLock lock(&pending->mutex);
    ++pending->turn;
    release(*pending);
  }
  for (const auto& pending : all) {
    lines_.forget(pending->ask.instruction);
    if (pending->stage != Stage::kOver) {
      lines_.send(pending->ask.node, wire::Cancel{pending->ask.instruction});
    }
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
