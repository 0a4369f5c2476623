#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "umbel/record/array.h"

namespace umbel::data {

inline constexpr int64_t kClassesMax = 65536;
inline constexpr int64_t kExamplesMax = UINT32_MAX;  // an example's index has 32 bits

// Examples and their labels, in memory (or mapped).  A value: copies share the bytes.
struct Dataset {
  Array features;                          // [n, ...] uint8, int32 or float32
  Array labels;                            // [n] int32, each 0 to classes - 1
  int64_t classes = 0;                     // 1 to kClassesMax
  std::string name;                        // for people: "fashion-mnist/train"
  std::vector<std::string> class_names;    // of each class, or empty
  std::vector<std::string> feature_names;  // of each column of a table, or empty
  // Who an example belongs to by nature (a writer, a hospital, a machine): int32 [n], at least 0;
  // or empty, where nobody said.
  Array natural_ids;
  std::vector<std::string> natural_names;  // of each natural id, or empty

  int64_t size() const { return labels.size(); }  // examples
  // Numbers in one example.
  int64_t feature_size() const { return size() == 0 ? 0 : features.size() / size(); }
};

// INVALID_ARGUMENT, naming data set and example, unless everything above holds.  O(n).
Status check(const Dataset& dataset);

enum class Split { kTrain, kTest };

// Fashion-MNIST (Xiao, Rasul and Vollgraf 2017) from Debian's package dataset-fashion-mnist: 60,000
// or 10,000 images of 28 x 28 pixels, uint8 from 0 to 255, in 10 classes.
//
// The files are looked for in $UMBEL_FASHION_MNIST or else in Debian's folder; NOT_FOUND says how
// to install them.  Unpacking takes some tenths of a second, so the pixels are kept, unpacked,
// under $UMBEL_HOME/cache/fashion-mnist and mapped from there as long as the files are the same
// (path, size and time).  Where that cannot be written, every call unpacks: it is no error.
Result<Dataset> load_fashion_mnist(Split split);
// The same for apps: umbel::Error on failure.
Dataset fashion_mnist(Split split);

}  // namespace umbel::data
