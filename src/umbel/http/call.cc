#include "umbel/http/call.h"

#include <utility>

namespace umbel::http {

namespace {

class Simple final : public Call {
 public:
  Simple(uint64_t body_max, std::function<Response(std::string body)> answer)
      : body_max_(body_max), answer_(std::move(answer)) {}
  uint64_t body_max() const override { return body_max_; }
  Status take(std::span<const std::byte> piece) override {
    body_.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    return absl::OkStatus();
  }
  void finish(std::shared_ptr<Responder> responder) override {
    responder->respond(answer_(std::move(body_)));
  }

 private:
  const uint64_t body_max_;
  const std::function<Response(std::string body)> answer_;
  std::string body_;
};

}  // namespace

Status Call::take(std::span<const std::byte>) { return absl::OkStatus(); }

void Answered::finish(std::shared_ptr<Responder> responder) {
  responder->respond(std::move(response));
}

std::unique_ptr<Call> simple_call(uint64_t body_max,
                                  std::function<Response(std::string body)> answer) {
  return std::make_unique<Simple>(body_max, std::move(answer));
}

std::unique_ptr<Call> answered(Response response) {
  return std::make_unique<Answered>(std::move(response));
}

}  // namespace umbel::http
