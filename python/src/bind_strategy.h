#pragma once

#include <nanobind/nanobind.h>

#include <vector>

#include "umbel/strategy/stopping.h"

// What bind_strategy() is made of besides run_rounds(): rounds that are carried out in Python.
namespace umbel::python {

// The key under which Flower's apps find the number of a message's round.
inline constexpr char kServerRoundKey[] = "server-round";

// Lists of (metric, at least, value), and of (metric, patience, min_delta, higher is better).
std::vector<Target> targets_from(nanobind::handle list);
std::vector<Plateau> plateaus_from(nanobind::handle list);

void bind_optimizer(nanobind::module_& module);  // ServerOptimizer
void bind_fold(nanobind::module_& module);       // fold(), failures_of()
void bind_rounds(nanobind::module_& module);     // Stopping, draw_clients(), reports

}  // namespace umbel::python
