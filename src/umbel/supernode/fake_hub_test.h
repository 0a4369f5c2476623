#pragma once

#include <absl/synchronization/mutex.h>

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "umbel/http/server.h"
#include "umbel/wire/fleet.h"

namespace umbel::supernode {

// A hub that does as a test says: it lets any node in whose proof is right, serves bundles, blobs
// and uploads, and hands the node's frames to the test.
class FakeHub final : public http::Handler {
 public:
  FakeHub();
  ~FakeHub() override;

  uint16_t port() const { return server_->port(); }
  void serve_bundle(const std::string& sha256, std::string archive);
  void serve_blob(uint64_t id, std::string bytes);
  void refuse(bool refuse);
  // Of the next welcomes: what of Hello.holding is kept (all of it by default).
  void keep_only(std::vector<uint64_t> keep);

  void send(const wire::HubFrame& frame);
  void close_session();
  // The next frame of this kind, others passed over; waits 20 s at most.
  template <class Frame>
  std::optional<Frame> next() {
    const auto wanted = [](const wire::NodeFrame& it) { return std::holds_alternative<Frame>(it); };
    const auto frame = next_that(wanted);
    return frame ? std::optional(std::get<Frame>(*frame)) : std::nullopt;
  }
  // Waits for `count` welcomes in all.
  bool wait_for_welcomes(int count);
  wire::Hello last_hello() const;
  std::string uploaded(uint64_t instruction) const;
  bool wait_for_upload(uint64_t instruction, size_t bytes);
  uint64_t bytes_uploaded() const;  // in all, repeated ones too
  int bundle_requests() const;
  int blob_requests() const;

  std::unique_ptr<http::Call> begin(const http::RequestHead& head) override;
  Result<std::shared_ptr<http::SessionListener>> open(
      const http::RequestHead& head, std::shared_ptr<http::Session> session) override;

 private:
  class Listener;
  class UploadCall;
  std::optional<wire::NodeFrame> next_that(bool (*wanted)(const wire::NodeFrame&));
  void received(const std::shared_ptr<http::Session>& session, const wire::NodeFrame& frame);
  void welcome(const std::shared_ptr<http::Session>& session, const wire::Proof& proof);
  http::Response ranged(const std::string& bytes, const http::RequestHead& head) const;

  mutable absl::Mutex mutex_;
  std::shared_ptr<http::Session> session_;
  std::string nonce_, token_;
  wire::Hello hello_;
  std::deque<wire::NodeFrame> frames_;
  std::map<std::string, std::string> bundles_;
  std::map<uint64_t, std::string> blobs_, uploads_;
  std::optional<std::vector<uint64_t>> keep_;
  bool refuse_ = false;
  int welcomes_ = 0, bundle_requests_ = 0, blob_requests_ = 0;
  uint64_t bytes_uploaded_ = 0;
  std::unique_ptr<http::Server> server_;
};

}  // namespace umbel::supernode
