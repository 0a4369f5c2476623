#pragma once

#include <cstring>
#include <limits>
#include <vector>

#include "umbel/aggregate/fold.h"
#include "umbel/base/rng.h"
#include "umbel/record/half.h"
#include "umbel/record/layout.h"

namespace umbel::aggregate {

// What a client sends.
struct Reply {
  NodeId node;
  ArrayRecord arrays;
  MetricRecord metrics;
  Message message() const {
    const Metadata asked{.id = MessageId(node.value() + 1),
                         .source = kServerNode,
                         .destination = node,
                         .type = "train"};
    return Message(asked, RecordDict()).reply(arrays, metrics);
  }
};

// Up to six arrays of any dtype and of 0 to some 5,000 elements.
inline Layout random_layout(Rng& rng) {
  Layout layout;
  const size_t arrays = 1 + rng.below(6);
  for (size_t i = 0; i != arrays; ++i) {
    const auto dtype = static_cast<DType>(rng.below(kDTypeCount));
    const auto size = static_cast<int64_t>(rng.below(rng.below(2) ? 5000 : 40));
    layout.push_back({fmt::format("array{}", i), dtype, {size}});
    if (rng.below(5) == 0) layout.back().shape = {};
  }
  return layout;
}

// Finite numbers of any dtype: of like magnitude, or of any.
inline void fill_random(Rng& rng, DType dtype, std::span<std::byte> bytes) {
  const size_t step = size_of(dtype) / (is_complex(dtype) ? 2 : 1);
  const bool wild = rng.below(4) == 0;
  for (size_t at = 0; at != bytes.size(); at += step) {
    const uint64_t bits = rng.bits();
    const double x =
        wild ? std::ldexp(rng.normal(), static_cast<int>(rng.below(200)) - 120) : rng.normal();
    const auto narrow = static_cast<float>(x);
    const Float16 half = to_float16(rng.normal());
    const Bfloat16 brain = to_bfloat16(x);
    const void* from = &bits;
    if (dtype == DType::kFloat16) from = &half;
    if (dtype == DType::kBfloat16) from = &brain;
    if (dtype == DType::kFloat32 || dtype == DType::kComplex64) from = &narrow;
    if (dtype == DType::kFloat64 || dtype == DType::kComplex128) from = &x;
    std::memcpy(bytes.data() + at, from, step);
    if (dtype == DType::kBool) bytes[at] &= std::byte{1};
  }
}

inline std::vector<Reply> random_replies(Rng& rng, const Layout& layout, size_t count) {
  std::vector<Reply> replies;
  for (size_t k = 0; k != count; ++k) {
    Reply reply{NodeId(10 * k + rng.below(10)), {}, {}};
    for (const ArraySpec& spec : layout) {
      Array array = Array::uninitialized(spec.dtype, spec.shape);
      fill_random(rng, spec.dtype, array.mutable_bytes());
      reply.arrays.append(spec.name, std::move(array));
    }
    reply.metrics = {{"num-examples", 1 + rng.below(1000)}, {"loss", rng.normal()}};
    if (rng.below(3) == 0) reply.metrics.set("num-examples", 0.5 + rng.uniform());
    replies.push_back(std::move(reply));
  }
  return replies;
}

// The arrays' bytes as they lie in a blob; what lies between them is random.
inline std::vector<std::byte> blob_of(const ArrayRecord& arrays, Rng& rng) {
  std::vector<std::byte> blob;
  for (const auto& [name, array] : arrays) {
    while (blob.size() % kBlobAlignment) blob.push_back(static_cast<std::byte>(rng.bits()));
    blob.insert(blob.end(), array.bytes().begin(), array.bytes().end());
  }
  return blob;
}

// The arrays in a blob.
inline ArrayRecord arrays_of(const Layout& layout, std::span<const std::byte> blob) {
  ArrayRecord arrays;
  size_t at = 0;
  for (const ArraySpec& spec : layout) {
    at = next_in_blob(at);
    Array array = Array::uninitialized(spec.dtype, spec.shape);
    if (spec.byte_size()) std::memcpy(array.mutable_bytes().data(), &blob[at], spec.byte_size());
    at += spec.byte_size();
    arrays.append(spec.name, std::move(array));
  }
  return arrays;
}

inline bool same(const FoldResult& a, const FoldResult& b) {
  const auto samples_equal = [](const Failure& x, const Failure& y) {
    return x.node == y.node && x.error == y.error;
  };
  return a.arrays == b.arrays && a.metrics == b.metrics && a.replies == b.replies &&
         a.weight == b.weight && a.reply_bytes == b.reply_bytes && a.failures == b.failures &&
         std::ranges::equal(a.failure_samples, b.failure_samples, samples_equal);
}

}  // namespace umbel::aggregate
