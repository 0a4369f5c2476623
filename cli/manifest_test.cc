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
  EXPECT_THAT(error_of(with("cmake = \".\"", "python = \"app\"")),
              testing::StartsWith("umbel.toml:7: [entry] python: Python apps need"));
  EXPECT_THAT(error_of(with("rounds = 3", "rounds = []")), testing::HasSubstr("an empty list"));
  EXPECT_THAT(error_of(with("rounds = 3", "rounds = [1, \"a\"]")), testing::HasSubstr("mixed"));
  EXPECT_THAT(error_of(with("rounds = 3", "rounds = inf")), testing::HasSubstr("not finite"));
  EXPECT_THAT(error_of(with("rounds = 3", "rounds = 2026-01-01")), testing::HasSubstr("a date"));
  EXPECT_THAT(error_of(with("rounds = 3", "a.b = 3")), testing::HasSubstr("a table"));
  EXPECT_THAT(error_of(with("rounds = 3", "\"a b\" = 3")), testing::HasSubstr("a key has letters"));
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
