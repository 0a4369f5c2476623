#include "umbel/base/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <thread>
#include <vector>

namespace umbel {
namespace {

using testing::HasSubstr;

class FilesTest : public testing::Test {
 protected:
  FilesTest() {
    std::string name = testing::TempDir() + "/files_test_XXXXXX";
    folder_ = ::mkdtemp(name.data());
  }
  ~FilesTest() override { std::filesystem::remove_all(folder_); }
  size_t entries() const {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(folder_), {}));
  }
  std::filesystem::path folder_;
};

TEST_F(FilesTest, WhatIsWrittenIsRead) {
  std::string text(200'000, 'x');
  text += std::string("\0\xff", 2);
  const auto path = folder_ / "a";
  ASSERT_TRUE(write_file_atomic(path, text).ok());
  const auto read = read_file(path, text.size());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, text);
  EXPECT_EQ(entries(), 1u);
}

TEST_F(FilesTest, ReadingStopsAtTheLimitAndNamesIt) {
  const auto path = folder_ / "a";
  ASSERT_TRUE(write_file_atomic(path, "12345").ok());
  const Status status = read_file(path, 4).status();
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  EXPECT_THAT(message_of(status), HasSubstr(path.string() + ": longer than the limit of 4 bytes"));
  EXPECT_TRUE(read_file(path, 5).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(read_file("/dev/zero", 1000).status()));
}

TEST_F(FilesTest, ReadingNamesWhatIsNotThere) {
  EXPECT_TRUE(absl::IsNotFound(read_file(folder_ / "none", 10).status()));
  EXPECT_THAT(message_of(read_file(folder_, 10).status()), HasSubstr("cannot read"));
}

TEST_F(FilesTest, APipeThatNobodyWritesToIsRefused) {
  const auto path = folder_ / "pipe";
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  EXPECT_THAT(message_of(read_file(path, 10).status()), HasSubstr("a pipe, expected a file"));
}

TEST_F(FilesTest, UncommittedFileLeavesWhatWasThere) {
  const auto path = folder_ / "a";
  ASSERT_TRUE(write_file_atomic(path, "old").ok());
  {
    auto file = AtomicFile::create(path);
    ASSERT_TRUE(file.ok()) << file.status();
    ASSERT_TRUE(file->write(std::string_view("new")).ok());
    EXPECT_EQ(*read_file(path, 10), "old");
  }
  EXPECT_EQ(*read_file(path, 10), "old");
  EXPECT_EQ(entries(), 1u);
}

TEST_F(FilesTest, FullDiskLeavesWhatWasThereAndNoOtherFile) {
  const auto path = folder_ / "a";
  ASSERT_TRUE(write_file_atomic(path, "old").ok());
  // A file size limit fails writes as a full disk does, for this process alone.
  const auto before = std::signal(SIGXFSZ, SIG_IGN);
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &limit), 0);
  const rlimit small{1000, limit.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const Status status = write_file_atomic(path, std::string(5000, 'x'));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  std::signal(SIGXFSZ, before);
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_THAT(message_of(status), HasSubstr(path.string()));
  EXPECT_EQ(*read_file(path, 10), "old");
  EXPECT_EQ(entries(), 1u);
}

TEST_F(FilesTest, CommitOntoAFolderFailsAndLeavesNoOtherFile) {
  std::filesystem::create_directories(folder_ / "a" / "b");
  EXPECT_TRUE(absl::IsUnavailable(write_file_atomic(folder_ / "a", "x")));
  EXPECT_EQ(entries(), 1u);
}

TEST_F(FilesTest, MissingFolderIsNamed) {
  const Status status = write_file_atomic(folder_ / "none" / "a", "x");
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_THAT(message_of(status), HasSubstr("none/a: cannot create"));
}

TEST_F(FilesTest, UmaskSaysWhoMayRead) {
  const mode_t before = ::umask(0077);
  const Status status = write_file_atomic(folder_ / "private", "x");
  ::umask(before);
  ASSERT_TRUE(status.ok()) << status;
  struct stat info {};
  ASSERT_EQ(::stat((folder_ / "private").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(FilesTest, WritersOfOneNameDoNotMixTheirContent) {
  const auto path = folder_ / "a";
  {
    std::vector<std::jthread> writers;
    for (char c : {'a', 'b', 'c', 'd'}) {
      writers.emplace_back([&path, c] {
        for (int i = 0; i != 20; ++i) {
          EXPECT_TRUE(write_file_atomic(path, std::string(10'000, c)).ok());
        }
      });
    }
  }
  const std::string text = *read_file(path, 10'000);
  EXPECT_EQ(text, std::string(10'000, text[0]));
  EXPECT_EQ(entries(), 1u);
}

TEST(UmbelHome, IsWhatTheEnvironmentSays) {
  const char* old = std::getenv("UMBEL_HOME");
  const std::string before = old ? old : "";
  ::setenv("UMBEL_HOME", "/somewhere", 1);
  EXPECT_EQ(umbel_home(), "/somewhere");
  ::unsetenv("UMBEL_HOME");
  if (const char* home = std::getenv("HOME"); home && *home) {
    EXPECT_EQ(umbel_home(), std::filesystem::path(home) / ".umbel");
  }
  if (old) ::setenv("UMBEL_HOME", before.c_str(), 1);
}

}  // namespace
}  // namespace umbel
