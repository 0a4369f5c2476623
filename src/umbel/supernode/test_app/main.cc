// A ClientApp's process, spoken by hand, that does as the type of each message says.  For
// node_test.cc: sound apps and all that an app may do wrong.
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <optional>
#include <string>

#include "umbel/runner/channel.h"
#include "umbel/wire/runtime.h"

namespace {

using namespace umbel;

[[noreturn]] void crash() {
  signal(SIGSEGV, SIG_DFL);  // sanitizers have handlers of their own
  raise(SIGSEGV);
  _exit(99);
}

[[noreturn]] void hang() {
  for (;;) pause();
}

// Children of its own, all writing for ever.
[[noreturn]] void flood() {
  for (int i = 0; i != 4; ++i) {
    if (fork() != 0) continue;
    for (;;) std::puts("for ever and ever and ever and ever and ever and ever and ever and ever");
  }
  hang();
}

class App {
 public:
  explicit App(runner::Channel channel) : channel_(std::move(channel)) {}

  int run() {
    send(wire::AppReady{"test app"});
    for (;;) {
      auto frame = channel_.receive(64 << 20);
      if (!frame.ok()) return 0;
      const auto parsed = wire::parse_daemon_frame(std::as_bytes(std::span(frame->bytes)));
      if (!parsed.ok()) return 90;
      if (const auto* start = std::get_if<wire::ClientStart>(&*parsed)) start_ = *start;
      if (const auto* wrap_up = std::get_if<wire::AppWrapUp>(&*parsed)) end_early(*wrap_up);
      if (const auto* handle = std::get_if<wire::Handle>(&*parsed)) {
        act(*handle, std::move(frame->blob));
      }
    }
  }

 private:
  void send(const wire::AppFrame& frame) {
    if (!channel_.send(wire::format(frame)).ok()) _exit(0);
  }
  void answer(uint64_t instruction, MetricRecord metrics, RecordDict state = {}) {
    wire::Handled handled{.instruction = instruction};
    handled.reply.head.records = {{"metrics", std::move(metrics)}};
    handled.state = std::move(state);
    send(handled);
  }
  // The message's content is the reply's, each byte of its arrays one more.
  void add_one(const wire::Handle& handle, Descriptor descriptor) {
    Buffer bytes = handle.message.blob.here;
    if (descriptor) {
      const auto blob = SharedBlob::adopt(std::move(descriptor), handle.message.blob.size);
      if (!blob.ok()) _exit(91);
      bytes = *blob->map();
    }
    Buffer changed = bytes.clone();
    for (std::byte& byte : changed.mutable_bytes())
      byte = std::byte(std::to_integer<int>(byte) + 1);
    wire::Handled handled{.instruction = handle.instruction};
    handled.reply.head = handle.message.head;
    handled.reply.blob.size = changed.size();
    if (changed.size() <= wire::kInlineBytesMax) {
      handled.reply.blob.here = changed;
      return send(handled);
    }
    auto blob = SharedBlob::create(changed.size());
    if (!blob.ok() || !blob->write(0, changed.bytes()).ok() || !blob->seal().ok()) _exit(92);
    if (!channel_.send(wire::format(wire::AppFrame(handled)), &*blob).ok()) _exit(0);
  }
  void count(const wire::Handle& handle) {
    int64_t calls = 1;
    if (const auto* kept = first_of<MetricRecord>(handle.state)) calls += kept->integer("calls");
    MetricRecord metrics{{"calls", calls}, {"pid", static_cast<int64_t>(getpid())}};
    answer(handle.instruction, metrics, {{"kept", metrics}});
  }
  void end_early(const wire::AppWrapUp& wrap_up) {
    if (waiting_ == wrap_up.instruction) {
      answer(wrap_up.instruction, {{"work-done", 0.5}, {"seconds", wrap_up.seconds}});
    }
    waiting_.reset();
  }
  void act(const wire::Handle& handle, Descriptor blob) {
    const std::string& type = handle.message.metadata.type;
    if (type == "train") return add_one(handle, std::move(blob));
    if (type == "query.count") return count(handle);
    if (type == "query.config") {
      return answer(handle.instruction, {{"threshold", start_.node_config.integer("threshold")}});
    }
    if (type == "query.wait") {
      waiting_ = handle.instruction;
      return;
    }
    if (type == "query.log") {
      send(wire::AppLog{
          .level = "error", .message = "it \x1b[31mburns\nhere", .node = std::nullopt});
      send(wire::AppLog{.level = "info", .message = "all is well", .node = std::nullopt});
      return answer(handle.instruction, {{"logged", 2}});
    }
    if (type == "query.crash") crash();
    if (type == "query.exit") _exit(3);
    if (type == "query.hang") hang();
    if (type == "query.flood") flood();
    if (type == "query.garbage" && channel_.send("\xff\xff\xff no frame").ok()) hang();
    if (type == "query.other") return answer(handle.instruction + 1, {{"loss", 1.0}});
    answer(handle.instruction, {{"type-bytes", type.size()}});
  }

  runner::Channel channel_;
  wire::ClientStart start_;
  std::optional<uint64_t> waiting_;
};

}  // namespace

int main() {
  auto channel = runner::Channel::inherited();
  if (!channel.ok() || !*channel) return 93;
  return App(**std::move(channel)).run();
}
