#include "umbel/http/stream.h"

#include <algorithm>
#include <boost/asio/error.hpp>

namespace umbel::http {

namespace {

// Small pieces travel together: a frame's head and its content make one TLS record.
constexpr size_t kGatherBytesMax = 16 << 10;

}  // namespace

AsyncStream::AsyncStream(asio::ip::tcp::socket socket, Transport transport)
    : core_(
          std::make_shared<Core>(Core{std::move(socket), std::move(transport), absl::OkStatus()})) {
}

void AsyncStream::close() {
  error_code ignored;
  core_->socket.close(ignored);
}

void AsyncStream::finish() {
  if (core_->socket.is_open()) core_->transport.finish();
}

error_code AsyncStream::code_of(const Step& step) {
  if (!core_->socket.is_open()) return asio::error::operation_aborted;
  if (step.end) return asio::error::eof;
  if (step.status.ok()) return {};
  core_->status = step.status;
  return asio::error::connection_reset;
}

Step AsyncStream::read_step(std::span<std::byte> out) {
  if (out.empty() || !core_->socket.is_open()) return {};
  return transport().read(out);
}

Step AsyncStream::write_step(const Gather& gather) {
  if (gather.count == 0 || !core_->socket.is_open()) return {};
  size_t total = 0;
  for (size_t i = 0; i != gather.count; ++i) total += gather.parts[i].size();
  if (gather.count == 1 || gather.parts[0].size() >= kGatherBytesMax) {
    return transport().write(gather.parts[0]);
  }
  std::array<std::byte, kGatherBytesMax> together;
  size_t size = 0;
  for (size_t i = 0; i != gather.count && size != together.size(); ++i) {
    const auto part =
        gather.parts[i].first(std::min(gather.parts[i].size(), together.size() - size));
    std::copy(part.begin(), part.end(), together.begin() + static_cast<ptrdiff_t>(size));
    size += part.size();
  }
  return transport().write({together.data(), size});
}

void beast_close_socket(AsyncStream& stream) { stream.close(); }

}  // namespace umbel::http
