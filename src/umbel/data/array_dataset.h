#pragma once

#include <filesystem>
#include <string>

#include "umbel/data/dataset.h"
#include "umbel/record/record.h"

namespace umbel::data {

// Which arrays of a file are what.
struct ArrayNames {
  std::string features = "x";
  std::string labels = "y";
  std::string natural_ids;  // none if empty
  int64_t classes = 0;      // 0: the largest label and one
};

// Arrays as a data set.
//   features  [n, ...]: uint8, int32 and float32 as they are; bool as uint8; float16, bfloat16 and
//             float64 as float32; other integers as int32.  A number that the type cannot hold is
//             an error (NaN and infinities stay what they are), and so are complex numbers.
//   labels, natural ids  [n] or [n, 1]: whole numbers of any type, as int32.
// Nothing is copied unless its type changes: what was mapped stays mapped.
// INVALID_ARGUMENT, naming array and example, for what does not fit; NOT_FOUND, listing what there
// is, for an array that is not there.
Result<Dataset> to_dataset(const ArrayRecord& arrays, const ArrayNames& names, std::string name);

// A file's arrays (see npz.h and safetensors.h for their limits), mapped: it must not shrink while
// the data set lives.  What is deflated, or not aligned in its archive, is copied.
Result<Dataset> load_npz(const std::filesystem::path& path, const ArrayNames& names = {});
Result<Dataset> load_safetensors(const std::filesystem::path& path, const ArrayNames& names = {});
// The same for apps: umbel::Error on failure.
Dataset npz(const std::filesystem::path& path, const ArrayNames& names = {});
Dataset safetensors(const std::filesystem::path& path, const ArrayNames& names = {});

}  // namespace umbel::data
