#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "umbel/data/generate.h"
#include "umbel/data/generate_normal.h"
#include "umbel/data/generate_options.h"

namespace umbel::data {

namespace {

constexpr size_t kSpots = 6;  // of a pattern

// A class's pattern: square, from about -1 to 1, 0 at its edge.
class Pattern {
 public:
  Pattern(Rng rng, size_t side) : side_(side), values_(side * side, 0.0) {
    for (size_t spot = 0; spot != kSpots; ++spot) {
      const double x = 0.2 + 0.6 * rng.uniform();
      const double y = 0.2 + 0.6 * rng.uniform();
      const double radius = 0.12 + 0.08 * rng.uniform();
      add_spot(x, y, radius, spot % 2 == 0 ? 1 : -1);
    }
  }
  size_t side() const { return side_; }
  double at(size_t row, size_t column) const { return values_[row * side_ + column]; }

 private:
  // (1 - (d / radius)^2)^2 within the radius: smooth, without an exponential.
  void add_spot(double x, double y, double radius, double sign) {
    for (size_t row = 0; row != side_; ++row) {
      for (size_t column = 0; column != side_; ++column) {
        const double dx = (static_cast<double>(column) + 0.5) / static_cast<double>(side_) - x;
        const double dy = (static_cast<double>(row) + 0.5) / static_cast<double>(side_) - y;
        const double inside = 1 - (dx * dx + dy * dy) / (radius * radius);
        if (inside > 0) values_[row * side_ + column] += sign * inside * inside;
      }
    }
  }

  size_t side_;
  std::vector<double> values_;
};

// How a client's scanner sees.
struct Scanner {
  double contrast = 1;
  double brightness = 0;
};

Scanner scanner_of(const ImageOptions& options, uint64_t client) {
  Rng rng = stream(options.seed, Stream::kClient, client);
  const double contrast = 2 * rng.uniform() - 1;
  const double brightness = 2 * rng.uniform() - 1;
  return {1 + 0.7 * options.client_spread * contrast, 80 * options.client_spread * brightness};
}

// Two nearly normal numbers of 64 bits: sums of four bytes each, of variance 1.
struct PixelNoise {
  double first;
  double second;
};
PixelNoise pixel_noise(Rng& rng) {
  constexpr double kScale = 1 / 147.80054127099805;  // sqrt(4 (256^2 - 1) / 12)
  uint64_t bits = rng.bits();
  int64_t sums[2] = {-510, -510};
  for (int byte = 0; byte != 8; ++byte, bits >>= 8) {
    sums[byte / 4] += static_cast<int64_t>(bits & 0xff);
  }
  return {kScale * static_cast<double>(sums[0]), kScale * static_cast<double>(sums[1])};
}

uint8_t pixel(double value) {
  return static_cast<uint8_t>(std::floor(std::clamp(value, 0.0, 255.0) + 0.5));
}

void draw(const ImageOptions& options, const Pattern& pattern, uint64_t index, Rng& rng,
          std::span<uint8_t> image) {
  const Scanner scanner = scanner_of(options, index % options.clients);
  const size_t margin = (options.side - pattern.side()) / 2 - options.shift_max;
  const size_t top = margin + rng.below(2 * options.shift_max + 1);
  const size_t left = margin + rng.below(2 * options.shift_max + 1);
  const double contrast = (0.75 + 0.5 * rng.uniform()) * scanner.contrast * 96;
  const double level = 128 + scanner.brightness + options.brightness * (2 * rng.uniform() - 1);
  PixelNoise noise{};
  for (size_t place = 0; place != image.size(); ++place) {
    const size_t row = place / options.side - top;  // wraps where the pattern does not reach
    const size_t column = place % options.side - left;
    const bool inside = row < pattern.side() && column < pattern.side();
    if (place % 2 == 0) noise = pixel_noise(rng);
    image[place] = pixel(level + (inside ? contrast * pattern.at(row, column) : 0) +
                         options.noise * (place % 2 == 0 ? noise.first : noise.second));
  }
}

}  // namespace

Result<Dataset> pattern_images(const ImageOptions& options) {
  OptionCheck check("pattern_images");
  check.within("side", options.side, 8, 512);
  check.size(options.examples, options.side * options.side, options.clients);
  check.within("classes", options.classes, 1, 1024);
  check.within("shift-max", options.shift_max, 0, options.side / 4);
  check.real("noise", options.noise, 255);
  check.real("brightness", options.brightness, 255);
  check.real("client-spread", options.client_spread, 1);
  UMBEL_RETURN_IF_ERROR(check.status());

  std::vector<Pattern> patterns;
  for (uint64_t c = 0; c != options.classes; ++c) {
    patterns.emplace_back(stream(options.seed, Stream::kModel, c), options.side / 2);
  }
  const auto n = static_cast<int64_t>(options.examples);
  const auto side = static_cast<int64_t>(options.side);
  Dataset out{.features = Array::uninitialized(DType::kUint8, {n, side, side}),
              .labels = Array::zeros(DType::kInt32, {n}),
              .classes = static_cast<int64_t>(options.classes),
              .name = "pattern images"};
  out.natural_ids = dealt_ids(options.examples, options.clients);
  const auto pixels = out.features.mutable_view<uint8_t>();
  const auto labels = out.labels.mutable_view<int32_t>();
  const size_t size = options.side * options.side;
  for (size_t i = 0; i != labels.size(); ++i) {
    Rng rng = stream(options.seed, Stream::kExample, i);
    const uint64_t label = rng.below(options.classes);
    labels[i] = static_cast<int32_t>(label);
    draw(options, patterns[label], i, rng, pixels.subspan(i * size, size));
  }
  return out;
}

}  // namespace umbel::data
