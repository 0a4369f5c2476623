#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <thread>

#include "umbel/app/client_app.h"
#include "umbel/app/run_rounds.h"
#include "umbel/app/silent_runtime.h"
#include "umbel/record/safetensors.h"
#include "umbel/runner/attach.h"
#include "umbel/runner/client_process.h"
#include "umbel/runner/hub_grid.h"
#include "umbel/simulation/simulation.h"
#include "umbel/strategy/fed_adam.h"
#include "umbel/strategy/fed_avg.h"
#include "umbel/wire/runtime.h"

// The same app in both runtimes: a simulation, and processes that speak over channels, with the
// least that can stand between them for a SuperLink and its SuperNodes.
namespace umbel {
namespace {

using runner::Channel;

template <class Frame>
Frame parsed(Result<Frame> frame) {
  return or_throw(std::move(frame));
}

// A site: a ClientApp's process (a thread here) and the state that its client keeps.
class Site {
 public:
  Site(const ClientApp& app, const Run& run) : Site(or_throw(Channel::make_pair()), app) {
    (void)receive<wire::AppReady>();
    wire::ClientStart start{{.id = run.id, .seed = run.seed, .nodes = run.nodes}, {}};
    send(start, nullptr);
  }
  ~Site() { channel_.shut_down(); }

  // The reply to a message whose blob is at hand.
  Message handle(wire::Envelope message, const SharedBlob* blob) {
    send(wire::Handle{++instruction_, std::move(message), state_}, blob);
    auto handled = receive<wire::Handled>();
    EXPECT_EQ(handled.instruction, instruction_);
    state_ = std::move(handled.state);
    const Buffer bytes = or_throw(runner::attached(handled.reply.blob, std::move(memory_)));
    return or_throw(wire::to_message(handled.reply, bytes));
  }

 private:
  Site(std::pair<Channel, Descriptor> ends, const ClientApp& app)
      : channel_(std::move(ends.first)),
        process_([end = Channel(std::move(ends.second)), &app]() mutable {
          EXPECT_EQ(runner::run_client_process(std::move(end), app), 0);
        }) {}
  void send(const wire::DaemonFrame& frame, const SharedBlob* blob) {
    or_throw(channel_.send(wire::format(frame), blob));
  }
  template <class T>
  T receive() {
    Channel::Frame frame = or_throw(channel_.receive(wire::kFrameBytesMax));
    memory_ = std::move(frame.blob);
    return std::get<T>(parsed(wire::parse_app_frame(std::as_bytes(std::span(frame.bytes)))));
  }

  Channel channel_;
  Descriptor memory_;
  RecordDict state_;
  uint64_t instruction_ = 0;
  std::jthread process_;
};

// Carries folds and messages from a HubGrid to the sites, the last client first.
class Hub {
 public:
  Hub(Channel channel, const ClientApp& app, const Run& run) : channel_(std::move(channel)) {
    for (uint64_t i = 0; i != run.nodes; ++i) sites_.push_back(std::make_unique<Site>(app, run));
    run_ = run.id;
    thread_ = std::jthread([this] { serve(); });
  }

 private:
  void serve() {
    for (;;) {
      Result<Channel::Frame> frame = channel_.receive(wire::kFrameBytesMax);
      if (!frame.ok()) return;
      auto app_frame = parsed(wire::parse_app_frame(std::as_bytes(std::span(frame->bytes))));
      if (auto* call = std::get_if<wire::FoldCall>(&app_frame)) {
        fold(*call, std::move(frame->blob));
      } else if (auto* push = std::get_if<wire::Push>(&app_frame)) {
        const SharedBlob blob = adopt(push->message.blob, std::move(frame->blob));
        const uint64_t client = push->message.metadata.destination.value();
        answer(sites_[client]->handle(push->message, blob ? &blob : nullptr));
      }
    }
  }

  static SharedBlob adopt(const wire::BlobRef& blob, Descriptor memory) {
    if (!memory) return {};
    return or_throw(SharedBlob::adopt(std::move(memory), blob.size));
  }

  void answer(const Message& reply) {
    wire::Arrived arrived{wire::envelope_of(reply)};
    std::optional<SharedBlob> blob;
    if (!reply.has_error()) {
      blob = or_throw(runner::shared_blob_of(reply.content(), arrived.reply.blob));
    }
    send(std::move(arrived), blob ? &*blob : nullptr);
  }

  void fold(const wire::FoldCall& call, Descriptor memory) {
    const SharedBlob blob = adopt(call.blob, std::move(memory));
    FoldOptions options{.weight_key = call.weight_key, .weight_max = call.weight_max};
    if (call.weighs) {
      options.weight = [&](const MetricRecord& metrics) {
        send(wire::Weigh{call.call, 1, metrics}, nullptr);
        Channel::Frame frame = or_throw(channel_.receive(wire::kFrameBytesMax));
        const auto weight = std::get<wire::Weight>(
            parsed(wire::parse_app_frame(std::as_bytes(std::span(frame.bytes)))));
        if (!weight.error.empty()) throw Error(invalid_argument("{}", weight.error));
        return weight.weight;
      };
    }
    std::shared_ptr<const Layout> layout;
    if (call.layout) layout = std::make_shared<Layout>(*call.layout);
    aggregate::Fold fold(layout, options);
    for (size_t i = call.nodes.size(); i-- != 0;) {
      wire::Envelope message{.head = call.content, .blob = call.blob};
      message.metadata = {.run = run_,
                          .id = MessageId(call.first_message + i),
                          .source = kServerNode,
                          .destination = NodeId(call.nodes[i]),
                          .type = call.type,
                          .round = call.round};
      fold.add(sites_[call.nodes[i]]->handle(std::move(message), blob ? &blob : nullptr));
    }
    fold.flush();
    finish(call.call, fold);
  }

  void finish(uint64_t call, aggregate::Fold& fold) {
    Serial serial;
    wire::FoldDone done{.call = call, .result = fold.finish(serial)};
    RecordDict mean;
    mean.set("arrays", std::exchange(done.result.arrays, {}));
    done.arrays = layout_of(std::get<ArrayRecord>(mean["arrays"]));
    done.blob_size = blob_size(done.arrays);
    const auto blob = or_throw(runner::shared_blob_of(mean, wire::BlobRef{.size = done.blob_size}));
    send(std::move(done), blob ? &*blob : nullptr);
  }

  void send(const wire::DaemonFrame& frame, const SharedBlob* blob) {
    or_throw(channel_.send(wire::format(frame), blob));
  }

  Channel channel_;
  RunId run_;
  std::vector<std::unique_ptr<Site>> sites_;
  std::jthread thread_;  // ends when the grid's end does
};

class EqualityTest : public ::testing::Test {
 protected:
  static constexpr size_t kElements = 100'000;  // more than travels inside a frame

  EqualityTest() {
    client.train([](const Message& message, Context& context) {
      int64_t calls = 0;
      if (const auto* kept = context.state().find("kept")) {
        calls = std::get<MetricRecord>(*kept).integer("calls");
      }
      context.state().set("kept", MetricRecord{{"calls", calls + 1}});
      if (context.partition_id() == 4 && calls == 2) throw std::runtime_error("a bad day");
      ArrayRecord arrays = message.arrays();
      Rng rng = context.rng();
      for (float& x : arrays["w"].mutable_view<float>()) {
        x += static_cast<float>(rng.normal() * 1e-30 + static_cast<double>(calls));
      }
      return message.reply(std::move(arrays),
                           {{"num-examples", 1 + rng.below(99)}, {"loss", rng.uniform()}});
    });
    client.evaluate([](const Message& message, Context& context) {
      return message.reply({{"num-examples", 1}, {"draw", context.rng().uniform()}});
    });
    client.query([](const Message& message, Context& context) {
      return message.reply({{"draw", context.rng().uniform()}});
    });
  }

  // What a ServerApp comes to: rounds with messages before and after them.
  static std::string play(Grid& grid, const Context& context, const Strategy& strategy) {
    const auto ask = [&] {
      std::string draws;
      std::vector<Message> messages;
      for (uint64_t i = 0; i < grid.node_count(); i += 2) {
        messages.push_back(grid.make_message("query", NodeId(i), {}));
      }
      for (const Message& reply : grid.send_and_receive(std::move(messages))) {
        draws += fmt::format("{} ", reply.metrics().real("draw"));
      }
      return draws;
    };
    const std::string before = ask();
    const ArrayRecord model{
        {"w", Array::copy_of<float>(std::vector<float>(kElements, 0.5F), {kElements})},
        {"unused", Array::of<int64_t>({1, 2})}};
    const RoundsResult result = run_rounds(grid, context, strategy, model, {.rounds = 4});
    std::string metrics;
    for (const auto& [name, value] : result.metrics) {
      metrics += fmt::format("{}={} ", name, result.metrics.real(name));
    }
    return fmt::format("{}\n{}\n{}\n{}", before, ask(), metrics, safetensors_sha256(result.arrays));
  }

  // A run of its own.
  void begin() {
    runtime = std::make_unique<SilentRuntime>();
    run.runtime = runtime.get();
  }
  std::string simulated(const Strategy& strategy) {
    begin();
    Simulation simulation(client, run, {.threads = 3});
    return play(simulation, Context(run), strategy);
  }
  std::string deployed(const Strategy& strategy) {
    begin();
    auto ends = or_throw(Channel::make_pair());
    const Hub hub(std::move(ends.first), client, run);
    runner::HubGrid grid(Channel(std::move(ends.second)), run);
    return play(grid, Context(run), strategy);
  }

  std::unique_ptr<SilentRuntime> runtime;
  umbel::Run run{.id = RunId(3), .seed = 11, .nodes = 5};
  ClientApp client;
};

TEST_F(EqualityTest, TheSameAppGivesTheSameBitsInBothRuntimes) {
  const Strategy plain = fed_avg({.clients_train = 4, .clients_evaluate = 2});
  const Strategy adam = fed_adam({.clients_evaluate = 5});
  Strategy weighed = plain;
  weighed.fold.weight = [](const MetricRecord& metrics) {
    return metrics.contains("loss") ? 1 + metrics.real("loss") : 1;
  };
  for (const Strategy& strategy : {plain, adam, weighed}) {
    const std::string expected = simulated(strategy);
    EXPECT_EQ(deployed(strategy), expected) << strategy.name;
  }
}

}  // namespace
}  // namespace umbel
