#include "bench/quality/scaffold.h"

namespace umbel::bench {

namespace {

constexpr std::string_view kPrefix = "control/";

// f(a, b, c) of each element of records of one layout.
template <class F>
ArrayRecord combine(const ArrayRecord& a, const ArrayRecord& b, const ArrayRecord& c, F f) {
  ArrayRecord all;
  for (size_t i = 0; i != a.size(); ++i) {
    const auto& [name, first] = a.entry(i);
    const auto x = first.view<float>();
    const auto y = b.entry(i).second.view<float>();
    const auto z = c.entry(i).second.view<float>();
    Array result = Array::uninitialized(DType::kFloat32, first.shape());
    const auto out = result.mutable_view<float>();
    for (size_t j = 0; j != out.size(); ++j) out[j] = static_cast<float>(f(x[j], y[j], z[j]));
    all.set(name, std::move(result));
  }
  return all;
}

ArrayRecord joined(ArrayRecord model, const ArrayRecord& control) {
  for (const auto& [name, array] : control) model.set(std::string(kPrefix) + name, array);
  return model;
}

}  // namespace

ArrayRecord Scaffold::initial(const ArrayRecord& model) {
  ArrayRecord control;
  for (const auto& [name, array] : model)
    control.set(name, Array::zeros(array.dtype(), array.shape()));
  return joined(model, control);
}

Scaffold Scaffold::split(const ArrayRecord& arrays) {
  Scaffold parts;
  for (const auto& [name, array] : arrays) {
    const bool is_control = name.starts_with(kPrefix);
    (is_control ? parts.control : parts.model)
        .set(is_control ? name.substr(kPrefix.size()) : name, array);
  }
  return parts;
}

ArrayRecord Scaffold::drift(const ArrayRecord& own) const {
  return combine(control, own, own, [](double c, double c_i, double) { return c - c_i; });
}

ArrayRecord Scaffold::reply(const ArrayRecord& trained, ArrayRecord& own, int64_t steps,
                            double rate, double share) const {
  const double scale = 1 / (static_cast<double>(steps) * rate);
  // c_i+ - c_i
  const ArrayRecord change = combine(
      model, trained, control, [&](double x, double y, double c) { return (x - y) * scale - c; });
  own = combine(own, change, change, [](double c_i, double d, double) { return c_i + d; });
  return joined(trained, combine(control, change, change,
                                 [&](double c, double d, double) { return c + share * d; }));
}

}  // namespace umbel::bench
