#include "umbel/base/shared_blob.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace umbel {

namespace {

constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
constexpr uint64_t kSizeMax = uint64_t{1} << 46;

Status outside(uint64_t offset, size_t bytes, uint64_t size) {
  return invalid_argument("shared memory: bytes {} to {} of {}", offset, offset + bytes, size);
}

bool fits(uint64_t offset, size_t bytes, uint64_t size) {
  return offset <= size && bytes <= size - offset;
}

}  // namespace

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  if (this == &other) return *this;
  if (value_ >= 0) ::close(value_);
  value_ = other.release();
  return *this;
}

Descriptor::~Descriptor() {
  if (value_ >= 0) ::close(value_);
}

int Descriptor::release() { return std::exchange(value_, -1); }

Result<Descriptor> Descriptor::duplicate() const {
  Descriptor copy(::fcntl(value_, F_DUPFD_CLOEXEC, 0));
  if (!copy)
    return resource_exhausted("cannot duplicate descriptor {}: {}", value_, std::strerror(errno));
  return copy;
}

Result<SharedBlob> SharedBlob::create(uint64_t size) {
  if (size > kSizeMax) return resource_exhausted("shared memory: {} bytes are too many", size);
  SharedBlob blob;
  blob.descriptor_ = Descriptor(::memfd_create("umbel", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  // Reserved now: later, what is missing would come as a signal in the middle of a copy.
  if (!blob.descriptor_ || ::ftruncate(blob.descriptor(), static_cast<off_t>(size)) != 0 ||
      (size > 0 && ::fallocate(blob.descriptor(), 0, 0, static_cast<off_t>(size)) != 0)) {
    return resource_exhausted("shared memory of {} bytes: {}", size, std::strerror(errno));
  }
  blob.size_ = size;
  return blob;
}

Result<SharedBlob> SharedBlob::adopt(Descriptor descriptor, uint64_t size) {
  const int seals = ::fcntl(descriptor.get(), F_GET_SEALS);
  if (seals < 0) return invalid_argument("shared memory: the descriptor is of another kind");
  if ((seals & kSeals) != kSeals) return invalid_argument("shared memory: it is not sealed");
  struct stat info {};
  if (::fstat(descriptor.get(), &info) != 0 || static_cast<uint64_t>(info.st_size) != size) {
    return invalid_argument("shared memory: {} bytes, expected {}", info.st_size, size);
  }
  SharedBlob blob;
  blob.descriptor_ = std::move(descriptor);
  blob.size_ = size;
  return blob;
}

Status SharedBlob::write(uint64_t offset, std::span<const std::byte> bytes) {
  if (!fits(offset, bytes.size(), size_)) return outside(offset, bytes.size(), size_);
  while (!bytes.empty()) {
    const ssize_t wrote =
        ::pwrite(descriptor(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0 && errno == EPERM)
      return failed_precondition("shared memory: sealed, it cannot be written any more");
    if (wrote <= 0) return resource_exhausted("shared memory: {}", std::strerror(errno));
    bytes = bytes.subspan(static_cast<size_t>(wrote));
    offset += static_cast<uint64_t>(wrote);
  }
  return absl::OkStatus();
}

Status SharedBlob::seal() {
  if (::fcntl(descriptor(), F_ADD_SEALS, kSeals) == 0) return absl::OkStatus();
  return failed_precondition("shared memory: cannot be sealed: {}", std::strerror(errno));
}

Status SharedBlob::read(uint64_t offset, std::span<std::byte> bytes) const {
  if (!fits(offset, bytes.size(), size_)) return outside(offset, bytes.size(), size_);
  while (!bytes.empty()) {
    const ssize_t got =
        ::pread(descriptor(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return data_loss("shared memory: {}", std::strerror(errno));
    bytes = bytes.subspan(static_cast<size_t>(got));
    offset += static_cast<uint64_t>(got);
  }
  return absl::OkStatus();
}

Result<Buffer> SharedBlob::map() const { return map(PROT_READ, MAP_SHARED); }
Result<Buffer> SharedBlob::map_private() const { return map(PROT_READ | PROT_WRITE, MAP_PRIVATE); }

Result<Buffer> SharedBlob::map(int protection, int flags) const {
  if (size_ == 0) return Buffer();
  const auto size = static_cast<size_t>(size_);
  void* memory = ::mmap(nullptr, size, protection, flags, descriptor(), 0);
  if (memory == MAP_FAILED)
    return resource_exhausted("shared memory of {} bytes: cannot map: {}", size,
                              std::strerror(errno));
  return Buffer::adopt({static_cast<const std::byte*>(memory), size},
                       [memory, size] { ::munmap(memory, size); });
}

}  // namespace umbel
