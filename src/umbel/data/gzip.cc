#include "umbel/data/gzip.h"

#include <zlib.h>

#include <algorithm>

#include "umbel/base/check.h"

namespace umbel::data {

namespace {

constexpr size_t kStepMax = size_t{1} << 30;  // zlib counts in 32 bits
constexpr int kGzipOnly = 16 + MAX_WBITS;

}  // namespace

struct Gunzip::State {
  z_stream stream{};
  std::span<const std::byte> rest;
  size_t produced = 0;
  bool ended = false;
  ~State() { ::inflateEnd(&stream); }
};

bool is_gzip(std::span<const std::byte> bytes) {
  return bytes.size() >= 2 && bytes[0] == std::byte{0x1f} && bytes[1] == std::byte{0x8b};
}

Gunzip::Gunzip(std::span<const std::byte> compressed) : state_(std::make_unique<State>()) {
  state_->rest = compressed;
  UMBEL_CHECK(::inflateInit2(&state_->stream, kGzipOnly) == Z_OK);
}
Gunzip::~Gunzip() = default;

Status Gunzip::step(std::span<std::byte>& out) {
  z_stream& stream = state_->stream;
  std::span<const std::byte>& rest = state_->rest;
  const size_t give = std::min(rest.size(), kStepMax);
  const size_t take = std::min(out.size(), kStepMax);
  stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(rest.data()));
  stream.avail_in = static_cast<uInt>(give);
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(take);
  const int code = ::inflate(&stream, Z_NO_FLUSH);
  rest = rest.subspan(give - stream.avail_in);
  state_->produced += take - stream.avail_out;
  out = out.subspan(take - stream.avail_out);
  if (code == Z_STREAM_END) {
    state_->ended = true;
  } else if (code == Z_BUF_ERROR) {
    return data_loss("gzip data is cut off after {} bytes of content", state_->produced);
  } else if (code != Z_OK) {
    return data_loss("gzip data is damaged after {} bytes of content: {}", state_->produced,
                     stream.msg ? stream.msg : "it asks for a dictionary");
  }
  return absl::OkStatus();
}

Status Gunzip::read(std::span<std::byte> out) {
  while (!out.empty()) {
    if (state_->ended) {
      return data_loss("gzip content ends after {} bytes, {} more are expected", state_->produced,
                       out.size());
    }
    UMBEL_RETURN_IF_ERROR(step(out));
  }
  return absl::OkStatus();
}

Status Gunzip::finish() {
  std::byte extra{};
  std::span<std::byte> probe(&extra, 1);
  while (!state_->ended) {
    UMBEL_RETURN_IF_ERROR(step(probe));
    if (probe.empty()) {
      return data_loss("gzip content goes on after the {} bytes that were expected",
                       state_->produced - 1);
    }
  }
  if (!state_->rest.empty()) {
    return data_loss("{} bytes follow the gzip data", state_->rest.size());
  }
  return absl::OkStatus();
}

}  // namespace umbel::data
