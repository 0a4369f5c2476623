#pragma once

#include <functional>
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
  // Runs it; what it throws comes out.  umbel::Error if there is no main function.
  void run(Grid& grid, Context& context) const {
    if (!main_)
      throw Error(
          failed_precondition("the ServerApp has no main function: give it one with main()"));
    main_(grid, context);
  }

 private:
  Main main_;
};

}  // namespace umbel
