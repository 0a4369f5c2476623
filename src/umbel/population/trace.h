#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

#include "umbel/base/status.h"
#include "umbel/population/virtual_time.h"

namespace umbel {

// When clients were there, as it was measured: a CSV file.
//
//   client,start,end,speed,down,up
//   0,0,3600,1,20,5
//   0,7200,9000,0.5,20,5
//   1,600.5,4000,2,100,50
//
// A row is an interval in which a client was there: its number, from 0; seconds since the trace
// began, start included, end not; how fast it works (1: as seconds-per-example says); 10^6 bit/s to
// and from it (0: transfers take no time).  The last three columns stand there together or not at
// all; without them those of the population hold.  The rows of one client go forward in time and do
// not overlap; rows of several clients may come in any order.  A client without rows is never
// there.
class Trace {
 public:
  static constexpr size_t kRowsMax = 20'000'000;
  static constexpr size_t kBytesMax = size_t{2} << 30;

  struct Interval {
    uint64_t client;
    VirtualTime start, end;
    float speed, down_mbits, up_mbits;
  };

  // Errors are `FILE:LINE: what is wrong`: INVALID_ARGUMENT for a header, row or number that is not
  // as above, a row that goes back in time, a client that is not below `clients`, no rows, or a
  // last line without its end (the file was cut off); RESOURCE_EXHAUSTED beyond a limit.
  static Result<Trace> read(const std::filesystem::path& path, uint64_t clients);
  static Result<Trace> parse(std::string_view text, std::string_view name, uint64_t clients);

  // The client's interval that holds `time`, or nullptr.
  const Interval* at(uint64_t client, VirtualTime time) const;
  // The client's first interval that ends after `time`, or nullptr.
  const Interval* next(uint64_t client, VirtualTime time) const;
  // The end of the time, from there on, for which the client stays without a gap.  An end
  // after `horizon` is not looked for: what is returned then is after the horizon, too.
  VirtualTime stays_until(const Interval& interval, VirtualTime horizon = kVirtualTimeMax) const;

  VirtualTime length() const { return length_; }  // the greatest end
  bool has_rates() const { return has_rates_; }
  uint64_t clients() const { return clients_; }  // the greatest number of a client, and 1

 private:
  std::vector<Interval> intervals_;  // by client, then start
  VirtualTime length_{};
  uint64_t clients_ = 0;
  bool has_rates_ = false;
};

}  // namespace umbel
