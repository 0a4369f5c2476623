#pragma once

#include <cstdint>

#include "umbel/data/generate.h"

namespace umbel::data {

struct SensorOptions {
  uint64_t machines = 50;       // 1 to 2^31 - 1
  uint64_t channels = 8;        // 1 to 1,024
  uint64_t window = 16;         // cycles of an example: 1 to life_min
  uint64_t stride = 4;          // cycles from one example to the next: 1 or more
  uint64_t life_min = 100;      // cycles until a machine fails: 1 to life_max
  uint64_t life_max = 300;      // at most 1,000,000
  uint64_t horizon = 30;        // label 1: it fails within so many cycles
  double noise = 0.1;           // standard deviation of a reading; wear moves one by about 1
  double machine_spread = 0.3;  // how much the machines' readings differ when new
  uint64_t seed = 0;
};

// Machines that run until they fail, told by their sensors (in the manner of C-MAPSS, Saxena et al.
// 2008).  A machine of life L has the health h(t) = 1 - (t / L)^p at cycle t, p of 2, 3 or 4; a
// channel reads level + gain (1 - h(t)) + load + noise, with gains of its own and one of three
// loads in each cycle.  Examples are machine by machine and in the order of time; machine m does
// not depend on how many machines there are.
struct SensorSeries {
  // features float32 [n, window, channels], oldest cycle first; labels 1 if the machine fails
  // within the horizon, or else 0; natural_ids the machine.
  Dataset windows;
  Array remaining;  // float32 [n]: cycles left after the window's last, for regression
  Array cycles;     // int32 [n]: the window's last cycle, 1 when the machine was new
};
// Errors as the other generators'.
Result<SensorSeries> sensor_series(const SensorOptions& options);

}  // namespace umbel::data
