#pragma once

namespace umbel::superlink {

// A visitor for std::visit made of lambdas.
template <class... F>
struct Overload : F... {
  using F::operator()...;
};
template <class... F>
Overload(F...) -> Overload<F...>;

}  // namespace umbel::superlink
