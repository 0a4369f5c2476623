#pragma once

#include <functional>
#include <string>
#include <utility>

#include "umbel/app/context.h"
#include "umbel/app/grid.h"

namespace umbel {

// What to do with the federation: one function, run once per run.
class ServerApp {
 public:
  using Main = std::function<void(Grid&, Context&)>;
  ServerApp& main(Main main) {
    main_ = std::move(main);
    return *this;
  }
  // Says why this app has no centralised form, such as data that one client cannot hold: `umbel run
  // --twin` then trains none, and says so.
  ServerApp& no_twin(std::string reason) {
    no_twin_ = std::move(reason);
    return *this;
  }
  // Runs it; what it throws comes out.  umbel::Error if there is no main function.
  void run(Grid& grid, Context& context) const {
    if (!main_)
      throw Error(
          failed_precondition("the ServerApp has no main function: give it one with main()"));
    if (context.is_twin() && !no_twin_.empty())
      throw Error(invalid_argument("the app has no centralised twin: {}", no_twin_));
    main_(grid, context);
  }

 private:
  Main main_;
  std::string no_twin_;
};

}  // namespace umbel
