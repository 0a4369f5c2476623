#include "umbel/supernode/transfers.h"

#include <algorithm>
#include <deque>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "umbel/bundle/bundle.h"
#include "umbel/supernode/blob_writer.h"
#include "umbel/supernode/courier.h"

namespace umbel::supernode {

namespace {

constexpr int kBadChunkMax = 3;

// "offset" of an answer about a reply.
Result<uint64_t> parse_offset(const std::string& body) {
  const auto object = nlohmann::json::parse(body, nullptr, false);
  const auto found = object.is_object() ? object.find("offset") : object.end();
  if (!object.is_object() || found == object.end() || !found->is_number_unsigned()) {
    return unavailable("the hub's answer about a reply has no offset");
  }
  return found->get<uint64_t>();
}

// The tries of a download, one after another, into `writer`.
Status download_blob(Courier& courier, const std::atomic<bool>& cancelled,
                     const std::string& target, uint64_t size, BlobWriter& writer) {
  uint64_t bad_at = UINT64_MAX;
  int bad = 0;
  return courier.carry(cancelled, [&](http::Client& client) -> Courier::Try {
    writer.rewind();
    const uint64_t before = writer.offset();
    const auto moved = client.download(
        target, before, size, [&](std::span<const std::byte> bytes) { return writer.take(bytes); });
    const bool progress = writer.offset() != before;
    if (writer.is_done()) return {absl::OkStatus(), true};
    if (absl::IsDataLoss(moved.status)) {
      bad = bad_at == writer.offset() ? bad + 1 : 1;
      bad_at = writer.offset();
      if (bad == kBadChunkMax) {
        return {invalid_argument("{}", message_of(moved.status)), false};
      }
    }
    if (moved.status.ok()) return {unavailable("the connection ended early"), progress};
    return {moved.status, progress};
  });
}

Status upload_reply(Courier& courier, const std::atomic<bool>& cancelled, uint64_t instruction,
                    uint64_t offset, const Buffer& bytes) {
  const std::string target = fmt::format("/v1/fleet/replies/{}", instruction);
  bool ask = false;  // the hub, how far it got before the cut
  return courier.carry(cancelled, [&](http::Client& client) -> Courier::Try {
    const uint64_t before = offset;
    if (ask) {
      const auto reply = client.request("GET", target);
      if (!reply.ok()) return {reply.status()};
      if (!reply->status().ok()) return {reply->status()};
      const auto there = parse_offset(reply->body);
      if (!there.ok()) return {there.status()};
      offset = std::min<uint64_t>(*there, bytes.size());
    }
    const bool progress = ask && offset > before;
    ask = true;
    uint64_t next = offset;
    const auto reply = client.upload("PUT", fmt::format("{}?offset={}", target, offset),
                                     bytes.size() - offset, [&](std::span<std::byte> out) {
                                       const auto from = bytes.bytes().subspan(next, out.size());
                                       std::copy(from.begin(), from.end(), out.begin());
                                       next += out.size();
                                       return absl::OkStatus();
                                     });
    if (!reply.ok()) return {reply.status(), progress};
    if (!reply->status().ok()) return {reply->status(), progress};
    const auto there = parse_offset(reply->body);
    if (!there.ok()) return {there.status(), progress};
    if (*there == bytes.size()) return {absl::OkStatus(), true};
    return {unavailable("the hub has {} of {} bytes of the reply", *there, bytes.size()), progress};
  });
}

}  // namespace

struct Transfers::State {
  struct Entry {
    Job id = 0;
    std::function<void(Courier&, const std::atomic<bool>&)> call;
    std::atomic<bool> cancelled{false};
    Courier* courier = nullptr;  // while it is carried out
  };

  Token token;
  absl::Mutex mutex;
  absl::CondVar changed;
  Job last_job ABSL_GUARDED_BY(mutex) = 0;
  bool stopped ABSL_GUARDED_BY(mutex) = false;
  std::deque<std::shared_ptr<Entry>> waiting ABSL_GUARDED_BY(mutex);
  std::map<Job, std::shared_ptr<Entry>> jobs ABSL_GUARDED_BY(mutex);
  std::vector<std::unique_ptr<Courier>> couriers;
  std::vector<std::jthread> threads;

  Job add(std::function<void(Courier&, const std::atomic<bool>&)> call) {
    absl::MutexLock lock(&mutex);
    auto entry = std::make_shared<Entry>();
    entry->id = ++last_job;
    entry->call = std::move(call);
    entry->cancelled = stopped;
    jobs.emplace(entry->id, entry);
    waiting.push_back(std::move(entry));
    changed.Signal();
    return last_job;
  }

  void stop(Entry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    entry.cancelled = true;
    if (entry.courier != nullptr) entry.courier->interrupt();
  }

  // Carries jobs out until stopped; those that wait then are told so.
  void work(Courier& courier) {
    for (;;) {
      std::shared_ptr<Entry> entry;
      {
        absl::MutexLock lock(&mutex);
        while (waiting.empty() && !stopped) changed.Wait(&mutex);
        if (waiting.empty()) return;
        entry = std::move(waiting.front());
        waiting.pop_front();
        entry->courier = &courier;
      }
      entry->call(courier, entry->cancelled);
      absl::MutexLock lock(&mutex);
      entry->courier = nullptr;
      jobs.erase(entry->id);
    }
  }
};

Transfers::Transfers(http::Endpoint hub, uint64_t seed) : state_(std::make_unique<State>()) {
  for (size_t i = 0; i != kThreads; ++i) {
    state_->couriers.push_back(
        std::make_unique<Courier>(hub, state_->token, derive_seed(seed, {i})));
  }
  for (auto& courier : state_->couriers) {
    state_->threads.emplace_back(
        [state = state_.get(), &courier = *courier] { state->work(courier); });
  }
}

Transfers::~Transfers() {
  {
    absl::MutexLock lock(&state_->mutex);
    state_->stopped = true;
    for (auto& [id, entry] : state_->jobs) state_->stop(*entry);
    state_->changed.SignalAll();
  }
  state_->token.wake();
  state_->threads.clear();
}

void Transfers::set_token(std::string token) { state_->token.set(std::move(token)); }

Transfers::Job Transfers::fetch_bundle(const wire::BundleRef& bundle, Ready<std::string> ready) {
  return state_->add([bundle, ready](Courier& courier, const std::atomic<bool>& cancelled) {
    if (bundle.size > bundle::kArchiveBytesMax) {
      return ready(resource_exhausted("bundle {}: {} bytes, at most {} are taken", bundle.id,
                                      bundle.size, bundle::kArchiveBytesMax));
    }
    std::string archive;
    const Status status = courier.carry(cancelled, [&](http::Client& client) -> Courier::Try {
      const size_t before = archive.size();
      const auto take = [&](std::span<const std::byte> bytes) -> Status {
        if (bytes.size() > bundle.size - archive.size()) {
          return invalid_argument("bundle {}: more came than its {} bytes", bundle.id, bundle.size);
        }
        archive.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        return absl::OkStatus();
      };
      const auto moved =
          client.download("/v1/fleet/bundles/" + bundle.sha256, before, bundle.size, take);
      if (archive.size() == bundle.size) return {absl::OkStatus(), true};
      const bool progress = archive.size() != before;
      if (moved.status.ok()) return {unavailable("the connection ended early"), progress};
      return {moved.status, progress};
    });
    if (!status.ok()) return ready(status);
    ready(std::move(archive));
  });
}

Transfers::Job Transfers::fetch_blob(const wire::BlobRef& blob,
                                     Ready<std::shared_ptr<const SharedBlob>> ready) {
  return state_->add([blob, ready](Courier& courier, const std::atomic<bool>& cancelled) {
    auto writer = BlobWriter::create(blob);
    if (!writer.ok()) return ready(writer.status());
    const std::string target = fmt::format("/v1/fleet/blobs/{}", blob.id);
    const Status status = download_blob(courier, cancelled, target, blob.size, *writer);
    if (!status.ok()) return ready(status);
    auto whole = std::move(*writer).finish();
    if (!whole.ok()) return ready(whole.status());
    ready(std::make_shared<const SharedBlob>(*std::move(whole)));
  });
}

Transfers::Job Transfers::upload(uint64_t instruction, uint64_t offset, Buffer bytes,
                                 std::function<void(Status)> ready) {
  const auto call = [=](Courier& courier, const std::atomic<bool>& cancelled) {
    ready(upload_reply(courier, cancelled, instruction, std::min<uint64_t>(offset, bytes.size()),
                       bytes));
  };
  return state_->add(call);
}

void Transfers::cancel(Job job) {
  {
    absl::MutexLock lock(&state_->mutex);
    const auto found = state_->jobs.find(job);
    if (found == state_->jobs.end()) return;
    state_->stop(*found->second);
  }
  state_->token.wake();
}

}  // namespace umbel::supernode
