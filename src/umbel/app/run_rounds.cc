#include "umbel/app/run_rounds.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <optional>
#include <utility>

#include "umbel/app/checkpoint.h"

namespace umbel {

namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr uint64_t kFailuresNamedMax = 3;  // in the log, of each round
constexpr std::string_view kSkipped = "skipped: ";
constexpr uint64_t kTwinRoundsMax = 1'000'000;
constexpr VirtualTime kRetry = std::chrono::minutes(1);  // after a draw that found nobody

// A strategy for one client that has all the data: the mean of one model is that model.
Strategy pooled(Strategy strategy) {
  strategy.train = Sampler::all();
  if (!strategy.evaluate.picks_nobody()) strategy.evaluate = Sampler::all();
  strategy.optimizer = ServerOptimizer::average();
  strategy.quorum = 0;
  strategy.deadline = {};
  strategy.wrap_up = {};
  strategy.evaluate_every = 1;
  return strategy;
}

double number_of(const MetricRecord& metrics, std::string_view name) {
  const MetricValue* value = metrics.find(name);
  if (value == nullptr) return 0;
  if (const auto* integer = std::get_if<int64_t>(&value->base())) {
    return static_cast<double>(*integer);
  }
  const auto* real = std::get_if<double>(&value->base());
  return real != nullptr ? *real : 0;
}

double seconds_since(SteadyClock::time_point start) {
  return std::chrono::duration<double>(SteadyClock::now() - start).count();
}

class Loop {
 public:
  Loop(Grid& grid, const Context& context, const RoundsOptions& options)
      : grid_(grid), context_(context), options_(options) {}

  RoundsResult run(Rounds rounds) {
    const uint64_t before = rounds.round() - 1;
    identity_ = {rounds.strategy().name,   rounds.strategy().optimizer.describe(),
                 options_.action,          context_.run_seed(),
                 grid_.node_count(),       before + 1,
                 before + options_.rounds, rounds.exchange().text()};
    const bool resumed = resume(rounds);
    if (!context_.is_twin()) context_.runtime().rounds_planned(before + options_.rounds);
    if (!resumed && options_.evaluate && options_.evaluate_initial) {
      report_initial(rounds.global());
    }
    while (!rounds.over() && await_clients()) {
      run_round(rounds);
      checkpoint(rounds);
      if (context_.is_twin() && twin_is_trained(before, rounds.strategy())) break;
    }
    require_trained();
    result_.arrays = rounds.global();
    result_.rounds = rounds.round() - before - (rounds.over() ? 0 : 1);
    const bool early = result_.rounds < options_.rounds && !context_.is_twin();
    if (early) context_.runtime().ended_early(result_.stopped_because);
    return std::move(result_);
  }

 private:
  // Rounds that were each skipped, since those who were asked failed, made nothing, however few
  // they were: ABORTED, as after many in a row.
  void require_trained() const {
    const auto failed = [](const RoundReport& report) {
      return report.round == 0 || (report.failures > 0 && report.note.starts_with(kSkipped));
    };
    if (!example_ || !std::ranges::all_of(result_.history, failed)) return;
    const RoundReport& last = result_.history.back();
    throw Error(with_example(absl::AbortedError(
        fmt::format("no round changed the model: round {}: {}", last.round, last.note))));
  }

  // Whether the twin has trained on as many examples as it is to; a round that trained on none ends
  // it as well.  After its first round it is known how many it takes.
  bool twin_is_trained(uint64_t before, const Strategy& strategy) {
    const RoundReport& round = result_.history.back();
    const double examples = number_of(round.train, strategy.fold.weight_key);
    trained_on_ += examples;
    const auto wanted = static_cast<double>(context_.twin_examples());
    if (round.round == before + 1 && examples > 0) {
      const double rounds = std::clamp(std::ceil(wanted / examples), 1.0, double{kTwinRoundsMax});
      context_.runtime().rounds_planned(before + static_cast<uint64_t>(rounds));
    }
    return !(examples > 0) || trained_on_ >= wanted;
  }

  // Goes on from what an earlier process kept of this series, if it did.
  bool resume(Rounds& rounds) {
    const auto path = context_.runtime().next_checkpoint();
    if (!path) return false;
    file_.emplace(*path);
    std::optional<CheckpointFile::Kept> kept = or_throw(file_->read());
    if (!kept) return false;
    or_throw(annotate(require_same(kept->checkpoint.identity, identity_), path->string()));
    or_throw(annotate(rounds.restore(std::move(kept->checkpoint.memory)), path->string()));
    result_.stopped_because = std::move(kept->checkpoint.stopped_because);
    grid_.set_next_message(kept->checkpoint.next_message);
    context_.runtime().rounds_resumed(kept->history);
    for (const RoundReport& report : kept->history) remember(report);
    for (const RoundReport& report : kept->history) {
      if (world_ && report.virtual_time) {
        world_->advance(virtual_time(report.virtual_time->seconds));
      }
    }
    result_.history = std::move(kept->history);
    kept_ = result_.history.size();
    const uint64_t last = rounds.over() ? rounds.round() : rounds.round() - 1;
    context_.runtime().round_model(last, rounds.global());
    return true;
  }

  void checkpoint(const Rounds& rounds) {
    if (!file_) return;
    const Checkpoint checkpoint{identity_, rounds.memory(), result_.stopped_because,
                                grid_.next_message()};
    const Status status =
        file_->write(checkpoint, std::span<const RoundReport>(result_.history).subspan(kept_));
    if (status.ok()) {
      kept_ = result_.history.size();
    } else {
      context_.log(LogLevel::kWarn,
                   fmt::format("the checkpoint could not be kept: {}", message_of(status)));
    }
  }

  void report_initial(const ArrayRecord& model) {
    RoundReport report;
    const auto start = SteadyClock::now();
    report.server = options_.evaluate(0, model);
    report.seconds = seconds_since(start);
    keep(std::move(report));
  }

  // Where there is virtual time, lets it pass until somebody is there.  False once nobody will be.
  bool await_clients() {
    if (!world_) return true;
    round_began_ = world_->now();
    const Status there = world_->await_anybody();
    if (there.code() != absl::StatusCode::kOutOfRange) {
      or_throw(there);
      return true;
    }
    result_.stopped_because = message_of(there);
    return false;
  }

  std::optional<Ask> next(Rounds& rounds, RoundReport& report) {
    if (!world_) return or_throw(rounds.next());
    const Pool pool = world_->pool();
    const bool training = !report.virtual_time;
    if (training) report.virtual_time.emplace().available = world_->available();
    std::optional<Ask> ask = or_throw(rounds.next(&pool));
    if (!training) return ask;
    report.virtual_time->wanted = rounds.wanted();
    report.virtual_time->asked = ask ? ask->clients.size() : 0;
    if (report.virtual_time->asked < rounds.wanted() && !told_of_few_) {
      told_of_few_ = true;
      context_.log(LogLevel::kWarn,
                   fmt::format("round {}: {} of {} clients wanted were there; later rounds of that "
                               "kind are not told of here",
                               report.round, report.virtual_time->asked, rounds.wanted()));
    }
    if (!ask) world_->advance(kRetry);
    return ask;
  }

  void run_round(Rounds& rounds) {
    const auto start = SteadyClock::now();
    RoundReport report;
    report.round = rounds.round();
    while (const auto ask = next(rounds, report)) {
      const bool train = ask->kind == Ask::Kind::kTrain;
      const aggregate::FoldResult fold = send(*ask, rounds, report);
      note(fold, *ask, report);
      Folded folded{fold.arrays, fold.metrics, fold.replies, fold.failure_count()};
      if (train) {
        or_throw(rounds.train_done(folded));
        report.clients = fold.replies;
        report.train = fold.metrics;
      } else {
        or_throw(rounds.evaluate_done(folded));
        report.evaluate = fold.metrics;
      }
    }
    if (rounds.skipped()) report.note = fmt::format("{}{}", kSkipped, *rounds.skipped());
    if (options_.evaluate && rounds.evaluation_due()) {
      report.server = options_.evaluate(report.round, rounds.global());
    }
    report.seconds = seconds_since(start);
    if (world_) report.virtual_time->seconds = seconds_of(world_->now() - round_began_);
    const MetricRecord all = all_metrics(report);
    keep(std::move(report));
    if (!rounds.skipped()) context_.runtime().round_model(rounds.round(), rounds.global());
    const auto reason = rounds.round_finished(all);
    if (!reason.ok()) throw Error(with_example(reason.status()));
    if (*reason) result_.stopped_because = **reason;
  }

  aggregate::FoldResult send(const Ask& ask, const Rounds& rounds, RoundReport& report) {
    const bool train = ask.kind == Ask::Kind::kTrain;
    Broadcast broadcast{train ? "train" : "evaluate", ask.round, ask.clients, ask.content,
                        rounds.strategy().wrap_up};
    if (!options_.action.empty()) broadcast.type += "." + options_.action;
    const AggregationPlan plan{ask.reply_layout, rounds.strategy().fold};
    if (options_.width) {
      SlicedFold sliced = fold_by_width(grid_, broadcast, plan, rounds.strategy().deadline,
                                        rounds.exchange(), options_.width);
      report.bytes_down += sliced.bytes_down;
      return std::move(sliced.fold);
    }
    report.bytes_down += ask.content->byte_size() * ask.clients.size();
    if (options_.groups && !train) {
      return evaluate_groups(grid_, broadcast, plan, rounds.strategy().deadline, *options_.groups);
    }
    return grid_.send_and_fold(broadcast, plan, rounds.strategy().deadline);
  }

  void note(const aggregate::FoldResult& fold, const Ask& ask, RoundReport& report) {
    report.bytes_up += fold.reply_bytes;
    report.failures += fold.failure_count();
    for (const auto& [code, count] : fold.failures) {
      report.failure_reasons[std::string(name_of(code))] += count;
    }
    for (const aggregate::Failure& failure : fold.failure_samples) {
      if (report.failure_samples.size() == kFailuresNamedMax) break;
      report.failure_samples.push_back(
          {failure.node.value(), std::string(name_of(failure.error.code)), cause(failure)});
      const RoundReport::Failure& named = report.failure_samples.back();
      context_.log(LogLevel::kWarn, fmt::format("round {}: client {} failed ({}): {}", ask.round,
                                                named.node, named.kind, named.reason));
    }
    if (fold.failure_count() > kFailuresNamedMax) {
      context_.log(LogLevel::kWarn, fmt::format("round {}: {} more clients failed", ask.round,
                                                fold.failure_count() - kFailuresNamedMax));
    }
  }

  // The reason without the client's number, which error replies begin with.
  static std::string cause(const aggregate::Failure& failure) {
    const std::string number = fmt::format("client {}: ", failure.node.value());
    const std::string& reason = failure.error.reason;
    return reason.starts_with(number) ? reason.substr(number.size()) : reason;
  }

  // Why a run of failed rounds failed is what its clients said.
  Status with_example(const Status& status) const {
    if (status.code() != absl::StatusCode::kAborted || !example_) return status;
    return Status(status.code(),
                  fmt::format("{}; for example client {} ({}): {}", message_of(status),
                              example_->node, example_->kind, example_->reason));
  }

  void remember(const RoundReport& report) {
    for (const auto& [name, value] : all_metrics(report)) result_.metrics.set(name, value);
    if (!report.failure_samples.empty()) example_ = report.failure_samples.front();
  }

  void keep(RoundReport report) {
    or_throw(annotate(check_metric_count(report.server),
                      fmt::format("round {}: evaluate", report.round)));
    remember(report);
    context_.runtime().round_finished(report);
    result_.history.push_back(std::move(report));
  }

  Grid& grid_;
  const Context& context_;
  const RoundsOptions& options_;
  Checkpoint::Identity identity_;
  std::optional<CheckpointFile> file_;
  World* const world_ = grid_.world();
  VirtualTime round_began_{};
  bool told_of_few_ = false;
  double trained_on_ = 0;  // examples, in a twin
  size_t kept_ = 0;        // entries of the history that are in the file
  RoundsResult result_;
  std::optional<RoundReport::Failure> example_;  // the latest failure that was named
};

}  // namespace

RoundsResult run_rounds(Grid& grid, const Context& context, const Strategy& given,
                        ArrayRecord initial, const RoundsOptions& given_options) {
  RoundsOptions options = given_options;
  const Strategy strategy = context.is_twin() ? pooled(given) : given;
  if (context.is_twin()) {
    options.rounds = kTwinRoundsMax;
    options.targets.clear();
    options.plateaus.clear();
    options.groups.reset();  // a twin has no population
    if (options.width) options.width = [](uint64_t) { return 1.0; };
  }
  const uint64_t before = context.runtime().last_round();
  if (options.rounds == 0) throw Error(invalid_argument("rounds is 0, expected at least 1"));
  or_throw(require_widths(options.roles, options.width));
  if (options.width && options.groups) {
    throw Error(invalid_argument("groups and slices together are not in this version"));
  }
  // The mean of the model alone: what it refuses could never be trained.
  Serial serial;
  const aggregate::Addend model{&initial, 1};
  or_throw(annotate(aggregate::weighted_mean({&model, 1}, serial).status(), "the initial model"));
  RunLimits limits{.rounds = before + options.rounds,
                   .first_round = before + 1,
                   .targets = options.targets,
                   .plateaus = options.plateaus,
                   .roles = options.roles,
                   .payload = options.payload,
                   .traits = grid.traits()};
  if (options.groups) or_throw(validate(*options.groups, grid.traits()));
  if (options.evaluate && options.roles.any(Role::kPrivate) && strategy.evaluate.picks_nobody()) {
    context.log(
        LogLevel::kWarn,
        "the server evaluates a model without the private tensors, which only clients have: "
        "let clients evaluate (fraction_evaluate)");
  }
  Rounds rounds = or_throw(Rounds::make(strategy, std::move(initial), grid.node_count(),
                                        context.run_seed(), std::move(limits)));
  return Loop(grid, context, options).run(std::move(rounds));
}

}  // namespace umbel
