#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <vector>

#include "umbel/app/client_app.h"

namespace umbel::runner {

// A ClientApp for tests: sound actions that use all that a client is told, and all that a client
// may do wrong to the process it runs in.

// The descriptor of this process's channel.
inline int channel_descriptor() {
  const char* text = std::getenv("UMBEL_TEST_CHANNEL");
  return text ? std::atoi(text) : -1;
}

// Each element moves by a draw of this call, and by what the settings say.
inline Message walk(const Message& message, Context& context) {
  ArrayRecord next = message.arrays();
  Rng rng = context.rng();
  const auto step = static_cast<float>(context.run_config().real("step"));
  for (float& x : next["w"].mutable_view<float>()) {
    x += step * static_cast<float>(rng.uniform() - 0.5) / 3;
  }
  double seen = 0;
  if (const AnyRecord* kept = context.state().find("kept")) {
    seen = std::get<MetricRecord>(*kept).real("seen");
  }
  context.state().set("kept", MetricRecord{{"seen", seen + 1}});
  const bool named = context.node_config().contains("gender");
  const bool hurried = context.time_left().has_value();
  MetricRecord metrics{{"num-examples", 10 + message.metadata().destination.value() % 7},
                       {"loss", rng.uniform()},
                       {"seen", seen},
                       {"partition", context.partition_id()},
                       {"men", named && context.node_config().text("gender") == "men"},
                       {"hurried", hurried},
                       {"twin", context.is_twin()}};
  return message.reply(std::move(next), std::move(metrics));
}

inline void add_misdeeds(ClientApp& client) {
  client.query("segv", [](const Message&, Context&) -> Message {
    ::signal(SIGSEGV, SIG_DFL);
    ::raise(SIGSEGV);
    ::_exit(99);
  });
  client.query("exit", [](const Message& message, Context&) -> Message {
    ::_exit(static_cast<int>(message.config().integer("code")));
  });
  client.query("hang", [](const Message&, Context& context) -> Message {
    context.log("hangs");
    for (;;) ::pause();
  });
  client.query("orphan", [](const Message&, Context&) -> Message {
    if (::fork() == 0) {
      ::setsid();  // beyond the reach of who kills the group
      ::alarm(20);
      for (;;) ::pause();
    }
    ::_exit(3);
  });
  client.query("close", [](const Message&, Context&) -> Message {
    ::close(channel_descriptor());
    for (;;) ::pause();
  });
  client.query("garbage", [](const Message& message, Context&) {
    const char bytes[] = "\x05\0\0\0\0this is no frame at all, and much longer than it said";
    if (::write(channel_descriptor(), bytes, sizeof bytes) < 0) ::_exit(98);
    return message.reply(MetricRecord());
  });
  client.query("greedy", [](const Message& message, Context&) {
    rlimit limit{size_t{1} << 30, size_t{1} << 30};
    ::setrlimit(RLIMIT_AS, &limit);
    const std::vector<char> much(size_t{8} << 30);
    return message.reply(MetricRecord{{"bytes", much.size()}});
  });
  client.query("print", [](const Message& message, Context&) {
    for (int i = 0; i != 1000; ++i) std::printf("line %d of client's\n", i);
    std::fflush(stdout);
    return message.reply(MetricRecord());
  });
}

inline ClientApp test_client() {
  ClientApp client;
  client.train(walk);
  client.evaluate([](const Message& message, Context& context) {
    double sum = 0;
    for (const float x : message.arrays()["w"].view<float>()) sum += x;
    context.log("evaluated");
    return message.reply({{"num-examples", 5}, {"sum", sum}});
  });
  client.query([](const Message& message, Context& context) {
    return message.reply(MetricRecord{{"pid", ::getpid()}, {"client", context.node_id().value()}});
  });
  client.train("echo", [](const Message& message, Context&) {
    return message.reply(message.arrays(), {{"num-examples", 1}});
  });
  client.query("patient", [](const Message& message, Context& context) {
    while (!context.wrap_up()) ::usleep(1000);
    return message.reply(MetricRecord{{"left", context.time_left()->count()}});
  });
  client.query("throw", [](const Message&, Context&) -> Message {
    throw std::runtime_error("no data here");
  });
  add_misdeeds(client);
  return client;
}

}  // namespace umbel::runner
