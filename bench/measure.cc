#include "bench/measure.h"

#include <fmt/core.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace umbel::bench {

double time_of(const std::function<void()>& body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

Spread spread_of(std::vector<double> values) {
  std::ranges::sort(values);
  const size_t n = values.size();
  const double median = n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
  return {median, values.front(), values.back()};
}

Pairs in_turn(size_t pairs, const std::function<double()>& a, const std::function<double()>& b) {
  a();
  b();
  std::vector<double> as;
  std::vector<double> bs;
  std::vector<double> ratios;
  for (size_t pair = 0; pair != pairs; ++pair) {
    const bool a_first = pair % 2 == 0;
    double first = a_first ? a() : b();
    double second = a_first ? b() : a();
    if (!a_first) std::swap(first, second);
    as.push_back(first);
    bs.push_back(second);
    ratios.push_back(second / first);
  }
  return {spread_of(as), spread_of(bs), spread_of(ratios), pairs};
}

void print(const Row& row) {
  std::string line =
      fmt::format(R"({{"id": "{}", "case": "{}", "ours": {:.6g}, "unit": "{}", "runs": {})", row.id,
                  row.what, row.ours, row.unit, row.runs);
  if (!row.peer.empty()) {
    line += fmt::format(
        R"(, "peer": "{}", "peer-value": {:.6g}, "ratio": {:.4g}, "ratio-min": {:.4g}, "ratio-max": {:.4g})",
        row.peer, row.peer_value, row.ratio.median, row.ratio.least, row.ratio.most);
  }
  if (row.floor > 0) {
    const double share = row.higher_is_better ? row.ours / row.floor : row.floor / row.ours;
    line += fmt::format(R"(, "floor": {:.6g}, "share-of-floor": {:.3f})", row.floor, share);
  }
  fmt::print("{}}}\n", line);
  std::fflush(stdout);
}

size_t resident_bytes() {
  size_t pages = 0;
  size_t resident = 0;
  if (std::FILE* file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%zu %zu", &pages, &resident) != 2) resident = 0;
    std::fclose(file);
  }
  return resident * static_cast<size_t>(::sysconf(_SC_PAGESIZE));
}

size_t resident_bytes_most() {
  struct rusage usage {};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<size_t>(usage.ru_maxrss) * 1024;
}

}  // namespace umbel::bench
