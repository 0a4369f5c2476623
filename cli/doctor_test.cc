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
    subject.app.emplace(look_at_app(folder_ / "app"));
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

TEST_F(Doctor, AFolderThatIsNoAppIsToldSo) {
  fs::remove_all(folder_ / "app");
  fs::create_directory(folder_ / "app");
  EXPECT_THAT(found(), testing::IsSupersetOf({"D001", "D002", "D005", "D006"}));
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
