// How a connection reads a request's body.

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "umbel/http/chunks.h"
#include "umbel/http/connection.h"

namespace umbel::http {

namespace {

Response too_long(uint64_t body_max) {
  Response response =
      error_response(resource_exhausted("the body is longer than {} bytes", body_max));
  response.code = 413;
  return response;
}

Response stalled() {
  Response response = error_response(absl::DeadlineExceededError("the body stalled"));
  response.code = 408;
  return response;
}

}  // namespace

bool Connection::refuse_body(Status status) {
  if (status.ok()) return false;
  response_ = error_response(status);
  return true;
}

Connection::Awaitable<Connection::Body> Connection::read_body(Call& call,
                                                              const ParsedRequest& request) {
  const uint64_t length = request.framing.length.value_or(0);
  if (length > call.body_max()) {
    response_ = too_long(call.body_max());
    co_return Body::kRefused;
  }
  const std::string_view expect = request.fields.value("expect");
  if (!expect.empty() && !same_word(expect, "100-continue")) {
    response_ = error_response(invalid_argument("expect: only 100-continue"));
    response_->code = 417;
    co_return Body::kRefused;
  }
  if (!expect.empty() && in_.empty()) {
    const std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
    const bool written = co_await write(std::as_bytes(std::span(go_on)));
    if (!written) co_return Body::kBroken;
  }
  Body body = Body::kBroken;
  if (request.framing.chunked) {
    body = co_await read_chunked(call);
  } else {
    body = co_await read_sized(call, length);
  }
  no_deadline();
  if (body != Body::kBroken || !expired_ || dropped_) co_return body;
  response_ = stalled();
  co_return Body::kRefused;
}

// Straight from the socket (one copy, the decryption) into a piece that the call then takes.
Connection::Awaitable<Connection::Body> Connection::read_sized(Call& call, uint64_t length) {
  const size_t size = static_cast<size_t>(std::min<uint64_t>(length, kBodyPieceBytes));
  const auto piece = std::make_unique_for_overwrite<std::byte[]>(size);
  stream_.transport().set_bulk(length > kBodyPieceBytes);
  within(core_->options.idle_timeout);
  size_t filled = 0, progress = 0;
  for (uint64_t left = length; left != 0;) {
    const std::span<std::byte> room(piece.get() + filled, std::min<uint64_t>(left, size - filled));
    Step step;
    if (in_.empty()) {
      step = stream_.transport().read(room);
    } else {
      step.bytes = std::min(room.size(), in_.size());
      std::copy_n(reinterpret_cast<const std::byte*>(in_.data()), step.bytes, room.data());
      in_.erase(0, step.bytes);
    }
    if (step.bytes == 0) {
      bool ready = step.want != Want::kNothing;
      if (ready) ready = co_await wait(step.want);
      if (ready) continue;
      // What came is still given: a transfer may go on from there over another connection.
      if (filled != 0 && refuse_body(call.take({piece.get(), filled}))) co_return Body::kRefused;
      co_return Body::kBroken;
    }
    filled += step.bytes;
    left -= step.bytes;
    progress += step.bytes;
    if (progress >= kProgressBytes) {
      within(core_->options.idle_timeout);
      progress = 0;
    }
    if (filled != size && left != 0) continue;
    if (refuse_body(call.take({piece.get(), filled}))) co_return Body::kRefused;
    filled = 0;
    if (left != 0) co_await asio::post(executor(), asio::use_awaitable);  // others' turn
  }
  stream_.transport().set_bulk(false);
  co_return Body::kWhole;
}

Connection::Awaitable<Connection::Body> Connection::read_chunked(Call& call) {
  Chunks chunks;
  uint64_t total = 0;
  size_t progress = 0;
  within(core_->options.idle_timeout);
  while (true) {
    const Result<Chunks::Next> next = chunks.next(in_);
    if (!next.ok()) {
      refuse_body(next.status());
      co_return Body::kRefused;
    }
    total += next->data.size();
    if (total > call.body_max()) {
      response_ = too_long(call.body_max());
      co_return Body::kRefused;
    }
    if (!next->data.empty() && refuse_body(call.take(std::as_bytes(std::span(next->data))))) {
      co_return Body::kRefused;
    }
    in_.erase(0, next->used);
    if (next->end) co_return Body::kWhole;
    if (next->used != 0) continue;
    const Step step = read_more();
    if (step.want == Want::kNothing && !step.more()) co_return Body::kBroken;
    progress += step.bytes;
    if (progress >= kProgressBytes) {
      within(core_->options.idle_timeout);
      progress = 0;
    }
    if (step.bytes != 0) continue;
    const bool ready = co_await wait(step.want);
    if (!ready) co_return Body::kBroken;
  }
}

}  // namespace umbel::http
