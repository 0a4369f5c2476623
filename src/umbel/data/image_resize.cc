#include <algorithm>
#include <vector>

#include "umbel/base/check.h"
#include "umbel/data/image.h"

namespace umbel::data {

namespace {

// Where an output pixel lies over the input's, along one side.  In units of 1 / `out` input pixel,
// output i covers [i * in, (i + 1) * in), and input j is [j * out, (j + 1) * out).
struct Cover {
  int64_t first;                  // input pixel
  std::vector<uint64_t> weights;  // of it and the following; their sum is `in`
};

std::vector<Cover> covers_of(int64_t in, int64_t out) {
  std::vector<Cover> covers(static_cast<size_t>(out));
  for (int64_t i = 0; i != out; ++i) {
    const int64_t begin = i * in;
    const int64_t end = begin + in;
    Cover& cover = covers[static_cast<size_t>(i)];
    cover.first = begin / out;
    for (int64_t j = cover.first; j * out < end; ++j) {
      const int64_t overlap = std::min(end, (j + 1) * out) - std::max(begin, j * out);
      cover.weights.push_back(static_cast<uint64_t>(overlap));
    }
  }
  return covers;
}

}  // namespace

Array resize_image(const Array& image, int64_t height, int64_t width) {
  UMBEL_CHECK(height > 0 && height <= kImageSideMax && width > 0 && width <= kImageSideMax);
  const int64_t rows = image.shape()[0];
  const int64_t columns = image.shape()[1];
  if (rows == height && columns == width) return image;
  const auto channels = image.shape().size() == 3 ? static_cast<size_t>(image.shape()[2]) : 1;
  Shape shape = image.shape();
  shape[0] = height;
  shape[1] = width;
  Array result = Array::uninitialized(DType::kUint8, std::move(shape));
  const auto in = image.view<uint8_t>();
  uint8_t* out = result.mutable_view<uint8_t>().data();
  const std::vector<Cover> down = covers_of(rows, height);
  const std::vector<Cover> across = covers_of(columns, width);
  const auto area = static_cast<uint64_t>(rows * columns);
  const auto stride = static_cast<size_t>(columns) * channels;
  for (const Cover& y : down) {
    for (const Cover& x : across) {
      for (size_t channel = 0; channel != channels; ++channel) {
        const uint8_t* row = in.data() + static_cast<size_t>(y.first) * stride +
                             static_cast<size_t>(x.first) * channels + channel;
        uint64_t sum = 0;
        for (const uint64_t weight : y.weights) {
          uint64_t across_row = 0;
          for (size_t j = 0; j != x.weights.size(); ++j)
            across_row += x.weights[j] * row[j * channels];
          sum += weight * across_row;
          row += stride;
        }
        *out++ = static_cast<uint8_t>((sum + area / 2) / area);
      }
    }
  }
  return result;
}

}  // namespace umbel::data
