#include <utility>

#include "umbel/supernode/log.h"
#include "umbel/supernode/node_impl.h"

namespace umbel::supernode {

// Verified once in this process's life; on the disk if it was here before; else from the hub.
void Node::Impl::carry_out(const action::FetchBundle& fetch) {
  if (const auto known = apps_.find(fetch.sha256); known != apps_.end()) {
    return loop_.post(
        [this, sha256 = fetch.sha256, app = known->second] { bundle_ready(sha256, app); });
  }
  disk_.post([this, bundle = bundle_refs_.at(fetch.sha256)] {
    auto app = cache_.find(bundle.sha256);
    loop_.post([this, bundle, app = std::move(app)] {
      if (absl::IsNotFound(app.status())) return download(bundle);
      bundle_ready(bundle.sha256, app);
    });
  });
}

void Node::Impl::download(const wire::BundleRef& bundle) {
  transfers_.fetch_bundle(bundle, [this, bundle](Result<std::string> archive) {
    const auto shared = std::make_shared<const Result<std::string>>(std::move(archive));
    disk_.post([this, bundle, shared] {
      auto app = shared->ok() ? cache_.keep(bundle.sha256, std::as_bytes(std::span(**shared)))
                              : Result<App>(annotate(shared->status(), "fetching " + bundle.id));
      loop_.post([this, bundle, app = std::move(app)] { bundle_ready(bundle.sha256, app); });
    });
  });
}

void Node::Impl::bundle_ready(const std::string& sha256, const Result<App>& app) {
  if (app.ok()) {
    log_info("bundle: ready app={} sha256={}", app->id, sha256);
    apps_.insert_or_assign(sha256, *app);
  } else {
    log_error("bundle: refused sha256={} reason=\"{}\"", sha256, message_of(app.status()));
    shown_.last_error = message_of(app.status());
  }
  bundle_refs_.erase(sha256);
  state_.bundle_fetched(sha256, app.ok() ? "" : message_of(app.status()), now());
  pump();
}

void Node::Impl::carry_out(const action::FetchBlob& fetch) {
  Blob& blob = blobs_.at(fetch.blob);
  blob.fetch = ++numbers_;
  const auto ready = [this, id = fetch.blob,
                      number = blob.fetch](Result<std::shared_ptr<const SharedBlob>> here) {
    loop_.post([this, id, number, here = std::move(here)] { blob_ready(id, number, here); });
  };
  blob.job = transfers_.fetch_blob(blob.ref, ready);
}

void Node::Impl::carry_out(const action::DropBlob& drop) {
  const auto found = blobs_.find(drop.blob);
  if (found == blobs_.end()) return;
  if (found->second.job) transfers_.cancel(*found->second.job);
  blobs_.erase(found);
}

void Node::Impl::blob_ready(uint64_t blob, uint64_t fetch,
                            Result<std::shared_ptr<const SharedBlob>> here) {
  const auto found = blobs_.find(blob);
  if (found == blobs_.end() || found->second.fetch != fetch) return;
  found->second.job.reset();
  std::string error;
  if (here.ok()) {
    found->second.here = *std::move(here);
  } else {
    error = "fetching the message's arrays: " + message_of(here.status());
    log_warn("blob: not fetched blob={} reason=\"{}\"", blob, error);
  }
  state_.blob_fetched(blob, error, now());
  pump();
}

}  // namespace umbel::supernode
