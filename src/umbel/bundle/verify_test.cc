#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "umbel/bundle/hostile_archive_test.h"

namespace umbel::bundle {
namespace {

using testing::HasSubstr;

void expect_refused(const std::string& archive, const std::string& why,
                    absl::StatusCode code = absl::StatusCode::kInvalidArgument) {
  const auto found = verify(bytes_of(archive));
  EXPECT_EQ(found.status().code(), code) << found.status();
  EXPECT_THAT(message_of(found.status()), HasSubstr(why));
}

TEST(Verify, AnArchiveThatIsAsItShouldBeIsTaken) {
  const Forgery forgery;
  const std::string archive = forgery.archive();
  const auto found = verify(bytes_of(archive));
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->sha256, sha256_hex(bytes_of(archive)));
  EXPECT_EQ(found->description.id(), "example/quickstart@0.1.0");
  EXPECT_EQ(found->signer, forgery.key.public_key());
  ASSERT_EQ(found->files.size(), 3u);
  EXPECT_EQ(found->files[0].path, "app.cc");
  EXPECT_EQ(found->files[1].executable, true);
}

TEST(Verify, NamesThatLeadElsewhereOrMeanTwoThingsAreRefused) {
  for (const char* name : {"../up",
                           "/etc/passwd",
                           "a/../b",
                           "a//b",
                           "a/",
                           "./a",
                           "C:\\x",
                           "C:/x",
                           "a\\b",
                           "a\nb",
                           "a\x01"
                           "b",
                           "a\x7f",
                           "caf\xc3\xa9",

                           "\xe2\x80\xae"
                           "cod.exe",
                           "a ",
                           " a",
                           "a.",
                           "dir./a",
                           "dir /a",
                           ".hidden",
                           "a/.git/config",
                           "a?b",
                           "a*b",
                           "a|b",
                           "a\"b",
                           "",
                           "."}) {
    Forgery forgery;
    forgery.files = {{name, "x"}};
    expect_refused(forgery.archive(), "umbel-bundle.json");
  }
  Forgery overlong;  // bytes that some readers take for dots
  overlong.files = {{"zzzz", "x"}};
  overlong.change_list_text = [](std::string& list) {
    list.replace(list.find("zzzz"), 4, "\xc0\xae\xc0\xae/x");
  };
  expect_refused(overlong.archive(), "umbel-bundle.json");
  Forgery zero;
  zero.files = {{std::string("a\0b", 3), "x"}};
  expect_refused(zero.archive(), "printable");
}

TEST(Verify, NamesBeyondTheLimitsAreRefused) {
  for (const size_t size : {256u, 4096u, 70'000u}) {
    Forgery forgery;
    forgery.files = {{std::string(size, 'a'), "x"}};
    expect_refused(forgery.archive(), "limit is 255");
  }
  Forgery name;
  name.files = {{std::string(101, 'a'), "x"}};
  expect_refused(name.archive(), "more than 100");
  Forgery deep;
  std::string path;
  for (int i = 0; i != 17; ++i) path += "d/";
  deep.files = {{path + "f", "x"}};
  expect_refused(deep.archive(), "the limit is 16");
}

TEST(Verify, TwoSpellingsOfOneNameAreRefused) {
  const std::vector<std::vector<std::string>> twins = {
      {"README", "readme"}, {"A/x", "a/y"}, {"Src", "src/x"}, {"a", "a/b"}, {"a", "a"}};
  for (const auto& names : twins) {
    Forgery forgery;
    forgery.files.clear();
    for (const std::string& name : names) forgery.files.push_back({name, "x"});
    expect_refused(forgery.archive(), "umbel-bundle.json");
  }
  for (const char* name : {kListName, kSignatureName, "Umbel-Bundle.JSON"}) {
    Forgery forgery;
    forgery.files = {{name, "x"}};
    expect_refused(forgery.archive(), "own entries");
  }
}

TEST(Verify, LinksDevicesFoldersAndExtensionsAreRefused) {
  for (const char type :
       {'1', '2', '3', '4', '5', '6', '7', 'x', 'g', 'L', 'K', 'S', 'V', 'A', '\0', ' '}) {
    for (const size_t which : {0u, 1u, 2u, 4u}) {
      Forgery forgery;
      forgery.change_entries = [&](auto& entries) { entries[which].type = type; };
      expect_refused(forgery.archive(), "type");
    }
  }
  Forgery extended;  // a pax header in front, which other readers would follow
  extended.change_entries = [](auto& entries) {
    entries.insert(entries.begin() + 2, {"././@PaxHeader", "17 path=../evil\n", 'x'});
  };
  expect_refused(extended.archive(), "type");
}

TEST(Verify, AHeaderThatSaysMoreThanTheListIsRefused) {
  const std::vector<std::pair<std::string, std::function<void(TarEntry&)>>> changes = {
      {"mode", [](TarEntry& e) { e.mode = "0004755"; }},
      {"mode", [](TarEntry& e) { e.mode = "0000755"; }},
      {"mode", [](TarEntry& e) { e.mode = "0000777"; }},
      {"link", [](TarEntry& e) { e.link = "/etc/passwd"; }},
      {"owner", [](TarEntry& e) { e.owner = "0001750"; }},
      {"time", [](TarEntry& e) { e.time = "14000000000"; }},
      {"prefix", [](TarEntry& e) { e.prefix = "/etc"; }},
      {"name", [](TarEntry& e) { e.name = "other.cc"; }},
      {"name", [](TarEntry& e) { e.name += std::string("\0/x", 3); }},
      {"magic", [](TarEntry& e) { e.magic = std::string("ustar  \0", 8); }},
      {"size", [](TarEntry& e) { e.size = "00000000001"; }},
      {"size", [](TarEntry& e) { e.size = "\x80" + std::string(10, '\0') + "\x0e"; }},
      {"size", [](TarEntry& e) { e.size = "77777777777"; }}};
  for (const auto& [what, change] : changes) {
    Forgery forgery;
    forgery.change_entries = [&](auto& entries) { change(entries[2]); };
    expect_refused(forgery.archive(), what);
  }
  Forgery checksum;
  checksum.change_tar = [](std::string& tar) { tar[148] ^= 1; };
  expect_refused(checksum.archive(), "checksum");
  Forgery list_size;
  list_size.change_entries = [](auto& entries) { entries[0].size = "77777777777"; };
  expect_refused(list_size.archive(), "limit", absl::StatusCode::kResourceExhausted);
  Forgery list_bytes;
  list_bytes.change_list_text = [](std::string& list) { list += std::string(5 << 20, ' '); };
  expect_refused(list_bytes.archive(), "limit", absl::StatusCode::kResourceExhausted);
}

TEST(Verify, EntriesAreExactlyThoseOfTheList) {
  const TarEntry extra = {"zzz", "x"};
  const std::vector<std::function<void(std::vector<TarEntry>&)>> changes = {
      [&](auto& entries) { entries.push_back(extra); },
      [&](auto& entries) { entries.insert(entries.begin() + 3, extra); },
      [&](auto& entries) { entries.insert(entries.begin(), extra); },
      [&](auto& entries) { entries.push_back(entries.back()); },
      [&](auto& entries) { entries.pop_back(); },
      [&](auto& entries) { entries.erase(entries.begin() + 2); },
      [&](auto& entries) { entries.erase(entries.begin()); },
      [&](auto& entries) { entries.erase(entries.begin() + 1); },
      [&](auto& entries) { std::swap(entries[2], entries[3]); },
      [&](auto& entries) { std::swap(entries[0], entries[1]); },
      [&](auto& entries) { entries[2].content[0] = 'I'; },
      [&](auto& entries) { entries[2].content += "x"; },
      [&](auto& entries) { entries[2].content.pop_back(); },
      [&](auto& entries) { entries.clear(); }};
  for (size_t i = 0; i != changes.size(); ++i) {
    Forgery forgery;
    forgery.change_entries = changes[i];
    EXPECT_EQ(verify(bytes_of(forgery.archive())).status().code(),
              absl::StatusCode::kInvalidArgument)
        << i;
  }
}

TEST(Verify, AListThatIsNotInItsOneSpellingIsRefused) {
  const std::vector<std::function<void(std::vector<Bundle::File>&)>> changes = {
      [](auto& files) { std::swap(files[0], files[1]); },
      [](auto& files) { files.push_back(files.back()); },
      [](auto& files) { files[0].sha256[5] = 'A'; },
      [](auto& files) { files[0].sha256 = ""; },
      [](auto& files) { files[0].bytes += 1; },
      [](auto& files) { files[0].executable = true; },
      [](auto& files) { files[0].path += ",x\ny"; }};
  for (size_t i = 0; i != changes.size(); ++i) {
    Forgery forgery;
    forgery.change_list = changes[i];
    EXPECT_EQ(verify(bytes_of(forgery.archive())).status().code(),
              absl::StatusCode::kInvalidArgument)
        << i;
  }
  const std::vector<std::pair<std::string, std::string>> texts = {
      {"{\"format\"", "{ \"format\""},
      {"{\"format\":1", "{\"format\":2"},
      {"{\"format\":1", "{\"format\":1.0"},
      {"{\"format\":1", "{\"format\":1,\"format\":1"},
      {"{\"format\":1", "{\"more\":0,\"format\":1"},
      {"app.cc", "\\u0061pp.cc"},
      {"\"bytes\":14", "\"bytes\":14.0"},
      {"\"bytes\":14", "\"bytes\":-14"},
      {"\"bytes\":14", "\"bytes\":014"},
      {"\"bytes\":14", "\"bytes\":14,\"bytes\":14"},
      {"\"executable\":false", "\"executable\":0"},
      {"\"files\"", "\"flies\""},
      {"}\n", "}"},
      {"}\n", "}\n\n"},
      {"}\n", ""},
      {"\"programs\":[]", "\"programs\":" + std::string(2000, '[') + std::string(2000, ']')}};
  for (const auto& [from, to] : texts) {
    Forgery forgery;
    forgery.change_list_text = [&, from = from, to = to](std::string& text) {
      const size_t at = text.rfind(from) == text.find(from) ? text.find(from) : text.find(from);
      ASSERT_NE(at, std::string::npos) << from;
      text.replace(at, from.size(), to);
    };
    expect_refused(forgery.archive(), "umbel-bundle.json");
  }
}

TEST(Verify, PublisherNameAndVersionKeepToOneRule) {
  for (const std::string& bad :
       {std::string(), std::string("a/b"), std::string(".."), std::string("a b"),
        std::string(65, 'a'), std::string(10'000, 'a'), std::string("-a"), std::string("_a"),
        std::string("a\xe2\x80\xae"), std::string("a\n"), std::string("a+b"), std::string("a@b")}) {
    for (std::string Description::*field :
         {&Description::publisher, &Description::name, &Description::version}) {
      Forgery forgery;
      forgery.description.*field = bad;
      expect_refused(forgery.archive(), "umbel-bundle.json");
    }
  }
}

TEST(Verify, ProgramsAreExecutableFilesOfTheBundle) {
  Forgery good;
  good.description.programs = {{"linux-x86_64", "run.sh"}};
  const std::string archive = good.archive();
  const auto found = verify(bytes_of(archive));
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_NE(found->program_for("linux-x86_64"), nullptr);
  EXPECT_EQ(*found->program_for("linux-x86_64"), "run.sh");
  EXPECT_EQ(found->program_for("linux-aarch64"), nullptr);
  const std::vector<std::vector<std::pair<std::string, std::string>>> bad = {
      {{"linux-x86_64", "app.cc"}},       {{"linux-x86_64", "/bin/sh"}},
      {{"linux-x86_64", "../run.sh"}},    {{"", "run.sh"}},
      {{"b", "run.sh"}, {"a", "run.sh"}}, {{"a", "run.sh"}, {"a", "run.sh"}}};
  for (const auto& programs : bad) {
    Forgery forgery;
    forgery.description.programs = programs;
    expect_refused(forgery.archive(), "umbel-bundle.json");
  }
}

TEST(Verify, WhatIsInPythonIsSaidInOneWay) {
  Forgery good;
  good.description.python = {"app:server", "app:client", true};
  const auto found = verify(bytes_of(good.archive()));
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->description.python, good.description.python);
  const std::string spelt =
      R"(,"python":{"server":"app:server","client":"app:client","flower":true})";
  const auto expect_refused_as = [&](const std::string& text) {
    Forgery forgery;
    forgery.description = good.description;
    forgery.change_list_text = [&](std::string& list) {
      const size_t at = list.find(spelt);
      ASSERT_NE(at, std::string::npos) << list;
      list.replace(at, spelt.size(), text);
    };
    expect_refused(forgery.archive(), "umbel-bundle.json");
  };
  for (const char* python :
       {R"({})", R"({"flower":true})", R"({"server":"app:server","flower":false})",
        R"({"client":"app:client","server":"app:server"})", R"({"server":"app"})",
        R"({"server":"../app:x"})", R"({"server":"a:b;c"})", R"({"server":3})",
        R"({"server":"a:b","other":1})", R"({"server":""})", R"([])", R"("app:server")"}) {
    expect_refused_as(fmt::format(",\"python\":{}", python));
  }
}

TEST(Verify, OnlyTheListsOwnSignatureIsTaken) {
  const std::vector<std::function<void(std::string&)>> changes = {
      [](auto& text) { text[90] = text[90] == '0' ? '1' : '0'; },
      [](auto& text) { text[20] = text[20] == '0' ? '1' : '0'; },
      [](auto& text) { text = format_signature("another list", PrivateKey::generate()); },
      [](auto& text) { text = " " + text; },
      [](auto& text) { text.pop_back(); },
      [](auto& text) { text = "{}\n"; },
      [](auto& text) { text = ""; },
      [](auto& text) { text = "[[[[[[[["; },
      [](auto& text) { text.replace(text.find("ed25519"), 7, "rsa2048"); },
      [](auto& text) {
        text.replace(text.find("ed25519:") + 8, 64, std::string(64, '0'));
        const size_t at = text.find("signature\":\"") + 12;
        text.replace(at, 128, "01" + std::string(126, '0'));
      }};
  for (size_t i = 0; i != changes.size(); ++i) {
    Forgery forgery;
    forgery.change_signature = changes[i];
    expect_refused(forgery.archive(), "umbel-bundle.sig");
  }
  Forgery larger;
  larger.change_signature = [](auto& text) { text += std::string(600, '\n'); };
  expect_refused(larger.archive(), "limit", absl::StatusCode::kResourceExhausted);
}

TEST(Verify, PaddingAndTheEndAreZeros) {
  const size_t tar_bytes = 512 * 2 + 1024 + 2 * 3 * 512 + 1024;
  for (int where = 0; where != 4; ++where) {
    Forgery forgery;
    forgery.change_tar = [&](std::string& tar) {
      ASSERT_GE(tar.size(), tar_bytes - 1024);
      if (where == 0) tar[tar.size() - 1] = 'x';
      if (where == 1) tar[tar.size() - 1024] = 'x';
      if (where == 2) tar[tar.size() - 1025] = 'x';
      if (where == 3) tar.resize(tar.size() - 512);
    };
    EXPECT_FALSE(verify(bytes_of(forgery.archive())).ok()) << where;
  }
  for (const size_t more : {1u, 512u, 10'240u}) {
    Forgery forgery;
    forgery.change_tar = [&](std::string& tar) { tar.resize(tar.size() + more); };
    expect_refused(forgery.archive(), "bytes after it");
  }
}

}  // namespace
}  // namespace umbel::bundle
