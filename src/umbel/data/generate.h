#pragma once

#include <cstdint>
#include <string>

#include "umbel/data/dataset.h"

namespace umbel::data {

// Data made from a seed: for trying an idea before there are data, and for tests whose right answer
// is known.  The same options give the same bytes on every machine and with every compiler: only
// integers, IEEE 754's + - * / and sqrt make them, and no mathematical library.
//
// Example i depends on the seed and on the other options, but not on how many examples there are: a
// smaller data set is the beginning of a larger one.  It belongs to client i % clients, its natural
// id.  "Normal" numbers are nearly so (generate_normal.h).
//
// INVALID_ARGUMENT, naming generator and option, for an option out of its range;
// RESOURCE_EXHAUSTED for more than kGeneratedNumbersMax features in all.  Nothing else fails.
inline constexpr uint64_t kGeneratedNumbersMax = uint64_t{1} << 32;

// Examples with a number each to predict.
struct Regression {
  Array features;      // float32 [n, features]
  Array targets;       // float32 [n]
  Array natural_ids;   // int32 [n]
  Array coefficients;  // float32 [features + 1]: what the clients have in common, the offset last
  std::string name;
};

struct LinearOptions {
  uint64_t examples = 10'000;
  uint64_t features = 20;     // 1 to 65,536
  uint64_t classes = 2;       // of linear_classes(): 2 to 1,024
  uint64_t clients = 10;      // 1 to 2^31 - 1
  double noise = 0.1;         // standard deviation of what is added to the score
  double model_spread = 0;    // how far the clients' coefficients lie from the common ones
  double feature_spread = 0;  // how far the means of their features lie from 0
  uint64_t seed = 0;
};
// A linear model, and clients who depart from it in two ways, as in Synthetic(alpha, beta) of Li et
// al. 2020 (FedProx): score = (w + model_spread u_k) . x + noise e, x = feature_spread v_k + e',
// with e, e' and the entries of u_k and v_k normal; those of w and u_k are divided by
// sqrt(features), so that the score of spread 0 has a variance near 1.
Result<Regression> linear_regression(const LinearOptions& options);
// The label is the class whose score is the highest; every class has coefficients of its own.
Result<Dataset> linear_classes(const LinearOptions& options);

struct BlobOptions {
  uint64_t examples = 10'000;
  uint64_t features = 2;  // 1 to 65,536
  uint64_t classes = 3;   // 1 to 65,536
  uint64_t clients = 10;
  double spread = 0.2;       // standard deviation around a class's centre
  double client_spread = 0;  // of each client's own shift of all its examples
  uint64_t seed = 0;
};
// A cloud of points for each class, its centre uniform in the cube from -1 to 1.
Result<Dataset> blobs(const BlobOptions& options);

struct ImageOptions {
  uint64_t examples = 10'000;
  uint64_t side = 28;     // pixels: 8 to 512
  uint64_t classes = 10;  // 1 to 1,024
  uint64_t clients = 10;
  uint64_t shift_max = 4;  // the pattern's place differs by up to so many pixels; side / 4 at most
  double noise = 16;       // standard deviation of a pixel, of 255
  double brightness = 24;  // of an image, up or down by at most so much, of 255
  double client_spread = 0;  // 0 to 1: how much clients' scanners differ in contrast, brightness
  uint64_t seed = 0;
};
// Grey images, uint8 [n, side, side].  Each class has a pattern of light and dark spots that lies
// somewhere near the middle, in some contrast, under some light.
Result<Dataset> pattern_images(const ImageOptions& options);

struct MarkovTextOptions {
  uint64_t examples = 10'000;
  uint64_t length = 32;    // symbols of an example: 2 to 65,536
  uint64_t alphabet = 27;  // 2 to 256
  uint64_t clients = 10;   // speakers
  double own = 0;          // 0 to 1: the share of contexts in which a speaker speaks in a way of
                           // its own
  uint64_t seed = 0;
};
// Text of a Markov source: uint8 [n, length] symbols from 0 to alphabet - 1, and the one that
// follows as label.  After any two symbols, four favourites come with probabilities 1/2, 1/4, 1/8
// and 1/16, and any symbol with the rest; so who knows the source is right about half of the time,
// 1/2 + 1/2 / alphabet on average, and nobody can be right more often.
Result<Dataset> markov_text(const MarkovTextOptions& options);

}  // namespace umbel::data
