#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "umbel/base/keys.h"
#include "umbel/http/client.h"
#include "umbel/http/server.h"

namespace umbel::http {

// A folder of its own, removed at the end.
struct TemporaryFolder {
  TemporaryFolder()
      : path(std::filesystem::temp_directory_path() / ("umbel-http-" + random_hex(8))) {
    std::filesystem::create_directories(path);
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path); }
  const std::filesystem::path path;
};

// One identity for all tests of the program.
inline const Identity& test_identity() {
  static const Identity identity = [] {
    const TemporaryFolder folder;
    return *make_or_read_identity(folder.path, {"localhost", "127.0.0.1"});
  }();
  return identity;
}

// A handler made of two functions.
struct TestHandler : Handler {
  std::function<std::unique_ptr<Call>(const RequestHead&)> on_request = [](const RequestHead&) {
    return answered(error_response(not_found("nothing is here")));
  };
  std::function<Result<std::shared_ptr<SessionListener>>(const RequestHead&,
                                                         std::shared_ptr<Session>)>
      on_session = [](const RequestHead&,
                      const std::shared_ptr<Session>&) -> Result<std::shared_ptr<SessionListener>> {
    return not_found("no sessions here");
  };
  std::unique_ptr<Call> begin(const RequestHead& head) override { return on_request(head); }
  Result<std::shared_ptr<SessionListener>> open(const RequestHead& head,
                                                std::shared_ptr<Session> session) override {
    return on_session(head, std::move(session));
  }
};

inline Response text(std::string body, int code = 200) {
  Response response;
  response.code = code;
  response.type = "text/plain";
  response.body = std::move(body);
  return response;
}

struct TestServer {
  explicit TestServer(bool tls = true, ServerOptions options = {}) {
    options.address = "127.0.0.1";
    options.port = 0;
    if (tls) options.identity = test_identity();
    secure = tls;
    Result<std::unique_ptr<Server>> started = Server::start(options, handler);
    EXPECT_TRUE(started.ok()) << started.status();
    server = *std::move(started);
  }
  Endpoint endpoint() const {
    Endpoint to{"127.0.0.1", server->port(), {}};
    if (secure) {
      to.trust.authority_sha256 = test_identity().authority_sha256;
    } else {
      to.trust.plain = true;
    }
    return to;
  }

  TestHandler handler;
  std::unique_ptr<Server> server;
  bool secure = true;
};

// Bytes that look random and are the same for the same seed.
inline std::string pattern(size_t size, uint32_t seed = 1) {
  std::string bytes(size, '\0');
  uint32_t x = seed * 2654435761u + 12345;
  for (char& c : bytes) {
    x = x * 1664525u + 1013904223u;
    c = static_cast<char>(x >> 24);
  }
  return bytes;
}

}  // namespace umbel::http
