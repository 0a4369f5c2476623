#include "history.h"
#include "json_records.h"
#include "process_identity.h"
#include "umbel/toml/toml.h"

namespace umbel::cli {

namespace {

constexpr const char* kRunColumns =
    "SELECT id, app, version, publisher, path, status, error, exit_code, seed, nodes, threads, "
    "started_ms, ended_ms, seconds, rounds_planned, rounds, clients, failures, failure_reasons, "
    "bytes_down, bytes_up, metrics, model_sha256, report, folder, machine, log_lines_dropped, "
    "pid, start_ticks, boot, reason, link, link_run, virtual_seconds FROM runs ";

Run run_of(const Statement& row) {
  Run run;
  int column = 0;
  run.id = row.integer(column++);
  for (std::string* text :
       {&run.app, &run.version, &run.publisher, &run.path, &run.status, &run.error}) {
    *text = row.text(column++);
  }
  for (int64_t* number :
       {&run.exit_code, &run.seed, &run.nodes, &run.threads, &run.started_ms, &run.ended_ms}) {
    *number = row.integer(column++);
  }
  run.seconds = row.real(column++);
  for (int64_t* number : {&run.rounds_planned, &run.rounds, &run.clients, &run.failures}) {
    *number = row.integer(column++);
  }
  run.failure_reasons = reasons_from_text(row.text(column++));
  run.bytes_down = row.integer(column++);
  run.bytes_up = row.integer(column++);
  run.metrics = metrics_from_text(row.text(column++));
  for (std::string* text : {&run.model_sha256, &run.report, &run.folder, &run.machine}) {
    *text = row.text(column++);
  }
  run.log_lines_dropped = row.integer(column++);
  run.process.pid = row.integer(column++);
  run.process.start_ticks = row.integer(column++);
  run.process.boot = row.text(column++);
  run.reason = row.text(column++);
  run.link = row.text(column++);
  run.link_run = row.integer(column++);
  if (const double seconds = row.real(column); seconds >= 0) run.virtual_seconds = seconds;
  return run;
}

RoundEvent round_of(const Statement& row) {
  RoundEvent round;
  round.round = row.integer(0);
  round.seconds = row.real(1);
  round.elapsed = row.real(2);
  round.clients = row.integer(3);
  round.failures = row.integer(4);
  round.failure_reasons = reasons_from_text(row.text(5));
  round.bytes_down = row.integer(6);
  round.bytes_up = row.integer(7);
  round.train = metrics_from_text(row.text(8));
  round.evaluate = metrics_from_text(row.text(9));
  round.server = metrics_from_text(row.text(10));
  round.note = row.text(11);
  round.failure_samples = samples_from_text(row.text(12));
  if (row.real(13) >= 0) {
    round.virtual_time = {row.real(13), row.integer(14), row.integer(15), row.integer(16)};
  }
  return round;
}

}  // namespace

// Only what changes needs the write lock, so that listing runs does not wait for them.
Status History::mark_interrupted() {
  std::vector<Run> gone;
  Statement running =
      database_.prepare((std::string(kRunColumns) + "WHERE status = 'running'").c_str());
  while (running.step()) {
    Run run = run_of(running);
    if (!is_alive(run.process)) gone.push_back(std::move(run));
  }
  UMBEL_RETURN_IF_ERROR(running.status());
  for (const Run& run : gone) {
    Statement mark = database_.prepare(
        run.link.empty()
            ? "UPDATE runs SET status = 'failed', exit_code = 1, error = 'interrupted: the program "
              "that ran it was killed or the machine went down' WHERE id = ? AND status = 'running'"
            : "UPDATE runs SET status = 'detached' WHERE id = ? AND status = 'running'");
    UMBEL_RETURN_IF_ERROR(mark.bind(run.id).run());
  }
  return absl::OkStatus();
}

Result<std::vector<Run>> History::runs(const RunFilter& filter) {
  UMBEL_RETURN_IF_ERROR(mark_interrupted());
  const std::string sql = std::string(kRunColumns) +
                          "WHERE (?1 = '' OR status = ?1) AND (?2 = '' OR app = ?2) "
                          "ORDER BY id DESC LIMIT ?3";
  Statement select = database_.prepare(sql.c_str());
  select.bind(filter.status).bind(filter.app).bind(filter.limit == 0 ? -1 : filter.limit);
  std::vector<Run> runs;
  while (select.step()) runs.push_back(run_of(select));
  UMBEL_RETURN_IF_ERROR(select.status());
  return runs;
}

Result<Run> History::run(int64_t id) {
  UMBEL_RETURN_IF_ERROR(mark_interrupted());
  Statement select = database_.prepare((std::string(kRunColumns) + "WHERE id = ?").c_str());
  select.bind(id);
  if (select.step()) return run_of(select);
  UMBEL_RETURN_IF_ERROR(select.status());
  Statement last = database_.prepare("SELECT max(id) FROM runs");
  const int64_t greatest = last.step() ? last.integer(0) : 0;
  if (greatest == 0) return not_found("run {}: there are no runs yet", id);
  return not_found("run {}: no such run; the latest is {}, and `umbel ls` lists them", id,
                   greatest);
}

Result<std::vector<RoundEvent>> History::rounds(int64_t run) {
  Statement select = database_.prepare(
      "SELECT round, seconds, elapsed, clients, failures, failure_reasons, bytes_down, bytes_up, "
      "train, evaluate, server, note, failure_samples, virtual_seconds, wanted, asked, available "
      "FROM rounds WHERE run = ? ORDER BY round");
  select.bind(run);
  std::vector<RoundEvent> rounds;
  while (select.step()) rounds.push_back(round_of(select));
  UMBEL_RETURN_IF_ERROR(select.status());
  return rounds;
}

Result<std::vector<Setting>> History::settings(int64_t run) {
  Statement select =
      database_.prepare("SELECT key, value, origin FROM settings WHERE run = ? ORDER BY position");
  select.bind(run);
  std::vector<Setting> settings;
  while (select.step()) {
    const auto entries = parse_toml("x = " + select.text(1), "history.db");
    if (!entries.ok() || entries->size() != 1 || !entries->front().value) {
      return data_loss("run {}: the setting \"{}\" is damaged in history.db", run, select.text(0));
    }
    settings.push_back({select.text(0), *entries->front().value, select.text(2)});
  }
  UMBEL_RETURN_IF_ERROR(select.status());
  return settings;
}

Result<std::vector<RecordEvent>> History::records(int64_t run) {
  Statement select =
      database_.prepare("SELECT name, metrics FROM records WHERE run = ? ORDER BY name");
  select.bind(run);
  std::vector<RecordEvent> records;
  while (select.step()) records.push_back({select.text(0), metrics_from_text(select.text(1))});
  UMBEL_RETURN_IF_ERROR(select.status());
  return records;
}

Result<std::vector<ArtifactEvent>> History::artifacts(int64_t run) {
  Statement select =
      database_.prepare("SELECT name, bytes, sha256 FROM artifacts WHERE run = ? ORDER BY name");
  select.bind(run);
  std::vector<ArtifactEvent> artifacts;
  while (select.step()) {
    artifacts.push_back({select.text(0), select.integer(1), select.text(2)});
  }
  UMBEL_RETURN_IF_ERROR(select.status());
  return artifacts;
}

Status History::log(int64_t run, const std::string& side, int64_t sequence, int64_t last,
                    const std::function<void(const LogLine&)>& line) {
  Statement select = database_.prepare(
      "SELECT * FROM (SELECT sequence, time_ms, side, level, node, message FROM log WHERE "
      "run = ?1 AND sequence > ?2 AND (?3 = 'all' OR side = ?3) ORDER BY sequence DESC "
      "LIMIT ?4) ORDER BY sequence");
  select.bind(run).bind(sequence).bind(side).bind(last == 0 ? -1 : last);
  while (select.step()) {
    line({select.integer(0), select.integer(1), select.text(2), select.text(3), select.integer(4),
          select.text(5)});
  }
  return select.status();
}

}  // namespace umbel::cli
