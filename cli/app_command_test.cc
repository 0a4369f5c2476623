#include "app_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace umbel::cli {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Pair;

const AppRuntime kRuntime{"/app", "/app/build/quickstart",
                          bundle::Interpreter{"/venv/bin/python", "--python", "/tree"}};

std::vector<std::string> after_start(std::vector<std::string> command) {
  EXPECT_EQ(command.at(0), "/venv/bin/python");
  EXPECT_EQ(command.at(1), "-c");
  command.erase(command.begin(), command.begin() + 3);
  return command;
}

TEST(AppCommand, AProgramCarriesItsRunByItself) {
  const AppRuntime runtime{"/app", "/app/build/quickstart", std::nullopt};
  const ChildCommand command = run_command(runtime, {}, "/spec.json");
  EXPECT_THAT(command.arguments, ElementsAre("/app/build/quickstart", "--umbel-run", "/spec.json"));
  EXPECT_TRUE(command.environment.empty());
  Json spec = Json::object();
  add_clients(runtime, {}, spec);
  EXPECT_TRUE(spec.empty());
}

TEST(AppCommand, AnAppInPythonIsOneProcessOfBothSides) {
  const ChildCommand command = run_command(kRuntime, {"a:s", "b:c", true}, "/spec.json");
  EXPECT_THAT(after_start(command.arguments), ElementsAre("--umbel-run", "/spec.json", "--server",
                                                          "a:s", "--client", "b:c", "--flower"));
  EXPECT_EQ(command.folder, "/app");
  EXPECT_THAT(command.environment, Contains(Pair("PYTHONPATH", testing::StartsWith("/tree"))));
  Json spec = Json::object();
  add_clients(kRuntime, {"a:s", "b:c", true}, spec);
  EXPECT_TRUE(spec.empty());
}

TEST(AppCommand, AMixedAppsSpecSaysWhoAnswers) {
  const bundle::PythonEntry server{"a:s", "", false}, client{"", "b:c", false};
  EXPECT_THAT(after_start(run_command(kRuntime, server, "/spec.json").arguments),
              ElementsAre("--umbel-run", "/spec.json", "--server", "a:s"));
  Json spec = Json::object();
  add_clients(kRuntime, server, spec);
  EXPECT_EQ(spec.dump(), R"({"client-command":["/app/build/quickstart","--umbel-client"]})");

  const ChildCommand command = run_command(kRuntime, client, "/spec.json");
  EXPECT_THAT(command.arguments, ElementsAre("/app/build/quickstart", "--umbel-run", "/spec.json"));
  EXPECT_THAT(command.environment, Contains(Pair("OMP_NUM_THREADS", testing::_)));
  spec = Json::object();
  add_clients(kRuntime, client, spec);
  EXPECT_THAT(after_start(spec.at("zygote-command").get<std::vector<std::string>>()),
              ElementsAre("--umbel-zygote", "--client", "b:c"));
}

}  // namespace
}  // namespace umbel::cli
