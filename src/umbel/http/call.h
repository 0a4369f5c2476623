#pragma once

#include <memory>
#include <utility>

#include "umbel/http/server.h"

namespace umbel::http {

// A call whose answer does not depend on its body, which is therefore not asked for.
struct Answered final : Call {
  explicit Answered(Response given) : response(std::move(given)) {}
  void finish(std::shared_ptr<Responder> responder) override;
  Response response;
};

}  // namespace umbel::http
