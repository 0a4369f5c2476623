#include "umbel/runner/channel.h"

#include <absl/synchronization/mutex.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>

namespace umbel::runner {

namespace {

constexpr size_t kHeaderBytes = 5;
constexpr size_t kReadBytes =
    4 << 10;  // a small frame is one read; the rest of others goes to its place

struct Header {
  std::array<char, kHeaderBytes> bytes{};

  Header() = default;
  Header(uint32_t length, bool with_blob) {
    for (size_t i = 0; i != 4; ++i) bytes[i] = static_cast<char>(length >> (8 * i));
    bytes[4] = with_blob ? 1 : 0;
  }
  uint32_t length() const {
    uint32_t length = 0;
    for (size_t i = 0; i != 4; ++i) {
      length |= static_cast<uint32_t>(static_cast<uint8_t>(bytes[i])) << (8 * i);
    }
    return length;
  }
};

// Room for one descriptor beside a message's bytes.
union Control {
  cmsghdr aligned;
  char bytes[CMSG_SPACE(sizeof(int))];
};

Status gone() { return unavailable("the other end of the channel is gone"); }

// Sends what is left of `parts`, the descriptor with the first byte.
Status send_all(int socket, std::array<iovec, 2> parts, int descriptor) {
  Control control{};
  msghdr message{.msg_iov = parts.data(), .msg_iovlen = parts.size()};
  if (descriptor >= 0) {
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof descriptor);
    std::memcpy(CMSG_DATA(rights), &descriptor, sizeof descriptor);
  }
  while (message.msg_iovlen != 0) {
    ssize_t sent = ::sendmsg(socket, &message, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return gone();
    message.msg_control = nullptr;
    message.msg_controllen = 0;
    for (; message.msg_iovlen != 0; ++message.msg_iov, --message.msg_iovlen) {
      const auto taken = std::min(static_cast<size_t>(sent), message.msg_iov->iov_len);
      message.msg_iov->iov_base = static_cast<char*>(message.msg_iov->iov_base) + taken;
      message.msg_iov->iov_len -= taken;
      sent -= static_cast<ssize_t>(taken);
      if (message.msg_iov->iov_len != 0) break;
    }
  }
  return absl::OkStatus();
}

// The descriptor that came with a message.
Descriptor descriptor_of(msghdr& message) {
  Descriptor found;
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    int value = -1;
    std::memcpy(&value, CMSG_DATA(part), sizeof value);
    found = Descriptor(value);
  }
  return found;
}

}  // namespace

struct Channel::Lock {
  absl::Mutex mutex;
};

// What one read brought: whole frames are taken out of it, and the rest of one is read to its end.
struct Channel::Input {
  std::string bytes;      // read and not taken yet
  size_t taken = 0;       // of them
  Descriptor descriptor;  // came with one of them: a read never goes past a byte that has another

  std::string_view left() const { return std::string_view(bytes).substr(taken); }
};

Channel::Channel(Descriptor socket)
    : socket_(std::move(socket)),
      lock_(std::make_unique<Lock>()),
      input_(std::make_unique<Input>()) {}
Channel::Channel(Channel&&) noexcept = default;
Channel& Channel::operator=(Channel&&) noexcept = default;
Channel::~Channel() = default;

Result<std::pair<Channel, Descriptor>> Channel::make_pair() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return resource_exhausted("cannot make a channel: {}", std::strerror(errno));
  }
  return std::pair(Channel(Descriptor(ends[0])), Descriptor(ends[1]));
}

Result<std::optional<Channel>> Channel::inherited() {
  const char* text = std::getenv(kChannelVariable);
  if (!text) return std::optional<Channel>();
  int number = -1;
  const char* end = text + std::strlen(text);
  struct stat info {};
  if (std::from_chars(text, end, number).ptr != end || ::fstat(number, &info) != 0 ||
      !S_ISSOCK(info.st_mode)) {
    return invalid_argument("{}={}: not an open socket", kChannelVariable, text);
  }
  ::fcntl(number, F_SETFD, FD_CLOEXEC);
  return std::optional(Channel(Descriptor(number)));
}

Status Channel::send(std::string_view bytes, const SharedBlob* blob) {
  return send_with(bytes, blob ? blob->descriptor() : -1);
}

Status Channel::send_with(std::string_view bytes, int descriptor) {
  if (bytes.size() > UINT32_MAX) {
    return invalid_argument("a frame of {} bytes, the limit is {}", bytes.size(), UINT32_MAX);
  }
  Header header(static_cast<uint32_t>(bytes.size()), descriptor >= 0);
  const std::array<iovec, 2> parts = {
      iovec{header.bytes.data(), header.bytes.size()},
      iovec{const_cast<char*>(bytes.data()), bytes.size()},
  };
  absl::MutexLock lock(&lock_->mutex);
  return send_all(socket_.get(), parts, descriptor);
}

// Reads what is there, at least a byte.
Status Channel::read_more() {
  Input& input = *input_;
  input.bytes.erase(0, std::exchange(input.taken, 0));
  const size_t before = input.bytes.size();
  std::array<char, kReadBytes> chunk;
  for (;;) {
    Control control{};
    iovec part{chunk.data(), chunk.size()};
    msghdr message{.msg_iov = &part,
                   .msg_iovlen = 1,
                   .msg_control = control.bytes,
                   .msg_controllen = sizeof control.bytes};
    const ssize_t got = ::recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0 && before == 0) return gone();
    if (got <= 0) return absl::OutOfRangeError("the channel ended in the middle of a frame");
    if (Descriptor descriptor = descriptor_of(message)) {
      if (input.descriptor) return invalid_argument("a descriptor that no frame has");
      input.descriptor = std::move(descriptor);
    }
    input.bytes.append(chunk.data(), static_cast<size_t>(got));
    return absl::OkStatus();
  }
}

Result<Channel::Frame> Channel::receive(size_t bytes_max) {
  Input& input = *input_;
  while (input.left().size() < kHeaderBytes) UMBEL_RETURN_IF_ERROR(read_more());
  Header header;
  std::memcpy(header.bytes.data(), input.left().data(), kHeaderBytes);
  if (header.length() > bytes_max) {
    return invalid_argument("a frame of {} bytes, the limit is {}", header.length(), bytes_max);
  }
  if (header.bytes[4] == 1 && !input.descriptor) {
    return invalid_argument("a frame without a descriptor, its header says otherwise");
  }
  Frame frame;
  if (header.bytes[4] == 1) frame.blob = std::move(input.descriptor);
  input.taken += kHeaderBytes;
  const std::string_view there = input.left().substr(0, header.length());
  frame.bytes.reserve(header.length());
  frame.bytes = there;
  input.taken += there.size();
  if (input.taken == input.bytes.size()) {
    input.bytes.clear();
    input.taken = 0;
    if (input.descriptor) {
      return invalid_argument("a frame with a descriptor, its header says otherwise");
    }
  }
  size_t got = frame.bytes.size();
  if (got != header.length()) frame.bytes.resize(header.length());
  while (got != frame.bytes.size()) {
    const ssize_t bytes =
        ::recv(socket_.get(), frame.bytes.data() + got, frame.bytes.size() - got, 0);
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes <= 0) return absl::OutOfRangeError("the channel ended in the middle of a frame");
    got += static_cast<size_t>(bytes);
  }
  return frame;
}

bool Channel::wait(int other) {
  if (!input_->left().empty()) return true;
  std::array<pollfd, 2> waits = {pollfd{socket_.get(), POLLIN, 0}, pollfd{other, POLLIN, 0}};
  while (::poll(waits.data(), waits.size(), -1) < 0 && errno == EINTR) {
  }
  return waits[0].revents != 0;
}

void Channel::shut_down() { ::shutdown(socket_.get(), SHUT_RDWR); }

}  // namespace umbel::runner
