#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include "doctor_run.h"
#include "doctor_subject.h"
#include "new_app.h"
#include "umbel/base/files.h"

namespace umbel::cli {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

const fs::path kFixtures = UMBEL_DOCTOR_FIXTURES;

std::vector<std::string> lines_of(const fs::path& file) {
  std::vector<std::string> lines;
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// A folder of its own with the sound fixture in it, and over it that of a rule.
class Doctor : public testing::Test {
 protected:
  Doctor() {
    std::string pattern = testing::TempDir() + "umbel-doctor-XXXXXX";
    folder_ = mkdtemp(pattern.data());
    lay("sound");
  }
  ~Doctor() override {
    fs::remove_all(folder_);
    unsetenv("UMBEL_HOME");
  }

  void lay(const std::string& fixture) {
    fs::copy(kFixtures / fixture, folder_,
             fs::copy_options::recursive | fs::copy_options::overwrite_existing);
    for (const std::string& file : lines_of(kFixtures / fixture / "remove.txt")) {
      EXPECT_TRUE(fs::remove(folder_ / file)) << file;
    }
    const fs::path key = folder_ / "home/user.key";
    if (fs::exists(key)) fs::permissions(key, fs::perms(0644));
  }

  std::vector<Finding> findings() const {
    setenv("UMBEL_HOME", (folder_ / "home").c_str(), 1);
    Subject subject;
    look_at_app(folder_ / "app", subject);
    subject.links = look_at_toml(umbel_home() / "config.toml", true);
    subject.node = look_at_toml(folder_ / "node.toml", false);
    subject.hub = look_at_hub(folder_ / "hub.service");
    return subject_rules().check(subject);
  }
  std::set<std::string> found() const {
    std::set<std::string> ids;
    for (const Finding& finding : findings()) ids.insert(finding.rule);
    return ids;
  }
  void write(const std::string& file, std::string_view text) const {
    EXPECT_TRUE(write_file_atomic(folder_ / file, text).ok());
  }

  fs::path folder_;
};

TEST_F(Doctor, HasNothingToSayOfASoundApp) { EXPECT_THAT(found(), testing::IsEmpty()); }

TEST_F(Doctor, HasNothingToSayOfAnyTemplate) {
  for (const std::string& name : template_names()) {
    fs::remove_all(folder_ / "app");
    ASSERT_TRUE(make_app(name, folder_ / "app", "an-app", "acme").ok());
    for (const Finding& finding : findings()) {
      ADD_FAILURE() << name << ": " << finding.rule << " " << finding.where << " " << finding.fact;
    }
  }
}

TEST_F(Doctor, EveryTemplateIsDescribedInALine) {
  for (const std::string& name : template_names()) EXPECT_NE(notes_on(name).line, "") << name;
}

TEST_F(Doctor, ReadsSettingsInPythonToo) {
  lay("D081");
  write(
      "app/app.py",
      "def serve(grid, context):\n"
      "    config = context.run_config  # config[\"no\"]\n"
      "    config[\"rounds\"], context.run_config['learning-rate'], config[\"clients-per-round\"]\n"
      "    context.run_config[\"mis-spelt\"]\n"
      "    config.get(\"optional\", 3), other[\"thing\"]\n"
      "    config[\"optional\"]\n"
      "client = server = None\n");
  const auto all = findings();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].rule, "D046");
  EXPECT_EQ(all[0].where, "app.py:4");
  EXPECT_EQ(all[0].fact, "mis-spelt");
}

TEST_F(Doctor, HasNothingWrongToSayOfAnyExample) {
  size_t examples = 0;
  for (const auto& entry : fs::directory_iterator(kFixtures / "../../examples")) {
    if (!fs::exists(entry.path() / "umbel.toml")) continue;
    ++examples;
    fs::remove_all(folder_ / "app");
    fs::copy(entry.path(), folder_ / "app", fs::copy_options::recursive);
    for (const Finding& finding : findings()) {
      ADD_FAILURE() << entry.path().filename() << ": " << finding.rule << " " << finding.where
                    << " " << finding.fact;
    }
  }
  EXPECT_GE(examples, 7u);
}

class DoctorRule : public Doctor, public testing::WithParamInterface<std::string> {};

TEST_P(DoctorRule, FindsItsFixtureAndNothingElse) {
  lay(GetParam());
  std::set<std::string> expected = {GetParam()};
  for (const std::string& other : lines_of(kFixtures / GetParam() / "also.txt")) {
    expected.insert(other);
  }
  EXPECT_EQ(found(), expected);
}

std::vector<std::string> rule_ids() {
  std::vector<std::string> ids;
  for (const RuleText& rule : subject_rules().texts()) ids.push_back(rule.id);
  return ids;
}
INSTANTIATE_TEST_SUITE_P(All, DoctorRule, testing::ValuesIn(rule_ids()),
                         [](const auto& info) { return info.param; });

TEST_F(Doctor, FindingsNameFileAndLine) {
  lay("D042");
  const auto all = findings();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].where, "main.cc:20");
  EXPECT_EQ(all[0].fact, "save(...)");
}

TEST_F(Doctor, AFolderThatIsNoAppIsToldSoOnce) {
  fs::remove_all(folder_ / "app");
  fs::create_directory(folder_ / "app");
  const auto all = findings();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].rule, "D054");
  EXPECT_EQ(all[0].where, (folder_ / "app").string());
  EXPECT_EQ(all[0].fact, "no umbel.toml in it");
}

// Whether a source with these lines in a function is said to read a setting that is not there.
class MissingSetting : public Doctor {
 protected:
  bool is_found(const std::string& lines, const std::string& parameters = "") {
    std::string source;
    for (const std::string& line : lines_of(kFixtures / "sound/app/main.cc")) source += line + "\n";
    const size_t at = source.find("void serve(");
    write("app/main.cc",
          source.insert(at, "void more(" + parameters + ") {\n" + lines + "\n}\n\n"));
    return found().contains("D046");
  }
};

TEST_F(MissingSetting, IsWhatTheRunsSettingsAreAskedFor) {
  EXPECT_TRUE(is_found("context.run_config().real(\"x\");"));
  EXPECT_TRUE(is_found("context.run_config()\n      .integer(\n \"x\", umbel::kPositive);"));
  EXPECT_TRUE(is_found("const auto& own = context.run_config();\nown.text(\"x\");"));
  EXPECT_TRUE(is_found("if (own.boolean(\"x\")) return;", "umbel::RunConfig const& own"));
  EXPECT_TRUE(is_found("use([&own] { return own.real(\"x\"); });", "const umbel::RunConfig &own"));
}

TEST_F(MissingSetting, IsNotAMetricAndNotWhatCouldBeOne) {
  EXPECT_FALSE(is_found("evaluate(own, context).real(\"x\");"));
  EXPECT_FALSE(is_found("reply.metrics().real(\"x\");"));
  EXPECT_FALSE(is_found("metrics.real(\"x\");", "const umbel::MetricRecord& metrics"));
  EXPECT_FALSE(is_found("context.node_config().text(\"x\");"));
  EXPECT_FALSE(is_found("message.config().integer(\"x\");"));
  EXPECT_FALSE(is_found("somewhere_else.real(\"x\");"));
  EXPECT_FALSE(is_found("trainer.own.real(\"x\");", "const umbel::RunConfig& own"));
  EXPECT_FALSE(is_found("const auto& config = message.config();\nconfig.real(\"x\");"))
      << "one of two things of that name is no RunConfig";
  EXPECT_FALSE(is_found("context.run_config().real(\"learning-rate\");"));
  EXPECT_FALSE(is_found("context.run_config().real(\"x\" + suffix);"));
  EXPECT_FALSE(is_found("if (own.contains(\"x\")) own.real(\"x\");", "umbel::RunConfig own"));
}

TEST_F(Doctor, AskingMoreClientsThanThereAreSaysWhatWillHappen) {
  lay("D015");
  EXPECT_THAT(findings().at(0).fact, HasSubstr("the run ends"));
  std::string source = "// An app of its own.\n";
  for (const std::string& line : lines_of(folder_ / "app/main.cc")) {
    source += line + "\n";
    if (line.starts_with("void serve(")) source += "  const uint64_t there = grid.node_count();\n";
  }
  write("app/main.cc", source);
  EXPECT_THAT(findings().at(0).fact, HasSubstr("asks all 100"));
}

TEST_F(Doctor, TextIsNoNumberOnlyWhereANumberIsMeant) {
  const auto with = [&](const std::string& setting, const std::string& read) {
    std::string manifest, source;
    for (const std::string& line : lines_of(kFixtures / "sound/app/umbel.toml")) {
      manifest += line + "\n" + (line == "[config]" ? setting + "\n" : "");
    }
    for (const std::string& line : lines_of(kFixtures / "sound/app/main.cc")) source += line + "\n";
    write("app/umbel.toml", manifest);
    write("app/main.cc",
          source.insert(source.find("void serve("), "void more() { " + read + " }\n\n"));
    return found().contains("D055");
  };
  EXPECT_TRUE(with("warmth = \"hot\"", "context.run_config().real(\"warmth\");"));
  EXPECT_TRUE(with("batch-size = \"20\"", "options(\"batch-size\");"));
  EXPECT_FALSE(with("batch-size = \"auto\"", "options(\"batch-size\");"));
  EXPECT_FALSE(with("batch-size = \"20\"", "context.run_config().text(\"batch-size\");"));
  EXPECT_FALSE(with("layer = \"20\"", "options(\"layer\");"));
  EXPECT_FALSE(with("layer = \"20\"", "metrics.real(\"layer\");"));
}

TEST_F(Doctor, AnAlphaIsOfADirichletSplitOnlyWhereItsNameSaysSo) {
  std::string manifest;
  for (const std::string& line : lines_of(kFixtures / "D025/app/umbel.toml")) {
    manifest += (line.starts_with("dirichlet-alpha") ? std::string("alpha = 0.001") : line) + "\n";
  }
  write("app/umbel.toml", manifest);
  EXPECT_THAT(found(), testing::Not(testing::Contains("D025")));
}

TEST_F(Doctor, CommentsAndTextsAreNoCode) {
  std::string source =
      "// std::random_device and rand() and sleep(1)\n"
      "/* printf */ const char* text = \"rand() sleep printf // no comment\";\n"
      "const char* raw = R\"x(\nstd::random_device \" rand())x\";\n"
      "const long million = 1'000'000; const char quote = '\"';\n";
  for (const std::string& line : lines_of(folder_ / "app/main.cc")) source += line + "\n";
  write("app/main.cc", source);
  EXPECT_THAT(found(), testing::IsEmpty());
}

TEST_F(Doctor, WhatIsCutOffInTheMiddleHarmsNothing) {
  std::string source;
  for (const std::string& line : lines_of(folder_ / "app/main.cc")) source += line + "\n";
  for (size_t size = 0; size < source.size(); size += 7) {
    write("app/main.cc", std::string_view(source).substr(0, size));
    findings();
  }
  for (const char* text : {"\"", "'", "R\"", "R\"(", "/*", "//", "\\", "\"\\", "client.train(",
                           "ClientApp().train([", "ClientApp().train(x", "integer(\"", "(\"\""}) {
    write("app/main.cc", text);
    findings();
  }
}

TEST_F(Doctor, TheDocumentListsTheRulesAsTheyAre) {
  const fs::path document = kFixtures / "../../docs/doctor.md";
  std::set<std::string> rows;
  for (const std::string& line : lines_of(document)) {
    if (line.starts_with("| D") || line.starts_with("| R")) rows.insert(line);
  }
  std::vector<RuleText> all = subject_rules().texts();
  for (const RuleText& rule : run_rules().texts()) all.push_back(rule);
  std::set<std::string> expected;
  for (const RuleText& rule : all) {
    expected.insert(fmt::format("| {} | {} | {} | {} |", rule.id, name_of(rule.severity),
                                rule.title, rule.advice));
  }
  EXPECT_EQ(rows, expected);
  EXPECT_EQ(expected.size(), all.size()) << "an id is used twice";
  EXPECT_GE(subject_rules().size(), 30u);
}

}  // namespace
}  // namespace umbel::cli
