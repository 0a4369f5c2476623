#include "umbel/http/client.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "umbel/http/chunks.h"
#include "umbel/http/client_connection.h"
#include "umbel/http/error_body.h"

namespace umbel::http {

namespace {

constexpr size_t kPieceBytes = 256 << 10;
constexpr size_t kErrorBytesMax = 64 << 10;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

// Whether making a request twice does what making it once does.
bool repeatable(std::string_view method) {
  return method == "GET" || method == "HEAD" || method == "DELETE";
}

}  // namespace

struct Client::State {
  State(Endpoint endpoint, Options options) : connection(std::move(endpoint), options) {}

  std::string head(std::string_view method, std::string_view target, std::string_view more) const {
    std::string text =
        fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\n", method, target, connection.endpoint().text());
    if (!bearer.empty()) text += fmt::format("Authorization: Bearer {}\r\n", bearer);
    return text.append(more).append("\r\n");
  }

  // Reads a body to its end.
  Status read_body(const ParsedReply& reply, bool has_body, const Take& take);
  Status read_chunks(const Take& take);
  Result<Reply> read_reply(std::string_view method, std::chrono::seconds patience, size_t reply_max,
                           bool* began);
  Result<Reply> reply_to(const ClientConnection::Written& written, std::string_view method,
                         std::chrono::seconds patience, size_t reply_max, bool* began);
  void done(const ParsedReply& reply) {
    if (!reply.keep_alive || (!reply.framing.chunked && !reply.framing.length)) connection.close();
  }
  Status failed(const Status& status) {
    connection.close();
    return annotate(status, connection.endpoint().text());
  }

  ClientConnection connection;
  std::string bearer;
};

Status Client::State::read_chunks(const Take& take) {
  Chunks chunks;
  std::string& in = connection.buffered();
  while (true) {
    UMBEL_ASSIGN_OR_RETURN(const Chunks::Next next, chunks.next(in));
    if (!next.data.empty()) UMBEL_RETURN_IF_ERROR(take(bytes_of(next.data)));
    in.erase(0, next.used);
    if (next.end) return absl::OkStatus();
    if (next.used != 0) continue;
    UMBEL_ASSIGN_OR_RETURN(const bool more, connection.read_more(std::chrono::seconds(60)));
    if (!more) return unavailable("the connection was closed within the answer");
  }
}

Status Client::State::read_body(const ParsedReply& reply, bool has_body, const Take& take) {
  if (!has_body || reply.code == 204 || reply.code == 304) return absl::OkStatus();
  if (reply.framing.chunked) return read_chunks(take);
  uint64_t left = reply.framing.length.value_or(UINT64_MAX);
  const size_t size = static_cast<size_t>(std::min<uint64_t>(left, kPieceBytes));
  const auto piece = std::make_unique_for_overwrite<std::byte[]>(size);
  connection.set_bulk(left > kPieceBytes);
  while (left != 0) {
    const Result<size_t> count = connection.read({piece.get(), std::min<uint64_t>(left, size)});
    if (!count.ok()) return count.status();
    if (*count == 0 && !reply.framing.length) break;
    if (*count == 0) return unavailable("the connection was closed within the answer");
    UMBEL_RETURN_IF_ERROR(take({piece.get(), *count}));
    left -= *count;
  }
  connection.set_bulk(false);
  return absl::OkStatus();
}

Result<Client::Reply> Client::State::read_reply(std::string_view method,
                                                std::chrono::seconds patience, size_t reply_max,
                                                bool* began) {
  UMBEL_ASSIGN_OR_RETURN(const ParsedReply head, connection.read_head(patience, began));
  if (head.framing.length.value_or(0) > reply_max) {
    return resource_exhausted("the answer has {} bytes, at most {} are taken", *head.framing.length,
                              reply_max);
  }
  Reply reply;
  reply.code = head.code;
  UMBEL_RETURN_IF_ERROR(
      read_body(head, method != "HEAD", [&](std::span<const std::byte> piece) -> Status {
        if (reply.body.size() + piece.size() > reply_max) {
          return resource_exhausted("the answer is longer than {} bytes", reply_max);
        }
        reply.body.append(reinterpret_cast<const char*>(piece.data()), piece.size());
        return absl::OkStatus();
      }));
  done(head);
  return reply;
}

// An answer that came before all was written says more than the error of the writing.
Result<Client::Reply> Client::State::reply_to(const ClientConnection::Written& written,
                                              std::string_view method,
                                              std::chrono::seconds patience, size_t reply_max,
                                              bool* began) {
  if (!written.status.ok() && !written.answered) return written.status;
  Result<Reply> reply = read_reply(method, patience, reply_max, began);
  if (reply.ok() && written.answered) connection.close();
  if (!reply.ok() && !written.status.ok()) return written.status;
  return reply;
}

Client::Client(Endpoint endpoint, Options options)
    : state_(std::make_unique<State>(std::move(endpoint), options)) {}
Client::~Client() { state_->connection.close(); }

void Client::set_bearer(std::string token) { state_->bearer = std::move(token); }
void Client::cancel() { state_->connection.cancel(); }

Status Client::Reply::status() const { return status_of(code, body); }

Result<std::string> Client::certificate_sha256() {
  UMBEL_RETURN_IF_ERROR(state_->connection.open());
  return state_->connection.certificate_sha256();
}

Result<Client::Reply> Client::request(std::string_view method, std::string_view target,
                                      std::string_view body, std::string_view type,
                                      std::chrono::seconds patience, size_t reply_max) {
  std::string more;
  if (!body.empty()) more = fmt::format("Content-Type: {}\r\n", type);
  if (!body.empty() || !repeatable(method)) {
    more += fmt::format("Content-Length: {}\r\n", body.size());
  }
  const std::string head = state_->head(method, target, more);
  for (bool again = false;; again = true) {
    const bool reused = state_->connection.is_open();
    UMBEL_RETURN_IF_ERROR(state_->connection.open());
    ClientConnection::Written written = state_->connection.write(bytes_of(head));
    if (written.status.ok() && !written.answered) {
      written = state_->connection.write(bytes_of(body));
    }
    bool began = false;
    Result<Reply> reply = state_->reply_to(written, method, patience, reply_max, &began);
    if (reply.ok()) return reply;
    const Status status = state_->failed(reply.status());
    // The server may have closed an idle connection at the moment when we used it.
    if (!reused || again || began || !repeatable(method) || !absl::IsUnavailable(status)) {
      return status;
    }
  }
}

Client::Moved Client::download(std::string_view target, uint64_t first, std::optional<uint64_t> end,
                               const Take& take) {
  Moved moved;
  const bool ranged = first != 0 || end.has_value();
  if (end && *end <= first) return moved;
  std::string more;
  if (ranged) {
    more = fmt::format("Range: bytes={}-{}\r\n", first, end ? std::to_string(*end - 1) : "");
  }
  const auto failed = [&](const Status& status) {
    moved.status = state_->failed(status);
    return moved;
  };
  if (moved.status = state_->connection.open(); !moved.status.ok()) return moved;
  const auto written = state_->connection.write(bytes_of(state_->head("GET", target, more)));
  if (!written.status.ok()) return failed(written.status);
  const Result<ParsedReply> head = state_->connection.read_head(std::chrono::seconds(0));
  if (!head.ok()) return failed(head.status());
  if (head->code < 200 || head->code >= 300) {
    std::string text;
    const Status read = state_->read_body(*head, true, [&](std::span<const std::byte> piece) {
      if (text.size() + piece.size() > kErrorBytesMax) return resource_exhausted("a long error");
      text.append(reinterpret_cast<const char*>(piece.data()), piece.size());
      return absl::OkStatus();
    });
    if (!read.ok()) state_->connection.close();
    if (read.ok()) state_->done(*head);
    moved.status = status_of(head->code, text);
    return moved;
  }
  const std::string expected = fmt::format("bytes {}-", first);
  if (ranged ? head->code != 206 || !head->fields.value("content-range").starts_with(expected)
             : head->code != 200) {
    return failed(unavailable("the server answered {} with the range \"{}\", expected \"{}...\"",
                              head->code, head->fields.value("content-range"), expected));
  }
  Status refused;
  const uint64_t most = end ? *end - first : UINT64_MAX;
  const Status read = state_->read_body(*head, true, [&](std::span<const std::byte> piece) {
    if (piece.size() > most - moved.bytes) return unavailable("more came than was asked for");
    refused = take(piece);
    if (refused.ok()) moved.bytes += piece.size();
    return refused;
  });
  if (!refused.ok()) {
    state_->connection.close();
    moved.status = refused;
    return moved;
  }
  if (!read.ok()) return failed(read);
  state_->done(*head);
  return moved;
}

Result<Client::Reply> Client::upload(std::string_view method, std::string_view target,
                                     uint64_t bytes, const Give& give) {
  const std::string head = state_->head(
      method, target,
      fmt::format("Content-Type: application/octet-stream\r\nContent-Length: {}\r\n", bytes));
  UMBEL_RETURN_IF_ERROR(state_->connection.open());
  ClientConnection::Written written = state_->connection.write(bytes_of(head));
  const size_t size = static_cast<size_t>(std::min<uint64_t>(bytes, kPieceBytes));
  const auto piece = std::make_unique_for_overwrite<std::byte[]>(size);
  for (uint64_t left = bytes; left != 0 && written.status.ok() && !written.answered;) {
    const std::span<std::byte> part(piece.get(), std::min<uint64_t>(left, size));
    if (const Status given = give(part); !given.ok()) {
      state_->connection.close();
      return given;
    }
    written = state_->connection.write(part);
    left -= part.size();
  }
  Result<Reply> reply =
      state_->reply_to(written, method, std::chrono::seconds(0), kErrorBytesMax, nullptr);
  return reply.ok() ? std::move(reply) : state_->failed(reply.status());
}

}  // namespace umbel::http
