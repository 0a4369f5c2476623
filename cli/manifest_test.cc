#include "manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

namespace umbel::cli {
namespace {

constexpr const char* kGood = R"(
[app]
name = "quickstart"
version = "0.1.0"
publisher = "example"
[entry]
cmake = "."
[config]
rounds = 3
learning-rate = 0.1
title = "two words"
shuffle = true
sizes = [1, 2]
rates = [1, 0.5]
[simulation]
nodes = 1000
seed = 7
threads = 2
)";

std::string with(std::string_view old, std::string_view replacement) {
  std::string text = kGood;
  const size_t at = text.find(old);
  EXPECT_NE(at, std::string::npos) << old;
  return text.replace(at, old.size(), replacement);
}

std::string error_of(const std::string& text) {
  const Result<Manifest> manifest = parse_manifest(text);
  EXPECT_FALSE(manifest.ok());
  return message_of(manifest.status());
}

TEST(Manifest, HoldsWhatTheFileSays) {
  const Result<Manifest> manifest = parse_manifest(kGood);
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->name, "quickstart");
  EXPECT_EQ(manifest->version, "0.1.0");
  EXPECT_EQ(manifest->publisher, "example");
  EXPECT_EQ(manifest->cmake, ".");
  EXPECT_EQ(manifest->nodes, 1000);
  EXPECT_EQ(manifest->seed, 7);
  EXPECT_EQ(manifest->threads, 2);
  ASSERT_EQ(manifest->config.size(), 6u);
  EXPECT_EQ(manifest->config[0].key, "rounds");
  EXPECT_EQ(manifest->config[0].origin, "umbel.toml:9");
  EXPECT_EQ(manifest->config[0].value, ConfigValue(3));
  EXPECT_EQ(manifest->config[1].value, ConfigValue(0.1));
  EXPECT_EQ(manifest->config[2].value, ConfigValue("two words"));
  EXPECT_EQ(manifest->config[3].value, ConfigValue(true));
  EXPECT_EQ(manifest->config[4].value, ConfigValue(std::vector<int64_t>{1, 2}));
  EXPECT_EQ(manifest->config[5].value, ConfigValue(std::vector<double>{1, 0.5}));
}

TEST(Manifest, DefaultsStandWhereConfigAndSimulationAreAbsent) {
  const Result<Manifest> manifest = parse_manifest(
      "[app]\nname = \"a\"\nversion = \"1.2.3-rc.1\"\npublisher = \"p\"\n[entry]\ncmake = "
      "\"sub\"\n");
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->nodes, 100);
  EXPECT_EQ(manifest->seed, 1);
  EXPECT_EQ(manifest->threads, 0);
  EXPECT_TRUE(manifest->config.empty());
}

TEST(Manifest, NamesFileLineKeyAndNearest) {
  EXPECT_EQ(error_of(with("nodes = 1000", "nodez = 1000")),
            "umbel.toml:16: [simulation] nodez: unknown key; did you mean \"nodes\"?");
  EXPECT_EQ(error_of(with("[simulation]", "[simulatoin]")),
            "umbel.toml:15: simulatoin: unknown table; did you mean \"simulation\"?");
  EXPECT_EQ(error_of(with("nodes = 1000", "nodes = \"many\"")),
            "umbel.toml:16: [simulation] nodes: expected an integer, got text");
  EXPECT_THAT(error_of(with("nodes = 1000", "nodes = 0")),
              testing::StartsWith("umbel.toml:16: [simulation] nodes: expected 1 to"));
  EXPECT_EQ(error_of(with("name = \"quickstart\"\n", "")), "umbel.toml:2: [app] name: missing");
  EXPECT_EQ(error_of(with("name = \"quickstart\"", "name = 3")),
            "umbel.toml:3: [app] name: expected text, got an integer");
}

TEST(Manifest, RefusesBadValuesWithTheirLine) {
  EXPECT_THAT(error_of(with("\"quickstart\"", "\"Quick Start\"")),
              testing::StartsWith("umbel.toml:3: [app] name:"));
  for (const char* version :
       {"1", "1.2", "1.2.3.4", "a.b.c", "1..2", ".1.2", "1.2.3-", "1.2.3 x"}) {
    EXPECT_THAT(error_of(with("0.1.0", version)),
                testing::StartsWith("umbel.toml:4: [app] version:"))
        << version;
  }
  EXPECT_THAT(error_of(with("cmake = \".\"", "cmake = \"../x\"")),
              testing::HasSubstr("a folder inside the app"));
  EXPECT_THAT(error_of(with("rounds = 3", "rounds = []")), testing::HasSubstr("an empty list"));
  EXPECT_THAT(error_of(with("rounds = 3", "rounds = [1, \"a\"]")), testing::HasSubstr("mixed"));
  EXPECT_THAT(error_of(with("rounds = 3", "rounds = inf")), testing::HasSubstr("not finite"));
  EXPECT_THAT(error_of(with("rounds = 3", "rounds = 2026-01-01")), testing::HasSubstr("a date"));
  EXPECT_THAT(error_of(with("rounds = 3", "a.b = 3")), testing::HasSubstr("a table"));
  EXPECT_THAT(error_of(with("rounds = 3", "\"a b\" = 3")), testing::HasSubstr("a key has letters"));
}

Manifest with_entry(std::string_view entry) {
  const Result<Manifest> manifest = parse_manifest(with("cmake = \".\"", entry));
  EXPECT_TRUE(manifest.ok()) << manifest.status();
  return manifest.ok() ? *manifest : Manifest{};
}

TEST(Manifest, EachSideIsInPythonOrInTheProgram) {
  const Manifest both = with_entry("python = \"my_app.app\"");
  EXPECT_EQ(both.python, (bundle::PythonEntry{"my_app.app:server", "my_app.app:client", false}));
  EXPECT_FALSE(both.has_program());
  const Manifest apart = with_entry("python-server = \"a.b:app\"\npython-client = \"c:d.e\"");
  EXPECT_EQ(apart.python, (bundle::PythonEntry{"a.b:app", "c:d.e", false}));
  EXPECT_FALSE(apart.has_program());
  const Manifest server = with_entry("cmake = \"cpp\"\npython-server = \"a:app\"");
  EXPECT_EQ(server.python, (bundle::PythonEntry{"a:app", "", false}));
  EXPECT_EQ(server.cmake, "cpp");
  const Manifest client = with_entry("cmake = \".\"\npython-client = \"a:app\"");
  EXPECT_EQ(client.python, (bundle::PythonEntry{"", "a:app", false}));
  EXPECT_TRUE(client.has_program());
  EXPECT_TRUE(with_entry("cmake = \".\"").python.empty());
}

TEST(Manifest, AnEntryThatSaysTooMuchOrTooLittleIsRefused) {
  const auto refused = [](std::string_view entry) {
    return error_of(with("cmake = \".\"", entry));
  };
  using testing::HasSubstr;
  using testing::StartsWith;
  EXPECT_THAT(refused(""), StartsWith("umbel.toml:6: [entry]: expected cmake = \".\" for"));
  EXPECT_THAT(refused("python-server = \"a:b\""), HasSubstr("[entry]: expected cmake"));
  EXPECT_THAT(refused("python-client = \"a:b\""), HasSubstr("[entry]: expected cmake"));
  EXPECT_THAT(refused("cmake = \".\"\npython = \"a\""), HasSubstr("is for both sides"));
  EXPECT_THAT(refused("python = \"a\"\npython-client = \"a:b\""),
              StartsWith("umbel.toml:8: [entry] python-client: python = "));
  EXPECT_THAT(refused("cmake = \".\"\npython-server = \"a:b\"\npython-client = \"a:b\""),
              StartsWith("umbel.toml:7: [entry] cmake: both sides are in Python"));
  EXPECT_THAT(refused("python = \"app.py\"\npyton = 1"), HasSubstr("pyton: unknown key"));
  EXPECT_THAT(refused("python = \"a/b.py\""), HasSubstr("expected a Python module, such as"));
  EXPECT_THAT(refused("python-server = \"a\"\npython-client = \"a:b\""),
              HasSubstr("[entry] python-server: \"a\": expected a Python module and an object"));
  EXPECT_THAT(refused("python = 3"), HasSubstr("expected text, got an integer"));
}

constexpr const char* kFlower = R"(
[build-system]
requires = ["hatchling"]
[project]
name = "Quick_Start.app"
version = "1.0"
dependencies = ["flwr[simulation]>=1.20", "numpy"]
[[tool.other.list]]
x = 1
[tool.flwr.app]
publisher = "flwrlabs"
[tool.flwr.app.components]
serverapp = "quickstart.server_app:app"
clientapp = "quickstart.client_app:app"
[tool.flwr.app.config]
num-server-rounds = 3
rate = 0.1
model.name = "cnn"
model.sizes = [1, 2]
[tool.flwr.federations]
default = "large"
[tool.flwr.federations.small]
options.num-supernodes = 7
[tool.flwr.federations.large]
options.num-supernodes = 50
options.backend.client-resources.num-cpus = 2
)";

std::string flower_with(std::string_view old, std::string_view replacement) {
  std::string text = kFlower;
  const size_t at = text.find(old);
  EXPECT_NE(at, std::string::npos) << old;
  return text.replace(at, old.size(), replacement);
}

TEST(FlowerManifest, IsReadAsItLies) {
  EXPECT_TRUE(is_flower_manifest(kFlower));
  EXPECT_FALSE(is_flower_manifest("[project]\nname = \"x\"\n"));
  const Result<Manifest> manifest = parse_flower_manifest(kFlower, "pyproject.toml");
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->name, "quick-start-app");
  EXPECT_EQ(manifest->version, "1.0.0");
  EXPECT_EQ(manifest->publisher, "flwrlabs");
  EXPECT_FALSE(manifest->has_program());
  EXPECT_EQ(manifest->python,
            (bundle::PythonEntry{"quickstart.server_app:app", "quickstart.client_app:app", true}));
  EXPECT_EQ(manifest->nodes, 50);
  ASSERT_EQ(manifest->config.size(), 4u);
  EXPECT_EQ(manifest->config[0].origin, "pyproject.toml:16");
  EXPECT_EQ(manifest->config[2].key, "model.name");
  EXPECT_EQ(manifest->config[3].value, ConfigValue(std::vector<int64_t>{1, 2}));
  std::vector<Setting> settings = manifest->config;
  ASSERT_TRUE(apply_run_config("model.name=mlp rate=1", settings).ok());
  EXPECT_EQ(settings[2].value, ConfigValue("mlp"));
}

TEST(FlowerManifest, NodesAreThoseOfAFederationOrTen) {
  const auto nodes = [](const std::string& text) {
    return parse_flower_manifest(text, "pyproject.toml").value().nodes;
  };
  EXPECT_EQ(nodes(flower_with("default = \"large\"", "default = \"none\"")), 7);
  const std::string text = kFlower;
  EXPECT_EQ(nodes(text.substr(0, text.find("[tool.flwr.federations]"))), 10);
}

TEST(FlowerManifest, VersionsOfAnyKindBecomeOneOfThreeNumbers) {
  const std::pair<const char*, const char*> versions[] = {{"2", "2.0.0"},
                                                          {"1.2.3", "1.2.3"},
                                                          {"1.0.0rc1", "1.0.0-rc1"},
                                                          {"1.0.dev3", "1.0.0-dev3"},
                                                          {"1.2+local", "1.2.0+local"}};
  for (const auto& [given, expected] : versions) {
    const auto manifest = parse_flower_manifest(flower_with("1.0", given), "pyproject.toml");
    ASSERT_TRUE(manifest.ok()) << given << ": " << manifest.status();
    EXPECT_EQ(manifest->version, expected);
  }
}

TEST(FlowerManifest, WhatIsWrongNamesItsLine) {
  const auto refused = [](const std::string& text) {
    const auto manifest = parse_flower_manifest(text, "pyproject.toml");
    EXPECT_FALSE(manifest.ok());
    return message_of(manifest.status());
  };
  using testing::HasSubstr;
  using testing::StartsWith;
  EXPECT_EQ(refused(flower_with("clientapp", "#")),
            "pyproject.toml:12: [tool.flwr.app.components] clientapp: missing");
  EXPECT_THAT(refused(flower_with("server_app:app", "server_app")),
              StartsWith("pyproject.toml:13: [tool.flwr.app.components] serverapp: "));
  EXPECT_THAT(refused(flower_with("rate = 0.1", "rate = 2026-01-01")),
              HasSubstr("pyproject.toml:17: [tool.flwr.app.config] rate: cannot be a date"));
  EXPECT_THAT(refused(flower_with("supernodes = 50", "supernodes = 0")),
              HasSubstr("num-supernodes: expected 1 to"));
  EXPECT_THAT(refused(flower_with("Quick_Start.app", "-")), HasSubstr("[project] name: "));
  EXPECT_THAT(refused("[project]\nname = \"a\"\n"), HasSubstr("[tool.flwr.app]: missing"));
  EXPECT_THAT(refused("[tool.flwr.app\n"), StartsWith("pyproject.toml:1: "));
}

TEST(Manifest, BadTomlNamesItsLine) {
  EXPECT_THAT(error_of(with("rounds = 3", "rounds = = 3")), testing::StartsWith("umbel.toml:9: "));
  EXPECT_THAT(error_of(with("rounds = 3", "rounds = 3\nrounds = 4")),
              testing::StartsWith("umbel.toml:10: "));
  EXPECT_EQ(error_of(""), "umbel.toml:1: [app]: missing");
  for (const char* header : {"[.a]", "[[.a]]", "[ = ]", "[\n]", "[\xc3\xa9]", "[,"}) {
    EXPECT_EQ(error_of(std::string("t = \"\"\"\nx\\\n\"\"\"\n") + header),
              "umbel.toml:4: expected a table's name after [")
        << header;
  }
  for (const char* header : {"[]", "[[]]", "[ [a]]", "[a", "[", "[[", "[a]]", "[a.]", "[a..b]"}) {
    EXPECT_THAT(error_of(header), testing::StartsWith("umbel.toml:1: ")) << header;
  }
}

TEST(Manifest, HostileNestingIsRefusedBeforeItIsParsed) {
  std::string dotted = "a";
  for (int i = 0; i != 200'000; ++i) dotted += ".a";
  EXPECT_THAT(error_of(dotted + " = 1"), testing::HasSubstr("nested too deeply"));
  EXPECT_THAT(error_of("[" + dotted + "]"), testing::HasSubstr("nested too deeply"));
  EXPECT_THAT(error_of("x = " + std::string(100'000, '[')),
              testing::HasSubstr("nested too deeply"));
  EXPECT_THAT(error_of("#\n\"a\".'b'." + dotted + " = 1"), testing::StartsWith("umbel.toml:2:"));
  EXPECT_THAT(error_of(std::string((1 << 20) + 1, ' ')), testing::HasSubstr("limit"));
}

TEST(Manifest, DotsInTextAndNumbersAreNotNesting) {
  const std::string text = with(
      "title = \"two words\"",
      "title = \"...................\\\"....\"\nmany = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]");
  EXPECT_TRUE(parse_manifest(text).ok()) << parse_manifest(text).status();
}

TEST(Manifest, WhatIsNoRegularFileIsSaidAndNotOpened) {
  namespace fs = std::filesystem;
  std::string name = testing::TempDir() + "/manifest_test_XXXXXX";
  const fs::path app = ::mkdtemp(name.data());
  const fs::path file = app / "umbel.toml";
  const auto status = [&] { return read_manifest(app).status(); };
  const auto expect_refused = [&](const char* what) {
    EXPECT_EQ(status().code(), absl::StatusCode::kInvalidArgument) << what;
    EXPECT_EQ(message_of(status()), file.string() + ": expected a regular file, got " + what);
    fs::remove(file);
  };
  EXPECT_EQ(status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(message_of(status()), testing::HasSubstr("no such file"));
  fs::create_directory(file);
  expect_refused("a folder");
  ASSERT_EQ(::mkfifo(file.c_str(), 0600), 0);
  expect_refused("a device, pipe or socket");
  fs::create_symlink("/dev/zero", file);
  expect_refused("a device, pipe or socket");
  fs::create_symlink("umbel.toml", file);
  EXPECT_THAT(message_of(status()), testing::HasSubstr(": cannot be read: "));
  fs::remove(file);
  std::ofstream(app / "good.toml") << kGood;
  fs::create_symlink("good.toml", file);
  EXPECT_TRUE(status().ok()) << status();
  fs::remove_all(app);
}

std::vector<Setting> settings() { return parse_manifest(kGood)->config; }

const Setting& setting_of(const std::vector<Setting>& settings, std::string_view key) {
  for (const Setting& setting : settings) {
    if (setting.key == key) return setting;
  }
  ADD_FAILURE() << key;
  return settings.front();
}

TEST(RunConfig, OverridesKeepTheKindAndSayWhereTheyCameFrom) {
  std::vector<Setting> changed = settings();
  const Status status = apply_run_config(
      " rounds=5  learning-rate=1 title=\"a b\" shuffle=false sizes=[4, 5, 6] rates=[1]", changed);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(setting_of(changed, "rounds").value, ConfigValue(5));
  EXPECT_EQ(setting_of(changed, "rounds").origin, "--run-config");
  EXPECT_EQ(setting_of(changed, "learning-rate").value, ConfigValue(1.0));
  EXPECT_EQ(setting_of(changed, "title").value, ConfigValue("a b"));
  EXPECT_EQ(setting_of(changed, "shuffle").value, ConfigValue(false));
  EXPECT_EQ(setting_of(changed, "sizes").value, ConfigValue(std::vector<int64_t>{4, 5, 6}));
  EXPECT_EQ(setting_of(changed, "rates").value, ConfigValue(std::vector<double>{1}));
}

TEST(RunConfig, ABareWordIsTextWhereTheSettingIsText) {
  for (const std::string word : {"plain", "3", "true", "a=b", "0.5"}) {
    std::vector<Setting> changed = settings();
    ASSERT_TRUE(apply_run_config("title=" + word, changed).ok()) << word;
    EXPECT_EQ(setting_of(changed, "title").value, ConfigValue(word.c_str()));
  }
  std::vector<Setting> changed = settings();
  ASSERT_TRUE(apply_run_config("title='x \\ y'", changed).ok());
  EXPECT_EQ(setting_of(changed, "title").value, ConfigValue("x \\ y"));
}

TEST(RunConfig, AKeyMayStandInQuotes) {
  std::vector<Setting> changed = settings();
  const Status status = apply_run_config("\"rounds\"=5 'title'=\"a=b\"", changed);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(setting_of(changed, "rounds").value, ConfigValue(5));
  EXPECT_EQ(setting_of(changed, "title").value, ConfigValue("a=b"));
}

TEST(RunConfig, ANumberSignIsTextOrRefusedAndNeverAComment) {
  for (const std::string word : {"a#b", "\"a#b\"", "'a#b'"}) {
    std::vector<Setting> changed = settings();
    ASSERT_TRUE(apply_run_config("title=" + word, changed).ok()) << word;
    EXPECT_EQ(setting_of(changed, "title").value, ConfigValue("a#b"));
  }
  for (const std::string setting :
       {"rounds=1#x", "title=\"ok\"#x", "title='ok'#x", "title=\"a\\\"\"#", "shuffle=false#",
        "sizes=[1]#x", "title=\"\"\"a\"\"\"\"#\"", "sizes=[1,#x\n2]"}) {
    std::vector<Setting> changed = settings();
    const Status status = apply_run_config(setting, changed);
    EXPECT_THAT(message_of(status),
                testing::HasSubstr("; got a value with a # outside plain quotes, "))
        << setting;
  }
}

TEST(RunConfig, WhatIsNoValueOfTheSettingIsCalledWhatItIs) {
  const std::pair<const char*, const char*> cases[] = {
      {"rounds=99999999999999999999", "got an integer beyond 64 bits 99999999999999999999"},
      {"rounds=-9223372036854775809", "got an integer beyond 64 bits -9223372036854775809"},
      {"learning-rate=9223372036854775808", "got an integer beyond 64 bits 9223372036854775808"},
      {"learning-rate=nan", "got a number that is not finite nan"},
      {"rounds=-inf", "got a number that is not finite -inf"},
      {"learning-rate=1e999", "got a real number beyond 64 bits 1e999"},
      {"learning-rate=1.2.3", "got a malformed number 1.2.3"},
      {"rounds=2026-01-01", "got a date or time 2026-01-01"},
      {"sizes=[]", "got an empty list []"},
      {"sizes=[1,\"a\"]", "got a list of mixed or other kinds [1,\"a\"]"},
      {"sizes=[1,x]", "got a malformed list [1,x]"},
      {"rounds={a=1}", "got a table {a=1}"},
      {"title=\"ok\"x", "got malformed quoted text \"ok\"x"},
      {"rounds=", "got nothing"},
      {"rounds=few", "got text few"},
      {"rounds=nano", "got text nano"},
  };
  for (const auto& [argument, message] : cases) {
    std::vector<Setting> changed = settings();
    EXPECT_THAT(message_of(apply_run_config(argument, changed)), testing::HasSubstr(message))
        << argument;
  }
}

TEST(RunConfig, ErrorsNameTheKeyAndChangeNothing) {
  const std::pair<const char*, const char*> cases[] = {
      {"rouds=5", "--run-config: rouds: unknown key; did you mean \"rounds\"?"},
      {"\"rouds\"=5", "--run-config: rouds: unknown key; did you mean \"rounds\"?"},
      {"zzz=5", "--run-config: zzz: unknown key; there are: rounds, learning-rate, title"},
      {"rounds=1.5",
       "--run-config: rounds: expected an integer, as 3 in umbel.toml:9; got a real number 1.5"},
      {"rounds=many",
       "--run-config: rounds: expected an integer, as 3 in umbel.toml:9; got text many"},
      {"shuffle=1", "--run-config: shuffle: expected a truth value"},
      {"rounds=", "--run-config: rounds: expected an integer"},
      {"rounds", "--run-config: expected KEY=VALUE, got \"rounds\""},
      {"=3", "--run-config: expected KEY=VALUE"},
      {"title=\"open", "--run-config: a \" is not closed"},
      {"sizes=[1", "--run-config: a [ is not closed"},
      {"sizes=[1]\nrounds = 3", "--run-config: expected KEY=VALUE"},
  };
  for (const auto& [argument, message] : cases) {
    std::vector<Setting> changed = settings();
    const Status status = apply_run_config(std::string("learning-rate=9 ") + argument, changed);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << argument;
    EXPECT_THAT(message_of(status), testing::StartsWith(message));
    EXPECT_EQ(setting_of(changed, "learning-rate").value, ConfigValue(0.1)) << argument;
  }
}

}  // namespace
}  // namespace umbel::cli
