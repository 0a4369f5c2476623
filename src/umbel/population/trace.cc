#include "umbel/population/trace.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <unordered_map>

#include "umbel/base/files.h"
#include "umbel/base/text.h"

namespace umbel {

namespace {

constexpr double kSecondsMax = 1e9;
constexpr double kRateMax = 1e9;
constexpr std::string_view kColumns[] = {"client", "start", "end", "speed", "down", "up"};
constexpr std::string_view kShortHeader = "client,start,end";
constexpr std::string_view kLongHeader = "client,start,end,speed,down,up";

// The next line, without its end, of which `text` loses it; nothing if it has no end.
std::optional<std::string_view> take_line(std::string_view& text) {
  const size_t end = text.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  std::string_view line = text.substr(0, end);
  text.remove_prefix(end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

template <class T>
Result<T> number_of(std::string_view field, size_t column, double least, double most) {
  T value{};
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
  const bool number = error == std::errc() && end == field.data() + field.size();
  // A NaN is in no range.
  if (number && static_cast<double>(value) >= least && static_cast<double>(value) <= most) {
    return value;
  }
  return invalid_argument("column {}: expected a number, {} to {}, got \"{}\"", kColumns[column],
                          least, most, escaped(field.substr(0, 60)));
}

// A row's fields, as many as there are columns.
Result<std::array<std::string_view, 6>> fields_of(std::string_view line, size_t columns) {
  std::array<std::string_view, 6> fields;
  const size_t found = 1 + std::ranges::count(line, ',');
  if (found != columns) {
    return invalid_argument("expected {} fields, got {}: \"{}\"", columns, found,
                            escaped(line.substr(0, 60)));
  }
  for (size_t i = 0; i != columns; ++i) {
    const size_t comma = line.find(',');
    fields[i] = line.substr(0, comma);
    line.remove_prefix(comma == std::string_view::npos ? line.size() : comma + 1);
  }
  return fields;
}

Result<Trace::Interval> interval_of(std::string_view line, bool rates, uint64_t clients) {
  UMBEL_ASSIGN_OR_RETURN(const auto fields, fields_of(line, rates ? 6 : 3));
  Trace::Interval interval{0, {}, {}, 1, 0, 0};
  UMBEL_ASSIGN_OR_RETURN(interval.client, number_of<uint64_t>(fields[0], 0, 0, 0x1p63));
  if (interval.client >= clients) {
    return invalid_argument(
        "client {}: there are {} clients, numbered from 0: more nodes in "
        "[simulation], or another trace",
        interval.client, clients);
  }
  UMBEL_ASSIGN_OR_RETURN(const double start, number_of<double>(fields[1], 1, 0, kSecondsMax));
  UMBEL_ASSIGN_OR_RETURN(const double end, number_of<double>(fields[2], 2, 0, kSecondsMax));
  interval.start = virtual_time(start);
  interval.end = virtual_time(end);
  if (interval.end <= interval.start) {
    return invalid_argument("client {}: the interval goes back in time, from {} to {}",
                            interval.client, start, end);
  }
  if (!rates) return interval;
  UMBEL_ASSIGN_OR_RETURN(const double speed, number_of<double>(fields[3], 3, 1e-6, 1e6));
  UMBEL_ASSIGN_OR_RETURN(const double down, number_of<double>(fields[4], 4, 0, kRateMax));
  UMBEL_ASSIGN_OR_RETURN(const double up, number_of<double>(fields[5], 5, 0, kRateMax));
  interval.speed = static_cast<float>(speed);
  interval.down_mbits = static_cast<float>(down);
  interval.up_mbits = static_cast<float>(up);
  return interval;
}

bool before(const Trace::Interval& a, const Trace::Interval& b) {
  return std::pair(a.client, a.start) < std::pair(b.client, b.start);
}

}  // namespace

Result<Trace> Trace::read(const std::filesystem::path& path, uint64_t clients) {
  UMBEL_ASSIGN_OR_RETURN(const std::string text, read_file(path, kBytesMax));
  return parse(text, escaped(path.string()), clients);
}

Result<Trace> Trace::parse(std::string_view text, std::string_view name, uint64_t clients) {
  Trace trace;
  std::unordered_map<uint64_t, VirtualTime> last;  // each client's last end
  const auto header = take_line(text);
  trace.has_rates_ = header == kLongHeader;
  if (!trace.has_rates_ && header != kShortHeader) {
    return invalid_argument("{}:1: expected the header \"{}\" or \"{}\"", name, kLongHeader,
                            kShortHeader);
  }
  for (uint64_t number = 2; !text.empty(); ++number) {
    const auto line = take_line(text);
    if (!line) {
      return invalid_argument(
          "{}:{}: the last line does not end: the file was cut off, or lacks a "
          "line end",
          name, number);
    }
    Result<Interval> interval = interval_of(*line, trace.has_rates_, clients);
    if (!interval.ok()) return annotate(interval.status(), fmt::format("{}:{}", name, number));
    const auto [entry, first] = last.try_emplace(interval->client, interval->end);
    if (!first && interval->start < entry->second) {
      return invalid_argument(
          "{}:{}: client {} goes back in time: this row begins at {} s, the one "
          "before it ended at {} s",
          name, number, interval->client, seconds_of(interval->start), seconds_of(entry->second));
    }
    entry->second = interval->end;
    trace.length_ = std::max(trace.length_, interval->end);
    trace.clients_ = std::max(trace.clients_, interval->client + 1);
    if (trace.intervals_.size() == kRowsMax) {
      return resource_exhausted("{}:{}: more than {} rows", name, number, kRowsMax);
    }
    trace.intervals_.push_back(*interval);
  }
  if (trace.intervals_.empty()) return invalid_argument("{}:2: the trace has no rows", name);
  std::ranges::sort(trace.intervals_, before);
  return trace;
}

const Trace::Interval* Trace::at(uint64_t client, VirtualTime time) const {
  const Interval wanted{client, time, {}, 0, 0, 0};
  const auto after = std::upper_bound(intervals_.begin(), intervals_.end(), wanted, before);
  if (after == intervals_.begin()) return nullptr;
  const Interval& interval = *(after - 1);
  return interval.client == client && time < interval.end ? &interval : nullptr;
}

const Trace::Interval* Trace::next(uint64_t client, VirtualTime time) const {
  if (const Interval* here = at(client, time)) return here;
  const Interval wanted{client, time, {}, 0, 0, 0};
  const auto after = std::upper_bound(intervals_.begin(), intervals_.end(), wanted, before);
  return after != intervals_.end() && after->client == client ? &*after : nullptr;
}

VirtualTime Trace::stays_until(const Interval& interval, VirtualTime horizon) const {
  const Interval* last = &interval;
  const Interval* end = intervals_.data() + intervals_.size();
  while (last->end <= horizon && last + 1 != end && last[1].client == last->client &&
         last[1].start == last->end) {
    ++last;
  }
  return last->end;
}

}  // namespace umbel
