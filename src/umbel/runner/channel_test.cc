#include "umbel/runner/channel.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <thread>
#include <vector>

#include "umbel/base/error.h"

namespace umbel::runner {
namespace {

using ::testing::HasSubstr;

constexpr size_t kMax = 1 << 20;

struct Pair {
  Pair() : Pair(or_throw(Channel::make_pair())) {}
  explicit Pair(std::pair<Channel, Descriptor> ends)
      : here(std::move(ends.first)), there(std::move(ends.second)) {}
  Channel here, there;
};

SharedBlob blob_of(std::string_view text) {
  SharedBlob blob = or_throw(SharedBlob::create(text.size()));
  or_throw(blob.write(0, std::as_bytes(std::span(text))));
  or_throw(blob.seal());
  return blob;
}

TEST(ChannelTest, FramesArriveWholeAndInOrder) {
  Pair pair;
  std::jthread sender([&] {
    for (size_t i = 0; i != 100; ++i) or_throw(pair.here.send(std::string(i * i * 10, 'x')));
  });
  for (size_t i = 0; i != 100; ++i) {
    EXPECT_EQ(or_throw(pair.there.receive(kMax)).bytes, std::string(i * i * 10, 'x'));
  }
}

TEST(ChannelTest, ABlobComesWithItsFrame) {
  Pair pair;
  const SharedBlob one = blob_of("first"), two = blob_of("second");
  or_throw(pair.here.send("a", &one));
  or_throw(pair.here.send("b"));
  or_throw(pair.here.send("", &two));
  const auto text = [&](uint64_t size) {
    Channel::Frame frame = or_throw(pair.there.receive(kMax));
    if (!frame.blob) return std::string("none");
    EXPECT_NE(::fcntl(frame.blob.get(), F_GETFD) & FD_CLOEXEC, 0);
    const Buffer bytes = or_throw(or_throw(SharedBlob::adopt(std::move(frame.blob), size)).map());
    return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  };
  EXPECT_EQ(text(5), "first");
  EXPECT_EQ(text(0), "none");
  EXPECT_EQ(text(6), "second");
}

TEST(ChannelTest, ManySendersDoNotMixTheirFrames) {
  Pair pair;
  {
    std::vector<std::jthread> senders;
    for (int s = 0; s != 4; ++s) {
      senders.emplace_back([&pair, s] {
        for (int i = 0; i != 50; ++i) {
          or_throw(pair.here.send(std::string(20'000, static_cast<char>('a' + s))));
        }
      });
    }
    for (int i = 0; i != 200; ++i) {
      const std::string bytes = or_throw(pair.there.receive(kMax)).bytes;
      EXPECT_EQ(bytes, std::string(20'000, bytes[0]));
    }
  }
}

TEST(ChannelTest, TheEndOfTheOtherSideIsTold) {
  Pair pair;
  or_throw(pair.here.send("last"));
  { const Channel gone = std::move(pair.here); }
  EXPECT_EQ(or_throw(pair.there.receive(kMax)).bytes, "last");
  EXPECT_EQ(pair.there.receive(kMax).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(pair.there.send("x").code(), absl::StatusCode::kUnavailable);
}

TEST(ChannelTest, ShutDownEndsTheCallsOfBothEnds) {
  Pair pair;
  std::jthread receiver(
      [&] { EXPECT_EQ(pair.there.receive(kMax).status().code(), absl::StatusCode::kUnavailable); });
  std::jthread sender([&] {  // until nothing more fits
    while (pair.there.send(std::string(100'000, 'x')).ok()) {
    }
  });
  pair.here.shut_down();
  EXPECT_FALSE(pair.here.send("x").ok());
}

// Bytes as they come from whoever does not keep to the form.
class RawTest : public ::testing::Test {
 protected:
  RawTest() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    raw = Descriptor(ends[0]);
    channel.emplace(Descriptor(ends[1]));
  }
  void write(std::string_view bytes) {
    EXPECT_EQ(::send(raw.get(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  }
  Descriptor raw;
  std::optional<Channel> channel;
};

TEST_F(RawTest, AFrameOverTheLimitIsRefusedBeforeItTakesMemory) {
  write(std::string_view("\xff\xff\xff\x7f\x00", 5));
  EXPECT_EQ(message_of(channel->receive(100).status()),
            "a frame of 2147483647 bytes, the limit is 100");
}

TEST_F(RawTest, AnEndInTheMiddleOfAFrameIsTold) {
  write(
      std::string_view("\x05\x00\x00\x00\x00"
                       "abc",
                       8));
  raw = Descriptor();
  EXPECT_EQ(channel->receive(100).status().code(), absl::StatusCode::kOutOfRange);
}

TEST_F(RawTest, AnEndInTheMiddleOfAHeaderIsTold) {
  write("\x05");
  raw = Descriptor();
  EXPECT_EQ(channel->receive(100).status().code(), absl::StatusCode::kOutOfRange);
}

TEST_F(RawTest, AHeaderThatArrivesByteByByteIsUnderstood) {
  std::jthread receiver([&] { EXPECT_EQ(or_throw(channel->receive(100)).bytes, "ab"); });
  for (const char byte : std::string_view("\x02\x00\x00\x00\x00"
                                          "ab",
                                          7)) {
    write(std::string_view(&byte, 1));
  }
}

TEST_F(RawTest, APromisedDescriptorThatDoesNotComeIsRefused) {
  write(std::string_view("\x01\x00\x00\x00\x01x", 6));
  EXPECT_THAT(message_of(channel->receive(100).status()), HasSubstr("without a descriptor"));
}

TEST_F(RawTest, ADescriptorThatNoHeaderTellsOfIsRefused) {
  Channel other(std::move(raw));
  const SharedBlob blob = blob_of("some");
  or_throw(other.send("abc", &blob));
  EXPECT_TRUE(or_throw(channel->receive(100)).blob);
  // The same with the header's word taken back.
  std::array<char, 8> bytes{3, 0, 0, 0, 0, 'a', 'b', 'c'};
  iovec part{bytes.data(), bytes.size()};
  union {
    cmsghdr aligned;
    char bytes[CMSG_SPACE(sizeof(int))];
  } control{};
  msghdr message{.msg_iov = &part,
                 .msg_iovlen = 1,
                 .msg_control = control.bytes,
                 .msg_controllen = sizeof control.bytes};
  cmsghdr* rights = CMSG_FIRSTHDR(&message);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof(int));
  const int descriptor = blob.descriptor();
  std::memcpy(CMSG_DATA(rights), &descriptor, sizeof descriptor);
  const Descriptor socket = or_throw(other.duplicate());
  EXPECT_EQ(::sendmsg(socket.get(), &message, 0), 8);
  EXPECT_THAT(message_of(channel->receive(100).status()), HasSubstr("with a descriptor"));
}

TEST(ChannelTest, FramesThatComeTogetherKeepTheirBlobs) {
  Pair pair;
  const SharedBlob one = blob_of("one"), three = blob_of("three");
  const std::string large(10'000, 'y');
  for (int i = 0; i != 8; ++i) {
    or_throw(pair.here.send("a"));
    or_throw(pair.here.send("b", &one));
    or_throw(pair.here.send(large, &three));
    or_throw(pair.here.send("d"));
  }
  const Descriptor never = or_throw(pair.here.duplicate());
  for (int i = 0; i != 8; ++i) {
    for (const auto& [bytes, size] :
         std::vector<std::pair<std::string, uint64_t>>{{"a", 0}, {"b", 3}, {large, 5}, {"d", 0}}) {
      EXPECT_TRUE(pair.there.wait(never.get()));
      Channel::Frame frame = or_throw(pair.there.receive(kMax));
      EXPECT_EQ(frame.bytes, bytes);
      ASSERT_EQ(static_cast<bool>(frame.blob), size != 0);
      if (size != 0) EXPECT_TRUE(SharedBlob::adopt(std::move(frame.blob), size).ok());
    }
  }
}

TEST(ChannelTest, TheEnvironmentSaysWhichDescriptorIsTheChannel) {
  ::unsetenv(kChannelVariable);
  EXPECT_FALSE(or_throw(Channel::inherited()));
  for (const char* bad : {"", "x", "-1", "9999", "0x3"}) {
    ::setenv(kChannelVariable, bad, 1);
    EXPECT_EQ(Channel::inherited().status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
  auto ends = or_throw(Channel::make_pair());
  ::setenv(kChannelVariable, std::to_string(ends.second.release()).c_str(), 1);
  {
    std::optional<Channel> channel = or_throw(Channel::inherited());
    ASSERT_TRUE(channel);
    or_throw(channel->send("here"));
    EXPECT_EQ(or_throw(ends.first.receive(kMax)).bytes, "here");
  }
  ::unsetenv(kChannelVariable);
}

}  // namespace
}  // namespace umbel::runner
