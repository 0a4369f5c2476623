#include "progress.h"

#include <gtest/gtest.h>

namespace umbel::cli {
namespace {

TEST(LogText, ATracebacksLinesStayLines) {
  const auto text = [](std::string message) {
    return log_text({0, 0, "client", "error", 7, std::move(message)});
  };
  EXPECT_EQ(text("it failed"), "[client 7] error: it failed");
  EXPECT_EQ(text("Traceback:\n  File \"app.py\"\nValueError: x\n"),
            "[client 7] error: Traceback:\n    File \"app.py\"\n  ValueError: x");
  EXPECT_EQ(text("a\x1b[31m\n\nb"), "[client 7] error: a\\x1b[31m\n  \n  b");
  EXPECT_EQ(text(""), "[client 7] error: ");
}

TEST(LogText, WhatAnAppWritesToStandardErrorIsMarkedAsThatAndAsNoError) {
  EXPECT_EQ(log_text({0, 0, "app", "error", -1, "10%"}), "[app err] 10%");
  EXPECT_EQ(log_text({0, 0, "app", "info", -1, "10%"}), "[app] 10%");
  EXPECT_EQ(log_text({0, 0, "server", "error", -1, "no"}), "[server] error: no");
}

}  // namespace
}  // namespace umbel::cli
