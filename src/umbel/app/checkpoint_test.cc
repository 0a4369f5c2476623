#include "umbel/app/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "umbel/app/fake_runtime_test.h"
#include "umbel/app/report_json.h"
#include "umbel/app/run_rounds.h"
#include "umbel/base/files.h"
#include "umbel/record/safetensors.h"
#include "umbel/strategy/fed_adagrad.h"
#include "umbel/strategy/fed_adam.h"
#include "umbel/strategy/fed_avg.h"
#include "umbel/strategy/fed_avg_m.h"
#include "umbel/strategy/fed_prox.h"
#include "umbel/strategy/fed_yogi.h"

namespace umbel {
namespace {

using ::testing::HasSubstr;

struct Crash {};

// Clients that draw random updates; crashes at one of its calls.
class CrashingGrid final : public Grid {
 public:
  explicit CrashingGrid(const Run& run) : run_(run) {}
  uint64_t node_count() const override { return run_.nodes; }
  MessageId next_message() const override { return MessageId(next_); }
  void set_next_message(MessageId next) override { next_ = next.value(); }
  Message make_message(std::string type, NodeId node, RecordDict content) override {
    return Message(Metadata{.id = MessageId(next_++), .destination = node, .type = std::move(type)},
                   std::move(content));
  }
  std::vector<MessageId> push(std::vector<Message>) override { return {}; }
  std::vector<Message> pull(std::span<const MessageId>, Deadline) override { return {}; }
  void forget(std::span<const MessageId>) override {}
  aggregate::FoldResult send_and_fold(const Broadcast& broadcast, const AggregationPlan& plan,
                                      Deadline) override {
    if (calls_left-- == 0) throw Crash();
    aggregate::Fold fold(plan.layout, plan.options);
    for (const uint64_t node : broadcast.nodes) {
      const Message message(Metadata{.id = MessageId(next_++),
                                     .source = kServerNode,
                                     .destination = NodeId(node),
                                     .type = broadcast.type,
                                     .round = broadcast.round},
                            broadcast.content);
      fold.add(reply(message));
    }
    Serial serial;
    return fold.finish(serial);
  }

  int calls_left = -1;  // before it crashes; below 0: it does not

 private:
  Message reply(const Message& message) const {
    Rng rng(client_seed(run_.seed, message.metadata()));
    // Round 3 fails for most: it is skipped.
    if (message.metadata().round == 3 && message.metadata().destination.value() % 4 != 0) {
      return message.reply(MessageError{MessageError::Code::kClientFailed, "no \xff data"});
    }
    ArrayRecord arrays = message.arrays();
    for (float& x : arrays["w"].mutable_view<float>()) {
      x += static_cast<float>(rng.normal() - x / 10);
    }
    return message.reply(std::move(arrays), {{"num-examples", 1 + rng.below(9)},
                                             {"loss", rng.uniform()},
                                             {"odd", message.metadata().round == 2 ? NAN : 1.0}});
  }

  const Run& run_;
  uint64_t next_ = 1;
};

// A process's runtime with a folder for checkpoints.
class KeepingRuntime final : public Runtime {
 public:
  explicit KeepingRuntime(std::filesystem::path folder) : folder_(std::move(folder)) {}
  std::optional<std::filesystem::path> next_checkpoint() override {
    return folder_ / std::to_string(++series_);
  }
  void rounds_resumed(std::span<const RoundReport> finished) override {
    for (const RoundReport& report : finished) fake.round_finished(report);
    resumed = fake.last_round();
  }
  void log(LogLevel level, std::optional<NodeId> node, std::string_view line) override {
    fake.log(level, node, line);
  }
  void rounds_planned(uint64_t rounds) override { fake.rounds_planned(rounds); }
  uint64_t last_round() const override { return fake.last_round(); }
  void round_finished(const RoundReport& report) override { fake.round_finished(report); }
  void publish(std::string_view, const MetricRecord&) override {}
  Status save(std::string_view, const ArrayRecord&) override { return absl::OkStatus(); }
  void round_model(uint64_t round, const ArrayRecord& arrays) override {
    fake.round_model(round, arrays);
  }
  void ended_early(std::string_view reason) override { fake.ended_early(reason); }
  Parallel& parallel() override { return fake.parallel(); }
  bool stop_requested() const override { return false; }

  FakeRuntime fake;
  std::optional<uint64_t> resumed;

 private:
  std::filesystem::path folder_;
  uint64_t series_ = 0;
};

class CheckpointTest : public ::testing::Test {
 protected:
  CheckpointTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "umbel-cp-XXXXXX").string();
    folder = ::mkdtemp(pattern.data());
  }
  ~CheckpointTest() override { std::filesystem::remove_all(folder); }

  static ArrayRecord model() {
    return {{"w", Array::copy_of<float>(std::vector<float>(5, 1), {5})},
            {"n", Array::of<int64_t>({3})}};
  }
  static RoundsOptions options(uint64_t rounds = 7) {
    RoundsOptions options{.rounds = rounds, .plateaus = {{"score", 4, 1e9, Better::kLower}}};
    options.evaluate = [](uint64_t round, const ArrayRecord& arrays) {
      return MetricRecord{{"score", arrays["w"].view<float>()[0] + static_cast<double>(round)}};
    };
    options.evaluate_initial = true;
    return options;
  }
  struct Outcome {
    std::string sha256;
    RoundsResult result;
    uint64_t reported = 0;  // rounds, to the last process
    std::optional<uint64_t> resumed;
    MessageId next_message;
  };
  // One process: crashes at the given call, or reaches the end.
  std::optional<Outcome> process(const Strategy& strategy, const RoundsOptions& options,
                                 int calls_left, ArrayRecord initial = model()) {
    KeepingRuntime runtime(folder);
    run.runtime = &runtime;
    CrashingGrid grid(run);
    grid.calls_left = calls_left;
    try {
      RoundsResult result = run_rounds(grid, Context(run), strategy, std::move(initial), options);
      std::string hash = safetensors_sha256(result.arrays);
      EXPECT_EQ(runtime.fake.model, result.arrays);
      return Outcome{std::move(hash), std::move(result), runtime.fake.reports.size(),
                     runtime.resumed, grid.next_message()};
    } catch (const Crash&) {
      return std::nullopt;
    }
  }
  void clear() {
    std::filesystem::remove_all(folder);
    std::filesystem::create_directory(folder);
  }
  static bool equal(const RoundReport& a, const RoundReport& b) {
    RoundReport left = a, right = b;
    left.seconds = right.seconds = 0;
    return report_line(left) == report_line(right);
  }

  std::filesystem::path folder;
  umbel::Run run{.id = RunId(1), .seed = 99, .nodes = 8};
};

std::vector<Strategy> strategies() {
  const double quorum = 0.5;
  return {fed_avg({.clients_train = 4, .quorum = quorum}),
          fed_avg_m({.clients_train = 4, .clients_evaluate = 3, .quorum = quorum}),
          fed_adam({.clients_train = 4, .clients_evaluate = 3, .quorum = quorum}),
          fed_yogi({.clients_train = 4, .quorum = quorum}),
          fed_adagrad({.clients_train = 4, .quorum = quorum}),
          fed_prox({.clients_train = 4, .clients_evaluate = 2, .quorum = quorum})};
}

TEST_F(CheckpointTest, ARunThatCrashesAnywhereEndsAsOneThatDoesNot) {
  for (const Strategy& strategy : strategies()) {
    clear();
    const Outcome whole = *process(strategy, options(), -1);
    ASSERT_GT(whole.result.history.size(), 4u);
    bool crashed = true;
    for (int calls = 0; crashed; ++calls) {
      SCOPED_TRACE(fmt::format("{}, crash at call {}", strategy.name, calls));
      clear();
      crashed = !process(strategy, options(), calls);
      const Outcome resumed = *process(strategy, options(), -1);
      EXPECT_EQ(resumed.sha256, whole.sha256);
      EXPECT_EQ(resumed.result.rounds, whole.result.rounds);
      EXPECT_EQ(resumed.result.stopped_because, whole.result.stopped_because);
      EXPECT_EQ(resumed.next_message, whole.next_message);
      EXPECT_EQ(resumed.reported, whole.reported);
      EXPECT_TRUE(std::ranges::equal(resumed.result.history, whole.result.history, &equal));
      EXPECT_EQ(fmt::format("{}", resumed.result.metrics.real("score")),
                fmt::format("{}", whole.result.metrics.real("score")));
    }
  }
}

TEST_F(CheckpointTest, ARunThatCrashesAfterEveryRoundEndsAsOneThatDoesNot) {
  const Strategy strategy = fed_adam({.clients_train = 4, .quorum = 0.5});
  const Outcome whole = *process(strategy, options(), -1);
  clear();
  std::optional<Outcome> end;
  for (int processes = 0; !end; ++processes) {
    ASSERT_LE(processes, 10);
    end = process(strategy, options(), 1);
  }
  EXPECT_EQ(end->sha256, whole.sha256);
  EXPECT_EQ(end->result.stopped_because, whole.result.stopped_because);
}

TEST_F(CheckpointTest, ASeriesThatWasOverReturnsItsResultAtOnce) {
  const Outcome whole = *process(fed_avg(), options(2), -1);
  const Outcome again = *process(fed_avg(), options(2), 0);  // would crash at the first message
  EXPECT_EQ(again.sha256, whole.sha256);
  EXPECT_EQ(again.result.rounds, 2u);
  EXPECT_EQ(again.resumed, 2u);
  EXPECT_EQ(again.result.stopped_because, "all 2 rounds are done");
}

TEST_F(CheckpointTest, ACheckpointOfAnotherRunIsRefusedByName) {
  (void)process(fed_avg(), options(5), 3);
  const auto refusal = [&](const Strategy& strategy, const RoundsOptions& options,
                           ArrayRecord initial = model()) {
    try {
      (void)process(strategy, options, -1, std::move(initial));
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), absl::StatusCode::kInvalidArgument);
      EXPECT_THAT(error.what(), HasSubstr((folder / "1").string()));
      return std::string(error.what());
    }
    return std::string("none");
  };
  EXPECT_THAT(refusal(fed_adam(), options(5)),
              HasSubstr("strategy fed-avg, this run has fed-adam"));
  EXPECT_THAT(refusal(fed_avg(), options(6)), HasSubstr("last round 5, this run has 6"));
  EXPECT_THAT(refusal(fed_avg(), options(5), {{"w", Array::of<float>({1})}}),
              HasSubstr("array \"w\": float32[5], the round expects float32[1]"));
  run.seed = 98;
  EXPECT_THAT(refusal(fed_avg(), options(5)), HasSubstr("seed 99, this run has 98"));
  run.seed = 99;
  run.nodes = 9;
  EXPECT_THAT(refusal(fed_avg(), options(5)), HasSubstr("population 8, this run has 9"));
}

TEST_F(CheckpointTest, TheRestOfAnUnfinishedWriteIsOverwritten) {
  const Outcome whole = *process(fed_avg(), options(4), -1);
  clear();
  (void)process(fed_avg(), options(4), 2);
  std::ofstream(folder / "1.history", std::ios::app) << R"({"round":3,"sec)";
  std::ofstream(folder / "1.tmp-1-1") << "half";
  const Outcome resumed = *process(fed_avg(), options(4), -1);
  EXPECT_EQ(resumed.sha256, whole.sha256);
  EXPECT_EQ(resumed.resumed, 2u);
  const Outcome again = *process(fed_avg(), options(4), 0);
  EXPECT_EQ(again.result.history.size(), whole.result.history.size());
}

TEST_F(CheckpointTest, DamagedFilesAreRefusedByName) {
  (void)process(fed_adam(), options(4), 3);
  const std::string good = or_throw(read_file(folder / "1", 1 << 20));
  const auto refusal = [&](const std::string& bytes) {
    std::ofstream(folder / "1", std::ios::binary) << bytes;
    const auto kept = CheckpointFile(folder / "1").read();
    EXPECT_EQ(kept.status().code(), absl::StatusCode::kDataLoss);
    return message_of(kept.status());
  };
  const auto with = [&](std::string_view from, std::string_view to) {
    std::string bad = good;
    const size_t at = bad.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    EXPECT_EQ(from.size(), to.size());
    return refusal(bad.replace(at, from.size(), to));
  };
  EXPECT_THAT(refusal(""), HasSubstr("1: not a checkpoint"));
  EXPECT_THAT(refusal(good.substr(0, 40)), HasSubstr("a header of"));
  EXPECT_THAT(refusal(good.substr(0, good.size() - 1)), HasSubstr("the file ends before array"));
  EXPECT_THAT(refusal(good + "x"), HasSubstr("1 bytes too many"));
  EXPECT_THAT(with("UMBELCP1", "UMBELCP2"), HasSubstr("not a checkpoint"));
  EXPECT_THAT(with("{\"strategy\"", "[\"strategy\""), HasSubstr("not JSON"));
  EXPECT_THAT(with("\"seed\"", "\"sead\""), HasSubstr("seed"));
  EXPECT_THAT(with("\"int64\",[1]", "\"int64\",[9]"), HasSubstr("array"));
  EXPECT_THAT(with("float32", "float99"), HasSubstr("no dtype"));
  EXPECT_THAT(with("\"history-bytes\":1", "\"history-bytes\":9"), HasSubstr("1.history"));
  std::ofstream(folder / "1", std::ios::binary) << good;
  EXPECT_TRUE(CheckpointFile(folder / "1").read().ok());
  std::filesystem::remove(folder / "1.history");
  EXPECT_FALSE(CheckpointFile(folder / "1").read().ok());
}

TEST_F(CheckpointTest, ARunWhoseCheckpointsCannotBeKeptGoesOn) {
  const Outcome whole = *process(fed_avg(), options(3), -1);
  std::filesystem::remove_all(folder);
  KeepingRuntime runtime(folder);
  run.runtime = &runtime;
  CrashingGrid grid(run);
  const RoundsResult result = run_rounds(grid, Context(run), fed_avg(), model(), options(3));
  EXPECT_EQ(safetensors_sha256(result.arrays), whole.sha256);
  EXPECT_THAT(runtime.fake.lines,
              ::testing::Contains(HasSubstr("the checkpoint could not be kept")));
}

TEST(ReportLineTest, EveryReportComesBackBitByBit) {
  RoundReport report{.round = 3, .seconds = 0.1, .clients = 5, .failures = 2};
  report.failure_reasons = {{"client-failed", 2}};
  report.bytes_down = UINT64_MAX;
  report.train = {{"loss \xff", NAN},
                  {"up", INFINITY},
                  {"down", -INFINITY},
                  {"zero", -0.0},
                  {"third", 1.0 / 3},
                  {"whole", 1.0},
                  {"count", INT64_MIN},
                  {"reals", std::vector<double>{0.5, NAN}},
                  {"none", std::vector<double>()},
                  {"integers", std::vector<int64_t>{1, -2}}};
  report.note = "skipped: \"\n\xc3\xbc";
  report.failure_samples = {{7, "client-failed", "why \x80"}};
  const RoundReport again = or_throw(parse_report_line(report_line(report)));
  EXPECT_EQ(report_line(again), report_line(report));
  EXPECT_EQ(again.bytes_down, UINT64_MAX);
  EXPECT_TRUE(std::isnan(again.train.real("loss \xff")));
  EXPECT_TRUE(std::signbit(again.train.real("zero")));
  EXPECT_EQ(again.train["whole"], MetricValue(1.0));
  EXPECT_EQ(again.train["none"], MetricValue(std::vector<double>()));
  EXPECT_EQ(again.train.integer("count"), INT64_MIN);
  EXPECT_EQ(again.note, report.note);
  EXPECT_EQ(again.failure_samples[0].reason, "why \x80");
}

TEST(ReportLineTest, OtherLinesAreRefused) {
  const std::string good = report_line({});
  for (const std::string& bad :
       {std::string(), std::string("{}"), std::string("[]"), good.substr(1),
        std::string(R"({"round":-1)") + good.substr(10), std::string(1000, '[')}) {
    EXPECT_FALSE(parse_report_line(bad).ok()) << bad;
  }
  EXPECT_FALSE(text_as_bytes("\xe2\x82\xac").ok());
}

}  // namespace
}  // namespace umbel
