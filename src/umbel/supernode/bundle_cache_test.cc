#include "umbel/supernode/bundle_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "umbel/base/files.h"
#include "umbel/base/sha256.h"
#include "umbel/supernode/temporary_folder_test.h"

namespace umbel::supernode {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class BundleCacheTest : public testing::Test {
 protected:
  BundleCacheTest() {
    fs::create_directories(temporary_.path() / "app" / "data");
    write("app/umbel.toml", "[app]\nname = \"demo\"\npublisher = \"acme\"\nversion = \"1\"\n");
    write("app/data/notes.txt", "some notes");
    write("program", "#!/bin/sh\nexit 0\n");
    fs::permissions(temporary_.path() / "program", fs::perms::owner_all);
  }
  void write(const fs::path& name, std::string_view text) {
    ASSERT_TRUE(write_file_atomic(temporary_.path() / name, text).ok());
  }
  std::string pack(const std::string& platform = bundle::this_platform()) {
    auto archive = bundle::pack({.app = temporary_.path() / "app",
                                 .description = {"acme", "demo", "1", {}},
                                 .programs = {{platform, temporary_.path() / "program"}}},
                                key_);
    EXPECT_TRUE(archive.ok()) << archive.status();
    return *archive;
  }
  Result<App> keep(BundleCache& cache, const std::string& archive) {
    const auto bytes = std::as_bytes(std::span(archive));
    return cache.keep(sha256_hex(bytes), bytes);
  }
  BundleCache cache(const Policy& policy) {
    return BundleCache({.folder = temporary_.path() / "bundles"}, policy);
  }
  fs::path place(const std::string& archive) const {
    return temporary_.path() / "bundles" / sha256_hex(std::as_bytes(std::span(archive)));
  }

  TemporaryFolder temporary_;
  PrivateKey key_ = PrivateKey::generate();
  Policy policy_{{.trust_publishers = {key_.public_key()}}};
};

TEST_F(BundleCacheTest, WhatWasKeptIsFoundAgainByTheNextProcess) {
  const std::string archive = pack();
  const std::string sha256 = sha256_hex(std::as_bytes(std::span(archive)));
  EXPECT_TRUE(absl::IsNotFound(cache(policy_).find(sha256).status()));
  auto first = cache(policy_);
  const auto app = keep(first, archive);
  ASSERT_TRUE(app.ok()) << app.status();
  EXPECT_EQ(app->id, "acme/demo@1");
  EXPECT_TRUE(fs::exists(app->command.at(0)));
  EXPECT_TRUE(fs::exists(app->folder / "umbel.toml"));
  const auto again = cache(policy_).find(sha256);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->command, app->command);
}

TEST_F(BundleCacheTest, OtherBytesThanTheRunsAreRefused) {
  const std::string archive = pack();
  auto cache = this->cache(policy_);
  const std::string other(64, 'a');
  const auto app = cache.keep(other, std::as_bytes(std::span(archive)));
  EXPECT_TRUE(absl::IsDataLoss(app.status())) << app.status();
  EXPECT_FALSE(fs::exists(temporary_.path() / "bundles" / other));
}

TEST_F(BundleCacheTest, AnUnknownSignersAppIsNotEvenWritten) {
  const std::string archive = pack();
  const Policy nobody({});
  auto cache = this->cache(nobody);
  EXPECT_TRUE(absl::IsPermissionDenied(keep(cache, archive).status()));
  EXPECT_FALSE(fs::exists(place(archive)));
}

TEST_F(BundleCacheTest, TrustThatWasTakenBackHoldsForWhatIsHere) {
  const std::string archive = pack();
  auto first = cache(policy_);
  ASSERT_TRUE(keep(first, archive).ok());
  const Policy nobody({});
  const auto app = cache(nobody).find(sha256_hex(std::as_bytes(std::span(archive))));
  EXPECT_TRUE(absl::IsPermissionDenied(app.status())) << app.status();
}

TEST_F(BundleCacheTest, AnyDamageOnTheDiskMeansFetchingAnew) {
  const std::string archive = pack();
  const std::string sha256 = sha256_hex(std::as_bytes(std::span(archive)));
  const std::vector<std::function<void(const fs::path&)>> damages = {
      [](const fs::path& place) {
        std::string text = *read_file(place / "bundle.umbel", 1 << 20);
        text[text.size() / 2] ^= 1;
        ASSERT_TRUE(write_file_atomic(place / "bundle.umbel", text).ok());
      },
      [](const fs::path& place) {
        ASSERT_TRUE(write_file_atomic(place / "app/data/notes.txt", "same notes").ok());
      },
      [](const fs::path& place) { fs::remove(place / "app/umbel.toml"); },
      [](const fs::path& place) { fs::remove(place / "bundle.umbel"); },
  };
  for (const auto& damage : damages) {
    auto cache = this->cache(policy_);
    ASSERT_TRUE(keep(cache, archive).ok());
    ASSERT_TRUE(cache.find(sha256).ok());
    damage(place(archive));
    EXPECT_TRUE(absl::IsNotFound(cache.find(sha256).status()));
    EXPECT_FALSE(fs::exists(place(archive)));
  }
}

TEST_F(BundleCacheTest, AnAppForOtherPlatformsIsBuiltOnlyWhereTheOwnerAllowsIt) {
  auto cache = this->cache(policy_);
  const auto app = keep(cache, pack("other-cpu"));
  EXPECT_EQ(app.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(message_of(app.status()), HasSubstr("--build-from-source"));
}

TEST_F(BundleCacheTest, AHashThatIsAPathIsRefused) {
  auto cache = this->cache(policy_);
  EXPECT_TRUE(absl::IsInvalidArgument(cache.find("../../etc").status()));
}

TEST_F(BundleCacheTest, OldBundlesGoAtTheNextStart) {
  for (int i = 0; i != 5; ++i) fs::create_directories(temporary_.path() / fmt::format("b/{}", i));
  for (int i = 0; i != 5; ++i) {
    const auto time = fs::file_time_type::clock::now() - std::chrono::hours(i);
    fs::last_write_time(temporary_.path() / fmt::format("b/{}", i), time);
  }
  const BundleCache cache({.folder = temporary_.path() / "b", .bundles_kept = 2}, policy_);
  EXPECT_TRUE(fs::exists(temporary_.path() / "b/0"));
  EXPECT_TRUE(fs::exists(temporary_.path() / "b/1"));
  EXPECT_FALSE(fs::exists(temporary_.path() / "b/2"));
}

TEST_F(BundleCacheTest, APinnedFolderTakesThePlaceOfItsBundles) {
  const fs::path app = temporary_.path() / "app";
  EXPECT_FALSE(Pins::read({app}).ok()) << "it was not built";
  fs::create_directories(app / "build");
  fs::copy_file(temporary_.path() / "program", app / "build" / "demo");
  const auto pins = Pins::read({app});
  ASSERT_TRUE(pins.ok()) << pins.status();
  ASSERT_NE(pins->find("acme/demo@7"), nullptr);
  EXPECT_EQ(pins->find("acme/demo@7")->command,
            (std::vector<std::string>{fs::canonical(app / "build/demo"), "--umbel-client"}));
  EXPECT_EQ(pins->find("other/demo@7"), nullptr);
  EXPECT_EQ(pins->find("acme/demos@7"), nullptr);
}

TEST_F(BundleCacheTest, APinnedProgramIsKnownByItsName) {
  const auto pins = Pins::read({temporary_.path() / "program"});
  ASSERT_TRUE(pins.ok()) << pins.status();
  EXPECT_NE(pins->find("anyone/program@1"), nullptr);
  EXPECT_EQ(pins->find("anyone/demo@1"), nullptr);
}

// An interpreter that is as the node's checks say it should be, or says what is wrong.
class PythonAppTest : public BundleCacheTest {
 protected:
  PythonAppTest() {
    write("app/app.py", "client = server = None\n");
    interpreter("exit 0");
  }
  void interpreter(const std::string& script) {
    write("python", "#!/bin/sh\n" + script + "\n");
    fs::permissions(temporary_.path() / "python", fs::perms::owner_all);
  }
  std::string python() const { return (temporary_.path() / "python").string(); }
  Result<App> keep_python(const bundle::PythonEntry& entry) {
    auto archive = bundle::pack(
        {.app = temporary_.path() / "app", .description = {"acme", "demo", "1", {}, entry}}, key_);
    EXPECT_TRUE(archive.ok()) << archive.status();
    BundleCache cache({.folder = temporary_.path() / "bundles", .python = python()}, policy_);
    return keep(cache, *archive);
  }
};

TEST_F(PythonAppTest, IsStartedByTheOwnersInterpreterInItsFolder) {
  const auto app = keep_python({"app:server", "app:client", true});
  ASSERT_TRUE(app.ok()) << app.status();
  EXPECT_EQ(app->command.at(0), python());
  EXPECT_EQ(std::vector<std::string>(app->command.begin() + 3, app->command.end()),
            (std::vector<std::string>{"--umbel-client", "--client", "app:client", "--flower"}));
  EXPECT_TRUE(fs::exists(app->folder / "app.py"));
  EXPECT_THAT(app->environment, testing::Contains(testing::Pair("PYTHONDONTWRITEBYTECODE", "1")));
}

TEST_F(PythonAppTest, AnInterpreterThatIsNotFitIsARefusalWithItsOwnWords) {
  interpreter("echo \"$0: is Python 3.8, Umbel needs 3.10 or newer\" >&2; exit 4");
  const auto app = keep_python({"", "app:client", false});
  EXPECT_EQ(app.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(
      message_of(app.status()),
      HasSubstr("acme/demo@1: its ClientApp is in Python, which this node is not ready for: " +
                python() + ": is Python 3.8, Umbel needs 3.10 or newer"));
}

TEST_F(PythonAppTest, ANodeWithoutPythonSaysSo) {
  fs::remove(python());
  EXPECT_THAT(message_of(keep_python({"", "app:client", false}).status()),
              HasSubstr("--python " + python() + ": no such interpreter"));
}

TEST_F(PythonAppTest, OnesServerAloneNeedsAProgramForTheClient) {
  EXPECT_THAT(message_of(keep_python({"app:server", "", false}).status()),
              HasSubstr("has no program for"));
}

TEST_F(PythonAppTest, ThatIsPinnedIsReadFromItsManifest) {
  const fs::path app = temporary_.path() / "app";
  write("app/umbel.toml",
        "[app]\nname = \"demo\"\npublisher = \"acme\"\n[entry]\npython = \"app\"\n");
  const auto pins = Pins::read({app}, python());
  ASSERT_TRUE(pins.ok()) << pins.status();
  const App* pinned = pins->find("acme/demo@7");
  ASSERT_NE(pinned, nullptr);
  EXPECT_EQ(pinned->command.back(), "app:client");
  interpreter("exit 4");
  EXPECT_FALSE(Pins::read({app}, python()).ok());
}

}  // namespace
}  // namespace umbel::supernode
