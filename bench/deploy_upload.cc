#include <fmt/core.h>

#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <thread>

#include "bench/deploy.h"
#include "bench/fleet_nodes.h"
#include "bench/measure.h"
#include "bench/plain_tls.h"
#include "umbel/base/check.h"
#include "umbel/base/rng.h"

namespace umbel::bench {

namespace {

// A megabyte of floats, which a reply's blob is made of again and again.
Buffer chunk_of_model() {
  Buffer chunk = Buffer::allocate(wire::kChunkBytes);
  Rng rng(1);
  auto* x = reinterpret_cast<float*>(chunk.mutable_bytes().data());
  for (size_t i = 0; i != wire::kChunkBytes / sizeof(float); ++i) {
    x[i] = static_cast<float>(rng.normal());
  }
  return chunk;
}

// What the nodes are told, for the thread of each.
class Orders {
 public:
  explicit Orders(size_t nodes) : assigned_(nodes), wanted_(nodes) {}
  void take(size_t node, wire::HubFrame frame) {
    const std::lock_guard lock(mutex_);
    if (auto* assign = std::get_if<wire::Assign>(&frame)) assigned_[node] = std::move(*assign);
    if (auto* upload = std::get_if<wire::Upload>(&frame)) wanted_[node] = *upload;
    changed_.notify_all();
  }
  wire::Assign next_assign(size_t node) { return *next(assigned_[node]); }
  wire::Upload next_upload(size_t node) { return *next(wanted_[node]); }

 private:
  template <class T>
  std::optional<T> next(std::optional<T>& slot) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return slot.has_value(); });
    return std::exchange(slot, std::nullopt);
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::optional<wire::Assign>> assigned_;
  std::vector<std::optional<wire::Upload>> wanted_;
};

class Replies {
 public:
  Replies(FleetNodes& nodes, Orders& orders) : nodes_(nodes), orders_(orders) {}

  // All nodes at once: from the offer of the replies to the hub's word that it has all their bytes.
  double answer(const std::vector<wire::Assign>& assigns) {
    if (clients_.empty()) {
      for (size_t node = 0; node != assigns.size(); ++node) {
        clients_.push_back(std::make_unique<http::Client>(nodes_.hub()));
        clients_.back()->set_bearer(nodes_.token(node));
        or_throw(clients_.back()->certificate_sha256());
      }
    }
    std::vector<wire::NodeFrame> offers;
    for (const wire::Assign& assign : assigns) offers.emplace_back(offer(assign));
    return time_of([&] {
      std::vector<std::jthread> threads;
      for (size_t node = 0; node != assigns.size(); ++node) {
        threads.emplace_back([&, node] {
          nodes_.send(node, offers[node]);
          upload(*clients_[node], orders_.next_upload(node), assigns[node].message.blob.size);
        });
      }
    });
  }

 private:
  wire::NodeResult offer(const wire::Assign& assign) const {
    const uint64_t size = assign.message.blob.size;
    wire::NodeResult result{.instruction = assign.instruction};
    Metadata& metadata = result.reply.metadata = assign.message.metadata;
    metadata.reply_to = std::exchange(metadata.id, MessageId());
    std::swap(metadata.source, metadata.destination);
    result.reply.head.records = {{"arrays", *assign.message.head.first_layout()},
                                 {"metrics", MetricRecord{{"num-examples", 100}}}};
    result.reply.blob.size = size;
    for (uint64_t at = 0; at < size; at += wire::kChunkBytes) {
      const auto part = chunk_.bytes().first(std::min<uint64_t>(wire::kChunkBytes, size - at));
      result.reply.blob.crc32.push_back(part.size() == chunk_.size() ? crc32_ : wire::crc32(part));
    }
    return result;
  }

  void upload(http::Client& client, const wire::Upload& wanted, uint64_t size) const {
    uint64_t at = wanted.offset;
    const auto reply = or_throw(
        client.upload("PUT", fmt::format("/v1/fleet/replies/{}?offset={}", wanted.instruction, at),
                      size - at, [&](std::span<std::byte> out) {
                        while (!out.empty()) {
                          const auto from = chunk_.bytes().subspan(at % wire::kChunkBytes);
                          const size_t count = std::min(from.size(), out.size());
                          std::memcpy(out.data(), from.data(), count);
                          out = out.subspan(count);
                          at += count;
                        }
                        return absl::OkStatus();
                      }));
    or_throw(reply.status());
  }

  FleetNodes& nodes_;
  Orders& orders_;
  const Buffer chunk_ = chunk_of_model();
  const uint32_t crc32_ = wire::crc32(chunk_.bytes());
  std::vector<std::unique_ptr<http::Client>> clients_;
};

}  // namespace

void uploads(const HubOptions& hub, size_t count, size_t rounds) {
  Orders orders(count);
  FleetNodes nodes(
      hub.endpoint, count,
      {.on_frame = [&](size_t node, wire::HubFrame frame) { orders.take(node, std::move(frame)); },
       .all_joined =
           [] {
             fmt::print("joined\n");
             std::fflush(stdout);
           }});
  or_throw(nodes.enroll(hub.admin_key));
  nodes.join();
  Replies replies(nodes, orders);
  std::vector<double> ours, floor, ratios;
  uint64_t bytes = 0;
  for (size_t round = 0; round != rounds; ++round) {
    std::vector<wire::Assign> assigns;
    for (size_t node = 0; node != count; ++node) assigns.push_back(orders.next_assign(node));
    bytes = assigns.front().message.blob.size;
    const double plain = send_and_discard(loopback_identity(), count, bytes);
    const double mine = replies.answer(assigns);
    if (round == 0 && rounds > 1) continue;  // the first one's memory is new
    floor.push_back(plain);
    ours.push_back(mine);
    ratios.push_back(plain / mine);
  }
  const double gigabytes = static_cast<double>(count * bytes) / 1e9;
  print(
      {.id = "D-1G",
       .what = fmt::format("{} replies of {} MiB at once, over TLS and folded", count, bytes >> 20),
       .ours = gigabytes / spread_of(ours).median,
       .unit = "GB/s",
       .peer = "plain TLS sockets that discard",
       .peer_value = gigabytes / spread_of(floor).median,
       .ratio = spread_of(ratios),
       .runs = ours.size()});
}

}  // namespace umbel::bench
