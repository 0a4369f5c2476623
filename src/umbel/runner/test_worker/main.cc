// A worker for tests: `runner_test_worker [HOW]`.  HOW is what it does wrong at its start.
#include <fmt/core.h>

#include <cstdio>
#include <string_view>

#include "umbel/runner/client_process.h"
#include "umbel/runner/test_worker/app_test.h"

int main(int argc, char** argv) {
  using namespace umbel;
  const std::string_view how = argc > 1 ? argv[1] : "";
  if (how == "dies") return 7;
  if (how == "closes") {
    ::close(std::atoi(std::getenv(runner::kChannelVariable)));
    for (;;) ::pause();
  }
  ::setenv("UMBEL_TEST_CHANNEL", std::getenv(runner::kChannelVariable), 1);
  auto channel = runner::Channel::inherited();
  if (!channel.ok() || !*channel) {
    fmt::print(stderr, "no channel\n");
    return 4;
  }
  return runner::run_client_process(**std::move(channel), runner::test_client());
}
