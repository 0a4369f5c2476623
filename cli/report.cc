#include <nlohmann/json.hpp>

#include "commands.h"
#include "find_run.h"
#include "report_file.h"

namespace umbel::cli {

int run_report(const ReportOptions& options, const Output& output) {
  auto found = find_run(options.run, options.link);
  if (!found.ok()) return output.fail(found.status());
  const auto path = write_report(found->history, options.run, options.output);
  if (!path.ok()) return output.fail(path.status());
  output.say(*path);
  output.result({{"run-id", options.run}, {"report", *path}});
  return kDone;
}

}  // namespace umbel::cli
