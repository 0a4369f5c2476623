#include <nlohmann/json.hpp>

#include "commands.h"
#include "find_run.h"
#include "lenses.h"
#include "report_figures.h"
#include "report_file.h"

namespace umbel::cli {

int run_report(const ReportOptions& given, const Output& output) {
  ReportOptions options = given;
  const auto chosen = run_or_latest(given.run);
  if (!chosen.ok()) return output.fail(chosen.status());
  options.run = *chosen;
  auto found = find_run(options.run, options.link);
  if (!found.ok()) return output.fail_on(options.link, found.status());
  std::string file = options.output;
  if (file.empty() && !options.link.empty()) file = fmt::format("run-{}.html", options.run);
  const auto path = write_report(found->history, options.run, file);
  if (!path.ok()) return output.fail(path.status());
  const auto rounds = found->history.rounds(found->run.id);
  const auto records = found->history.records(found->run.id);
  if (!rounds.ok()) return output.fail(rounds.status());
  if (!records.ok()) return output.fail(records.status());
  output.say(*path);
  output.result({{"run-id", options.run},
                 {"report", *path},
                 {"lenses", json_of(lenses_of(found->run, *rounds, *records))},
                 {"published", json_of_figures(*records)}});
  return kDone;
}

}  // namespace umbel::cli
