#include "report_rounds.h"

#include <algorithm>
#include <functional>

#include "report_source.h"
#include "report_svg.h"
#include "text_format.h"

namespace umbel::cli {

namespace {

constexpr size_t kTableRowsMax = 500;
constexpr size_t kNoteBytesMax = 300;
constexpr const char* kNote = "note";

// A column of the table of rounds; empty cells say that a round has nothing there.
struct Column {
  std::string name;
  std::function<std::string(const RoundEvent&)> cell;
};

std::string note_of(const RoundEvent& round) {
  std::string note = round.note.substr(0, kNoteBytesMax);
  if (!round.failure_reasons.empty()) {
    note += (note.empty() ? "" : "; ") + reasons_summary(round.failure_reasons);
  }
  return note;
}

// Those that have something in any round.
std::vector<Column> columns_of(const std::vector<RoundEvent>& rounds) {
  std::vector<Column> columns = {
      {"round", [](const RoundEvent& round) { return std::to_string(round.round); }}};
  for (const char* name : {"accuracy", "loss"}) {
    for (const Source& source : kSources) {
      columns.push_back({fmt::format("{}, {}", name, source.name), [=](const RoundEvent& round) {
                           const auto value = find_real(round.*source.metrics, name);
                           return value ? metric_text(*value) : std::string();
                         }});
    }
  }
  columns.push_back({"clients", [](const RoundEvent& round) { return count_text(round.clients); }});
  columns.push_back({"failed", [](const RoundEvent& round) {
                       return round.failures == 0 ? std::string() : count_text(round.failures);
                     }});
  columns.push_back({"down", [](const RoundEvent& round) { return bytes_text(round.bytes_down); }});
  columns.push_back({"up", [](const RoundEvent& round) { return bytes_text(round.bytes_up); }});
  columns.push_back({"time", [](const RoundEvent& round) { return seconds_text(round.seconds); }});
  columns.push_back({"virtual time", [](const RoundEvent& round) {
                       const auto& in = round.virtual_time;
                       return in ? seconds_text(in->seconds) : std::string();
                     }});
  columns.push_back({"asked", [](const RoundEvent& round) {
                       const auto& in = round.virtual_time;
                       return in ? count_text(in->asked) : std::string();
                     }});
  columns.push_back({kNote, note_of});
  std::erase_if(columns, [&](const Column& column) {
    return std::all_of(rounds.begin(), rounds.end(),
                       [&](const RoundEvent& round) { return column.cell(round).empty(); });
  });
  return columns;
}

std::string row(const std::vector<Column>& columns, const RoundEvent& round) {
  std::string text = "<tr>";
  for (const Column& column : columns) {
    const std::string cell = html_escaped(column.cell(round));
    const bool note = column.name == kNote;
    text += fmt::format("<td{}>{}</td>", note ? " class=\"note\"" : "",
                        cell.empty() && !note ? "–" : cell);
  }
  return text + "</tr>\n";
}

}  // namespace

std::string round_table(const std::vector<RoundEvent>& rounds) {
  if (rounds.empty()) return "";
  const size_t every = (rounds.size() + kTableRowsMax - 1) / kTableRowsMax;
  std::string text = "<h2>Rounds</h2>\n";
  if (every > 1) {
    text += fmt::format("<p class=\"soft\">One in {} of {} rounds is shown, and the last.</p>\n",
                        every, count_text(static_cast<int64_t>(rounds.size())));
  }
  text += fmt::format(
      "<details class=\"card\"{}><summary>Every round in figures</summary><table><thead><tr>",
      rounds.size() <= 50 ? " open" : "");
  const std::vector<Column> columns = columns_of(rounds);
  for (const Column& column : columns) {
    text +=
        fmt::format("<th{}>{}</th>", column.name == kNote ? " class=\"left\"" : "", column.name);
  }
  text += "</tr></thead><tbody>\n";
  for (size_t i = 0; i != rounds.size(); ++i) {
    if (i % every == 0 || i + 1 == rounds.size()) text += row(columns, rounds[i]);
  }
  return text + "</tbody></table></details>\n";
}

}  // namespace umbel::cli
