#pragma once

#include <gmpxx.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstring>
#include <functional>
#include <limits>
#include <vector>

#include "umbel/aggregate/weighted_mean.h"
#include "umbel/base/rng.h"
#include "umbel/record/half.h"

namespace umbel::aggregate {

// Real number i of an array as the double that it is; integers beyond 2^53 are not for this.
inline double real_of(const Array& array, size_t i) {
  switch (array.dtype()) {
    case DType::kFloat16:
      return to_float(array.view<Float16>()[i]);
    case DType::kBfloat16:
      return to_float(array.view<Bfloat16>()[i]);
    case DType::kFloat32:
    case DType::kComplex64:
      return reinterpret_cast<const float*>(array.bytes().data())[i];
    default:
      return reinterpret_cast<const double*>(array.bytes().data())[i];
  }
}

inline std::vector<Addend> addends_of(const std::vector<ArrayRecord>& updates,
                                      const std::vector<double>& weights) {
  std::vector<Addend> addends;
  for (size_t k = 0; k != updates.size(); ++k) addends.push_back({&updates[k], weights[k]});
  return addends;
}

inline bool same_bytes(const ArrayRecord& a, const ArrayRecord& b) { return a == b; }

// The promise for one real type.
struct Bound {
  double relative;
  double by_largest;
  bool on_top;      // both terms, not the larger of them
  double smallest;  // denormal
};
inline Bound bound_of(DType dtype) {
  switch (dtype) {
    case DType::kFloat16:
      return {0x1p-11, 0x1p-47, true, 0x1p-24};
    case DType::kBfloat16:
      return {0x1p-8, 0x1p-47, true, 0x1p-133};
    case DType::kFloat32:
    case DType::kComplex64:
      return {0x1p-24, 0x1p-47, true, 0x1p-149};
    default:
      return {0x1p-51, 0x1p-46, false, 0x1p-1074};
  }
}

// Holds the mean of `updates` to the bound against exact rationals, and one pass over all updates
// to the bytes of a partial aggregate fed in pieces.
inline void expect_within_bound(const std::vector<ArrayRecord>& updates,
                                const std::vector<double>& weights) {
  Serial serial;
  const std::vector<Addend> addends = addends_of(updates, weights);
  const Result<ArrayRecord> mean = weighted_mean(addends, serial);
  ASSERT_TRUE(mean.ok()) << mean.status();
  WeightedMean partial(updates[0]);
  const size_t first = addends.size() / 3;
  for (const Status& status : partial.add(std::span(addends).first(first), serial))
    ASSERT_TRUE(status.ok()) << status;
  for (const Status& status : partial.add(std::span(addends).subspan(first), serial))
    ASSERT_TRUE(status.ok()) << status;
  ASSERT_TRUE(same_bytes(*mean, *partial.finish(serial)));

  mpq_class total = 0;
  for (const double weight : weights) total += mpq_class(weight);
  for (size_t t = 0; t != mean->size(); ++t) {
    const auto& [name, array] = mean->entry(t);
    const Bound bound = bound_of(array.dtype());
    const size_t reals = static_cast<size_t>(array.size()) * reals_per_element(array.dtype());
    double largest = 0;
    for (const ArrayRecord& update : updates) {
      for (size_t i = 0; i != reals; ++i)
        largest = std::max(largest, std::fabs(real_of(update.entry(t).second, i)));
    }
    const mpq_class by_largest = mpq_class(largest) * mpq_class(bound.by_largest);
    for (size_t i = 0; i != reals; ++i) {
      mpq_class sum = 0;
      for (size_t k = 0; k != updates.size(); ++k) {
        sum += mpq_class(weights[k]) * mpq_class(real_of(updates[k].entry(t).second, i));
      }
      const mpq_class exact = sum / total;
      const mpq_class error = abs(mpq_class(real_of(array, i)) - exact);
      const mpq_class by_element = abs(exact) * mpq_class(bound.relative);
      mpq_class allowed =
          bound.on_top ? mpq_class(by_element + by_largest) : std::max(by_element, by_largest);
      allowed = std::max(allowed, mpq_class(mpq_class(bound.smallest) / 2));
      ASSERT_TRUE(error <= allowed) << name << "[" << i << "]: " << real_of(array, i) << " for "
                                    << exact.get_d() << ", error " << error.get_d() << ", allowed "
                                    << allowed.get_d() << ", largest " << largest;
    }
  }
}

inline ArrayRecord record_of(DType dtype, size_t reals, const std::function<double(size_t)>& f) {
  const auto elements = static_cast<int64_t>(reals / reals_per_element(dtype));
  Array array = Array::zeros(dtype, {elements});
  std::byte* bytes = array.mutable_bytes().data();
  for (size_t i = 0; i != static_cast<size_t>(elements) * reals_per_element(dtype); ++i) {
    const double x = f(i);
    if (dtype == DType::kFloat16) {
      reinterpret_cast<Float16*>(bytes)[i] = to_float16(x);
    } else if (dtype == DType::kBfloat16) {
      reinterpret_cast<Bfloat16*>(bytes)[i] = to_bfloat16(x);
    } else if (dtype == DType::kFloat32 || dtype == DType::kComplex64) {
      reinterpret_cast<float*>(bytes)[i] = static_cast<float>(x);
    } else {
      reinterpret_cast<double*>(bytes)[i] = x;
    }
  }
  return {{"w", std::move(array)}};
}

}  // namespace umbel::aggregate
