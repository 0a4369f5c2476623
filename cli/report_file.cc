#include "report_file.h"

#include "report_html.h"
#include "umbel/base/files.h"

namespace umbel::cli {

namespace fs = std::filesystem;

Result<std::string> write_report(History& history, int64_t run, const std::string& file) {
  ReportData data;
  UMBEL_ASSIGN_OR_RETURN(data.run, history.run(run));
  UMBEL_ASSIGN_OR_RETURN(data.rounds, history.rounds(run));
  UMBEL_ASSIGN_OR_RETURN(data.settings, history.settings(run));
  UMBEL_ASSIGN_OR_RETURN(data.records, history.records(run));
  UMBEL_ASSIGN_OR_RETURN(data.artifacts, history.artifacts(run));
  UMBEL_ASSIGN_OR_RETURN(data.energy, read_energy_factors());
  const fs::path path =
      file.empty() ? fs::path(data.run.folder) / "report.html" : fs::absolute(file);
  UMBEL_RETURN_IF_ERROR(write_file_atomic(path, report_html(data)));
  if (file.empty()) UMBEL_RETURN_IF_ERROR(history.set_report(run, path.string()));
  return path.string();
}

}  // namespace umbel::cli
