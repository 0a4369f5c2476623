#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <set>

#include "umbel/base/files.h"
#include "umbel/bundle/hostile_archive_test.h"
#include "umbel/bundle/source_files.h"

namespace umbel::bundle {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class Pack : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "pack-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    put("umbel.toml", "[app]\n");
    put("CMakeLists.txt", "project(quickstart)\n");
    put("src/app.cc", "int main() {}\n");
    put("tools/run.sh", "#!/bin/sh\n", 0755);
    put("build/quickstart", "ELF", 0755);
    put(".git/HEAD", "ref\n");
    put(".hidden", "x");
    put("src/app.cc~", "x");
    put("src/.app.cc.swp", "x");
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path app() const { return folder_ / "app"; }
  fs::path put(const std::string& name, const std::string& text, mode_t mode = 0644) {
    const fs::path path = app() / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
    EXPECT_EQ(::chmod(path.c_str(), mode), 0);
    return path;
  }
  PackOptions options() const {
    return {app(),
            {"example", "quickstart", "0.1.0", {}},
            {{"linux-x86_64", app() / "build" / "quickstart"}}};
  }
  void expect_refused(const std::string& why) {
    const auto made = pack(options(), key_);
    EXPECT_EQ(made.status().code(), absl::StatusCode::kFailedPrecondition) << made.status();
    EXPECT_THAT(message_of(made.status()), HasSubstr(why));
  }
  std::set<std::string> entries(const fs::path& folder) {
    std::set<std::string> found;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      if (entry.is_regular_file()) found.insert(fs::relative(entry.path(), folder).string());
    }
    return found;
  }
  fs::path folder_;
  PrivateKey key_ = PrivateKey::generate();
};

TEST_F(Pack, WhatIsPackedUnpacksAsItWas) {
  const auto archive = pack(options(), key_);
  ASSERT_TRUE(archive.ok()) << archive.status();
  const fs::path target = folder_ / "cache" / "deep" / "app";
  const auto found = unpack(bytes_of(*archive), target);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->sha256, sha256_hex(bytes_of(*archive)));
  EXPECT_EQ(found->signer, key_.public_key());
  EXPECT_EQ(*found->program_for("linux-x86_64"), "programs/linux-x86_64/quickstart");
  EXPECT_EQ(entries(target),
            (std::set<std::string>{"CMakeLists.txt", "programs/linux-x86_64/quickstart",
                                   "src/app.cc", "tools/run.sh", "umbel.toml"}));
  EXPECT_EQ(*read_file(target / "src/app.cc", 100), "int main() {}\n");
  struct stat status {};
  ASSERT_EQ(::stat((target / "tools/run.sh").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0755u);
  ASSERT_EQ(::stat((target / "umbel.toml").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0644u);
  for (const auto& entry : fs::directory_iterator(folder_ / "cache" / "deep")) {
    EXPECT_EQ(entry.path().filename(), "app");  // nothing is left beside it
  }
}

TEST_F(Pack, WhatPythonLeavesStaysBehind) {
  put("app/main.py", "server = None\n");
  put("app/__pycache__/main.cpython-311.pyc", "x");
  put("app/old.pyc", "x");
  put("app.egg-info/PKG-INFO", "x");
  put(".venv/pyvenv.cfg", "x");
  put("env/pyvenv.cfg", "home = /usr/bin\n");
  put("env/lib/cert.pem", "x");
  put("app/.ipynb_checkpoints/main-checkpoint.py", "x");
  PackOptions python = options();
  python.programs.clear();
  python.description.python = {"app.main:server", "app.main:client", false};
  const auto archive = pack(python, key_);
  ASSERT_TRUE(archive.ok()) << archive.status();
  const auto found = unpack(bytes_of(*archive), folder_ / "out");
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->description.python, python.description.python);
  EXPECT_EQ(entries(folder_ / "out"),
            (std::set<std::string>{"CMakeLists.txt", "app/main.py", "src/app.cc", "tools/run.sh",
                                   "umbel.toml"}));
}

TEST_F(Pack, TheSameFilesAndKeyGiveTheSameBytes) {
  const auto first = pack(options(), key_);
  ASSERT_TRUE(first.ok()) << first.status();
  const fs::path elsewhere = folder_ / "elsewhere";
  fs::rename(app(), elsewhere);
  fs::create_directories(app());
  fs::copy(elsewhere, app(), fs::copy_options::recursive);
  ASSERT_EQ(::chmod((app() / "umbel.toml").c_str(), 0600), 0);
  ASSERT_EQ(::chmod((app() / "tools/run.sh").c_str(), 0700), 0);
  fs::last_write_time(app() / "umbel.toml",
                      fs::file_time_type::clock::now() - std::chrono::hours(9));
  EXPECT_EQ(*pack(options(), key_), *first);
  EXPECT_NE(*pack(options(), PrivateKey::generate()), *first);
}

TEST_F(Pack, KeysPasswordsAndCertificatesDoNotTravel) {
  for (const char* name : {"server.pem", "src/a.key", "id_rsa", "deep/er/id_ed25519", ".env",
                           ".env.local", "A.PEM", "store.p12", "ca.crt", "src/.netrc"}) {
    const fs::path path = put(name, "x");
    expect_refused(name);
    fs::remove(path);
  }
  const fs::path path = put("notes.txt", "-----BEGIN OPENSSH PRIVATE KEY-----\nabc");
  expect_refused("notes.txt");
  fs::remove(path);
  EXPECT_TRUE(pack(options(), key_).ok());
}

TEST_F(Pack, DataDoesNotTravelUnlessItIsSmall) {
  put("small.csv", "a,b\n1,2\n");
  EXPECT_TRUE(pack(options(), key_).ok());
  for (const char* name : {"data/patients.csv", "x.npz", "y.PARQUET"}) {
    const fs::path path = put(name, std::string((1 << 20) + 1, 'x'));
    expect_refused(name);
    fs::remove(path);
  }
}

TEST_F(Pack, SmallDataAndModelsTravelAndAreKnownByTheirNames) {
  put("data/patients.csv", "a,b\n1,2\n");
  put("model.NPZ", "PK");
  put("settings.json", "{}");
  const auto files = source_files(app());
  ASSERT_TRUE(files.ok()) << files.status();
  std::map<std::string, uint64_t> data;
  for (const SourceFile& file : *files) {
    if (file.is_data_like) data[file.path] = file.bytes;
  }
  EXPECT_EQ(data, (std::map<std::string, uint64_t>{{"data/patients.csv", 8}, {"model.NPZ", 2}}));
}

TEST_F(Pack, WhatTheFolderIgnoresStaysBehindWhateverItIs) {
  const auto names = [&] {
    std::set<std::string> found;
    const auto files = source_files(app());
    EXPECT_TRUE(files.ok()) << files.status();
    for (const SourceFile& file : files.ok() ? *files : std::vector<SourceFile>()) {
      found.insert(file.path);
    }
    return found;
  };
  const std::set<std::string> before = names();
  put("data/patients.csv", std::string(2 << 20, '1'));
  put("data/deep/more.csv", "1");
  put("server.pem", "x");
  put("notes.txt", "x");
  put("src/notes.txt", "x");
  expect_refused("must not travel");
  put(".umbelignore", "# what stays\n\ndata/  \r\n*.pem\n/nothing\n no*s.txt # anywhere\n");
  EXPECT_EQ(names(), before);
  put(".umbelignore", "data\n*.pem\nsrc/*.txt\n");
  std::set<std::string> one_more = before;
  one_more.insert("notes.txt");
  EXPECT_EQ(names(), one_more);
}

TEST_F(Pack, LinksAndWhatIsNoFileDoNotTravel) {
  fs::create_symlink("/etc/passwd", app() / "src" / "link.txt");
  expect_refused("src/link.txt");
  fs::remove(app() / "src" / "link.txt");
  fs::create_directory_symlink("/etc", app() / "folder");
  expect_refused("folder");
  fs::remove(app() / "folder");
  ASSERT_EQ(::mkfifo((app() / "pipe").c_str(), 0600), 0);
  expect_refused("pipe");
}

TEST_F(Pack, NamesThatNobodyWouldTakeAreRefused) {
  for (const char* name : {"a:b.txt", "caf\xc3\xa9.txt", "UMBEL.toml", "umbel-bundle.json",
                           "programs/linux-x86_64/quickstart"}) {
    const fs::path path = put(name, "x");
    expect_refused(std::string(name).substr(0, 1));
    fs::remove(path);
  }
  PackOptions bad = options();
  bad.description.version = "1.0.0+build";
  EXPECT_EQ(pack(bad, key_).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(Pack, LimitsAreRefusedBeforeAnythingIsMade) {
  put("zeros.bin", std::string(8 << 20, '\0'));
  expect_refused("200 times");
  std::string noise(60 << 20, '\0');
  random_bytes(std::as_writable_bytes(std::span(noise)));
  put("zeros.bin", noise);
  put("more.bin", noise);
  expect_refused("104857600");
}

TEST_F(Pack, AMissingFolderOrProgramIsNotFound) {
  PackOptions bad = options();
  bad.app = folder_ / "none";
  EXPECT_EQ(pack(bad, key_).status().code(), absl::StatusCode::kNotFound);
  bad = options();
  bad.programs[0].second = folder_ / "none";
  EXPECT_EQ(pack(bad, key_).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(Pack, UnpackWritesNothingOfWhatItRefuses) {
  Forgery forgery;
  forgery.change_entries = [](auto& entries) { entries[4].content[0] = 'x'; };  // the last one
  const std::string archive = forgery.archive();
  EXPECT_EQ(unpack(bytes_of(archive), folder_ / "new" / "app").status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(fs::exists(folder_ / "new"));
}

TEST_F(Pack, UnpackRefusesAFolderThatIsThere) {
  const auto archive = pack(options(), key_);
  ASSERT_TRUE(archive.ok());
  fs::create_directories(folder_ / "empty");
  fs::create_symlink("/nowhere", folder_ / "link");
  for (const fs::path& target :
       {app(), folder_ / "empty", folder_ / "empty" / "", folder_ / "link"}) {
    EXPECT_EQ(unpack(bytes_of(*archive), target).status().code(), absl::StatusCode::kAlreadyExists)
        << target;
  }
  EXPECT_FALSE(unpack(bytes_of(*archive), app() / "umbel.toml" / "x").ok());
}

}  // namespace
}  // namespace umbel::bundle
