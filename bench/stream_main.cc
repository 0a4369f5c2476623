// B2: replies of a large model folded as they arrive, against copying the same bytes; and what
// memory that takes.
//
//   bench_stream [--smoke]
#include <array>
#include <cstring>
#include <string_view>
#include <thread>

#include "bench/measure.h"
#include "umbel/aggregate/stream_fold.h"
#include "umbel/base/rng.h"

namespace {

using umbel::aggregate::StreamFold;

constexpr size_t kSenders = 4;
constexpr size_t kThreads = 2;
constexpr size_t kPieceBytes = size_t{1} << 20;

// What a connection has just received: a megabyte that lies in the cache, another for each sender.
std::array<umbel::Buffer, kSenders> received() {
  std::array<umbel::Buffer, kSenders> pieces;
  umbel::Rng rng(1);
  for (umbel::Buffer& piece : pieces) {
    piece = umbel::Buffer::allocate(kPieceBytes);
    auto* x = reinterpret_cast<float*>(piece.mutable_bytes().data());
    for (size_t i = 0; i != kPieceBytes / sizeof(float); ++i)
      x[i] = static_cast<float>(rng.normal());
  }
  return pieces;
}

// Each thread serves its senders in turn, piece by piece.
template <class Serve>
double serve_all(size_t pieces, const Serve& serve) {
  return umbel::bench::time_of([&] {
    std::vector<std::jthread> threads;
    for (size_t t = 0; t != kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (size_t i = 0; i != pieces; ++i) {
          for (size_t sender = t; sender < kSenders; sender += kThreads) serve(sender, i);
        }
      });
    }
  });
}

struct Round {
  double fold;
  double mean;
};

Round fold_round(const std::array<umbel::Buffer, kSenders>& source, size_t model) {
  const auto layout = std::make_shared<const umbel::Layout>(umbel::Layout{
      {"model", umbel::DType::kFloat32, {static_cast<int64_t>(model / sizeof(float))}}});
  StreamFold fold(layout, {});
  std::vector<std::shared_ptr<StreamFold::Streamed>> replies;
  for (uint64_t sender = 0; sender != kSenders; ++sender) {
    replies.push_back(umbel::or_throw(
        fold.begin(umbel::NodeId(sender), *layout, {{"num-examples", 100}}, model)));
  }
  Round round{};
  round.fold = serve_all(model / kPieceBytes, [&](size_t sender, size_t) {
    umbel::or_throw(fold.add(*replies[sender], source[sender].bytes()));
  });
  for (const auto& reply : replies) umbel::or_throw(fold.finish(*reply));
  round.mean = umbel::bench::time_of([&] {
    umbel::or_throw(fold.close([](std::span<const std::byte>) { return absl::OkStatus(); }));
  });
  return round;
}

}  // namespace

int main(int argc, char** argv) {
  const bool smoke = argc > 1 && std::string_view(argv[1]) == "--smoke";
  const size_t model = smoke ? size_t{4} << 20 : size_t{256} << 20;
  const size_t pairs = smoke ? 1 : 9;
  const auto source = received();

  const size_t before = umbel::bench::resident_bytes();
  fold_round(source, model);
  umbel::bench::print({.id = "B2",
                       .what = "greatest memory of the fold over the model's size",
                       .ours = static_cast<double>(umbel::bench::resident_bytes_most() - before) /
                               static_cast<double>(model),
                       .unit = "models"});

  std::vector<umbel::Buffer> kept(kSenders, umbel::Buffer());
  for (umbel::Buffer& buffer : kept) buffer = umbel::Buffer::zeros(model);
  double mean = 0;
  const umbel::bench::Pairs times = umbel::bench::in_turn(
      pairs,
      [&] {
        const Round round = fold_round(source, model);
        mean = round.mean;
        return round.fold;
      },
      [&] {
        return serve_all(model / kPieceBytes, [&](size_t sender, size_t i) {
          std::memcpy(kept[sender].mutable_bytes().data() + i * kPieceBytes, source[sender].data(),
                      kPieceBytes);
        });
      });
  const std::string size = std::to_string(model >> 20);
  umbel::bench::print({.id = "B2",
                       .what = "4 replies of " + size + " MiB folded as they arrive, 2 threads",
                       .ours = 1e3 * times.a.median,
                       .unit = "ms",
                       .peer = "memcpy of them",
                       .peer_value = 1e3 * times.b.median,
                       .ratio = times.b_over_a,
                       .runs = pairs});
  umbel::bench::print({.id = "B2",
                       .what = "the mean of them, " + size + " MiB, 1 thread",
                       .ours = 1e3 * mean,
                       .unit = "ms"});
}
