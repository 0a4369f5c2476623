#include <span>

#include "umbel/base/check.h"
#include "umbel/data/array_dataset.h"
#include "umbel/data/summary.h"
#include "umbel/record/npz.h"

// Whatever arrays an archive holds: they become a data set that holds to its rules, or an error.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace umbel;
  const auto arrays = parse_npz(Buffer::copy_of(std::as_bytes(std::span(data, size))));
  if (!arrays.ok()) return 0;
  data::ArrayNames names;
  if (arrays->contains("who")) names.natural_ids = "who";
  const Result<data::Dataset> dataset = data::to_dataset(*arrays, names, "input");
  if (!dataset.ok()) return 0;
  UMBEL_CHECK(data::check(*dataset).ok() && dataset->size() > 0);
  const data::Summary summary = data::summarize(*dataset);
  int64_t examples = 0;
  for (const int64_t count : summary.class_counts) examples += count;
  UMBEL_CHECK(examples == dataset->size());
  UMBEL_CHECK(summary.nan + summary.infinite <= dataset->features.size());
  return 0;
}
