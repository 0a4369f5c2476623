// Nodes for the benches of the deployment; bench/run starts the hub and the runs.
//
//   bench_deploy latency [--smoke]
//   bench_deploy ping|upload|idle HOST:PORT TRUST ADMIN_KEY NODES [ROUNDS]
#include <fmt/core.h>
#include <sys/resource.h>

#include <cstdlib>
#include <string_view>

#include "bench/deploy.h"
#include "umbel/base/error.h"
#include "umbel/base/keys.h"

namespace umbel::bench {

const http::Identity& loopback_identity() {
  static const http::Identity identity = [] {
    const auto folder =
        std::filesystem::temp_directory_path() / ("umbel-bench-tls-" + random_hex(8));
    auto made = http::make_or_read_identity(folder, {"127.0.0.1"});
    std::filesystem::remove_all(folder);
    return or_throw(std::move(made));
  }();
  return identity;
}

}  // namespace umbel::bench

namespace {

int usage() {
  fmt::print(stderr,
             "bench_deploy latency [--smoke]\n"
             "bench_deploy ping|upload|idle HOST:PORT TRUST ADMIN_KEY NODES [ROUNDS]\n");
  return 4;
}

int run(int argc, char** argv) {
  using namespace umbel;
  const std::string_view what = argc > 1 ? argv[1] : "";
  if (what == "latency") {
    bench::session_latency(argc > 2);
    return 0;
  }
  if (argc < 6) return usage();
  const bench::HubOptions hub{
      or_throw(http::parse_endpoint(argv[2], {.authority_sha256 = argv[3]})), argv[4]};
  const size_t nodes = std::strtoull(argv[5], nullptr, 10);
  const size_t rounds = argc > 6 ? std::strtoull(argv[6], nullptr, 10) : 1;
  if (what == "ping") {
    bench::round_trips(hub, rounds);
  } else if (what == "upload") {
    bench::uploads(hub, nodes, rounds);
  } else if (what == "idle") {
    bench::idle_nodes(hub, nodes);
  } else {
    return usage();
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  rlimit descriptors{};
  ::getrlimit(RLIMIT_NOFILE, &descriptors);
  descriptors.rlim_cur = descriptors.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &descriptors);
  try {
    return run(argc, argv);
  } catch (const umbel::Error& error) {
    fmt::print(stderr, "bench_deploy: {}\n", error.what());
    return 1;
  }
}
