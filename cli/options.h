#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace umbel::cli {

// What the arguments of each command say, as plain values.  An empty text is "not given".
enum class Format { kText, kJson };

struct NewOptions {
  std::string name, template_name, directory, publisher, python;
};
// umbel port: what it does is the package's (umbel.compat.port).
struct PortOptions {
  std::string app, python;
  bool dry_run = false;
};
struct BuildOptions {
  std::string app = ".";
};
struct RunOptions {
  std::string app = ".", link, population, python;
  std::vector<std::string> run_config;
  std::optional<int64_t> nodes, seed, threads;
  bool stream = false, build = true, report = true, curve = false, pull = true, detach = false,
       twin = false, debug = false;
  int64_t wait_seconds = 60;  // for so many nodes to connect
};
struct LsOptions {
  std::string link, status, app;
  int64_t limit = 20;  // 0 is all
  bool watch = false;
};
struct RoundsOptions {
  int64_t run = 0;
  std::string link;
  bool csv = false;
};
struct LogOptions {
  int64_t run = 0;
  std::string link, side = "all";
  bool follow = false;
  int64_t limit = 0;  // 0 is all that is kept
};
struct StopOptions {
  int64_t run = 0;
  std::string link;
};
struct PullOptions {
  int64_t run = 0;
  std::string link, to;
  bool force = false;
};
struct ReportOptions {
  int64_t run = 0;
  std::string link, output;
};

// umbel link, supernode and account: add (register), ls, remove (unregister).
enum class Change { kAdd, kList, kRemove };
struct LinkOptions {
  Change change = Change::kList;
  std::string name, address, trust, key;
  bool plain = false;
};
struct KeyOptions {};
struct SupernodeOptions {
  Change change = Change::kList;
  std::string name, key, federation, link;
};
struct AccountOptions {
  Change change = Change::kList;
  std::string name, key, role, federation, link;
};
struct UpOptions {
  int64_t nodes = 0, port = 9092;
  std::string python;
  bool detach = false;
};
struct DownOptions {};
struct PlanOptions {
  std::string app;
  std::optional<int64_t> model_bytes, params, nodes, rounds;
  double link_mbit = 0, hub_mbit = 1000, rtt_ms = 0;
};

// SUBJECT is an app's folder or a run's number.
struct DoctorOptions {
  std::string subject, link, supernode_config, superlink_config;
  bool rules = false;
};
// umbel data inspect: what the data set's reader has to be told, and a partition to measure.
struct DataOptions {
  std::string path, split = "train", features, label, natural_id, owner = "file";
  std::vector<std::string> ignored;
  bool by_site = false, resize = false, bytes = false;
  int64_t height = 0, width = 0, channels = 0, length = 64;
  std::string partition;  // its kind; empty: none
  std::optional<int64_t> clients;
  int64_t seed = 0, examples_per_client = 60, shards_per_client = 2;
  double alpha = 0.3;
};

using CommandOptions =
    std::variant<NewOptions, PortOptions, BuildOptions, RunOptions, LsOptions, RoundsOptions,
                 LogOptions, StopOptions, PullOptions, ReportOptions, LinkOptions, KeyOptions,
                 SupernodeOptions, AccountOptions, UpOptions, DownOptions, PlanOptions,
                 DoctorOptions, DataOptions>;

struct Invocation {
  Format format = Format::kText;
  CommandOptions command;
};

}  // namespace umbel::cli
