#pragma once

#include <zip.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace umbel {

// An archive in memory as libzip reads it, which remembers where it read last.  libzip does not say
// where an entry's bytes lie; the first read of a stored entry does.  Must outlive the archive.
class NpzSource {
 public:
  explicit NpzSource(std::span<const std::byte> bytes) : bytes_(bytes) { zip_error_init(&error_); }
  ~NpzSource() { zip_error_fini(&error_); }
  NpzSource(const NpzSource&) = delete;

  // The source to open; the caller's until an archive takes it.  Null, with `error` set, if there
  // is no memory.
  zip_source_t* create(zip_error_t* error);
  // Where in the bytes the last read began.
  uint64_t last_read() const { return last_read_; }

 private:
  static zip_int64_t call(void* self, void* data, zip_uint64_t length, zip_source_cmd_t command);
  zip_int64_t answer(void* data, zip_uint64_t length, zip_source_cmd_t command);
  zip_int64_t read(std::span<std::byte> out);

  std::span<const std::byte> bytes_;
  uint64_t at_ = 0;
  uint64_t last_read_ = 0;
  zip_error_t error_;
};

}  // namespace umbel
