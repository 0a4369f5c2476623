#include "umbel/record/npz_source.h"

#include <algorithm>
#include <cstring>

namespace umbel {

zip_source_t* NpzSource::create(zip_error_t* error) {
  return zip_source_function_create(&NpzSource::call, this, error);
}

zip_int64_t NpzSource::call(void* self, void* data, zip_uint64_t length, zip_source_cmd_t command) {
  return static_cast<NpzSource*>(self)->answer(data, length, command);
}

zip_int64_t NpzSource::read(std::span<std::byte> out) {
  const auto rest = bytes_.subspan(at_);
  const size_t bytes = std::min(out.size(), rest.size());
  if (bytes != 0) std::memcpy(out.data(), rest.data(), bytes);
  last_read_ = at_;
  at_ += bytes;
  return static_cast<zip_int64_t>(bytes);
}

zip_int64_t NpzSource::answer(void* data, zip_uint64_t length, zip_source_cmd_t command) {
  switch (command) {
    case ZIP_SOURCE_OPEN:
      at_ = 0;
      return 0;
    case ZIP_SOURCE_READ:
      return read({static_cast<std::byte*>(data), length});
    case ZIP_SOURCE_CLOSE:
    case ZIP_SOURCE_FREE:
      return 0;
    case ZIP_SOURCE_STAT: {
      auto* info = static_cast<zip_stat_t*>(data);
      zip_stat_init(info);
      info->size = bytes_.size();
      info->valid = ZIP_STAT_SIZE;
      return sizeof *info;
    }
    case ZIP_SOURCE_ERROR:
      return zip_error_to_data(&error_, data, length);
    case ZIP_SOURCE_SEEK: {
      const zip_int64_t to =
          zip_source_seek_compute_offset(at_, bytes_.size(), data, length, &error_);
      if (to < 0) return -1;
      at_ = static_cast<uint64_t>(to);
      return 0;
    }
    case ZIP_SOURCE_TELL:
      return static_cast<zip_int64_t>(at_);
    case ZIP_SOURCE_SUPPORTS:
      return zip_source_make_command_bitmap(
          ZIP_SOURCE_OPEN, ZIP_SOURCE_READ, ZIP_SOURCE_CLOSE, ZIP_SOURCE_STAT, ZIP_SOURCE_ERROR,
          ZIP_SOURCE_FREE, ZIP_SOURCE_SEEK, ZIP_SOURCE_TELL, ZIP_SOURCE_SUPPORTS, -1);
    default:
      zip_error_set(&error_, ZIP_ER_OPNOTSUPP, 0);
      return -1;
  }
}

}  // namespace umbel
