#include "link_profile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "plan_figures.h"
#include "umbel/base/files.h"

namespace umbel::cli {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

const std::string kTrust = "sha256:" + std::string(64, 'a');

class LinkProfiles : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "links-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    home_ = pattern;
    setenv("UMBEL_HOME", home_.c_str(), 1);
  }
  void TearDown() override {
    unsetenv("UMBEL_HOME");
    fs::remove_all(home_);
  }
  std::string config() const { return read_file(home_ / "config.toml", 1 << 20).value(); }
  void write(const std::string& text) const {
    ASSERT_TRUE(write_file_atomic(home_ / "config.toml", text).ok());
  }
  static LinkProfile link(const std::string& name) {
    return {name, "hub.example.org:9092", kTrust, "/keys/my \"key\"", false};
  }
  fs::path home_;
};

TEST_F(LinkProfiles, WhatIsAddedIsFound) {
  EXPECT_TRUE(read_links()->empty());
  ASSERT_TRUE(add_link(link("hospitals")).ok());
  LinkProfile plain = link("plain");
  plain.trust = "";
  plain.plain = true;
  ASSERT_TRUE(add_link(plain).ok());
  const auto found = find_link("hospitals");
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->address, "hub.example.org:9092");
  EXPECT_EQ(found->trust, kTrust);
  EXPECT_EQ(found->key, "/keys/my \"key\"");
  EXPECT_FALSE(found->plain);
  EXPECT_TRUE(find_link("plain")->plain);
  EXPECT_EQ(read_links()->size(), 2u);
  EXPECT_EQ(add_link(link("plain")).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(message_of(find_link("hospital").status()), HasSubstr("did you mean \"hospitals\""));
}

TEST_F(LinkProfiles, RemovingOneLeavesAllOtherLinesAsTheyAre) {
  const std::string others = "# mine\ncolour = \"blue\"\n\n[editor]\nname = \"x\"  # yes\n";
  write(others);
  ASSERT_TRUE(add_link(link("a")).ok());
  const std::string with_a = config();
  ASSERT_TRUE(add_link(link("b")).ok());
  ASSERT_TRUE(remove_link("b").ok());
  EXPECT_EQ(config(), with_a);
  ASSERT_TRUE(remove_link("a").ok());
  EXPECT_EQ(config(), others);
  EXPECT_EQ(remove_link("a").code(), absl::StatusCode::kNotFound);
}

TEST_F(LinkProfiles, AProfileInAnotherSpellingIsLeftToItsWriter) {
  write("link = {a = {address = \"h:1\"}}\n");
  EXPECT_EQ(find_link("a")->key, home_ / "user.key");
  EXPECT_EQ(remove_link("a").code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(LinkProfiles, WhatIsWrongIsNamedWithItsLine) {
  const std::pair<const char*, const char*> texts[] = {
      {"[link.a]\naddres = \"h:1\"\n", "config.toml:2: addres: unknown key; did you mean"},
      {"[link.a]\naddress = 7\n", "config.toml:2: address: expected text"},
      {"[link.a]\ntrust = \"sha256:12\"\n", "config.toml:2: trust"},
      {"[link.a]\nkey = \"here\"\n", "config.toml:2: key: expected an absolute path"},
      {"[link.a]\n", "address is missing"},
      {"[link]\na = 7\n", "config.toml:2: a: expected a table"},
      {"[link.A]\naddress = \"h:1\"\n", "config.toml:1: A"}};
  for (const auto& [text, why] : texts) {
    write(text);
    EXPECT_THAT(message_of(find_link("a").status()), HasSubstr(why)) << text;
    EXPECT_FALSE(add_link(link("b")).ok());
    EXPECT_EQ(config(), text);
  }
}

TEST_F(LinkProfiles, OnlyGoodProfilesAreAdded) {
  LinkProfile bad = link("Up");
  EXPECT_FALSE(add_link(bad).ok());
  bad = link("a");
  bad.trust = "sha256:" + std::string(64, 'A');
  EXPECT_FALSE(add_link(bad).ok());
  bad = link("a");
  bad.address = "host:port";
  EXPECT_FALSE(add_link(bad).ok());
  EXPECT_FALSE(fs::exists(home_ / "config.toml"));
}

TEST(Plan, ARoundTakesAsLongAsTheSlowerLink) {
  // 100 MB to each of 5 nodes of 100 Mbit/s: 8 s each way; the hub has 1 Gbit/s: 4 s.
  const RoundPlan nodes = plan_round(100'000'000, 5, 100, 1000, 0);
  EXPECT_DOUBLE_EQ(nodes.seconds, 16);
  EXPECT_FALSE(nodes.hub_bound);
  EXPECT_DOUBLE_EQ(nodes.bytes_each_way, 5e8);
  // 50 nodes: 40 s each way at the hub; four round trips of 250 ms.
  const RoundPlan hub = plan_round(100'000'000, 50, 100, 1000, 250);
  EXPECT_DOUBLE_EQ(hub.seconds, 81);
  EXPECT_TRUE(hub.hub_bound);
}

}  // namespace
}  // namespace umbel::cli
