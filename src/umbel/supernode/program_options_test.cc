#include "umbel/supernode/program_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace umbel::supernode {
namespace {

using testing::HasSubstr;

TEST(ProgramOptions, AConfigFileSaysAllThatArgumentsSay) {
  const PrivateKey key = PrivateKey::generate();
  ProgramOptions options;
  const Status applied = apply_config_file(
      fmt::format("[superlink]\naddress = \"hub.example.org:9000\"\ntrust = \"sha256:{}\"\n"
                  "[node]\nname = \"ward-7\"\nstate = \"/tmp/n\"\napps-max = 3\n"
                  "[config]\ndata = \"/srv/images\"\nbatch = 32\nrate = 0.5\n"
                  "[policy]\ntrust-publishers = [\"{}\"]\nclient-logs = \"errors\"\n"
                  "reply-bytes-max = 1000\nmetrics = [\"loss\"]\n",
                  std::string(64, 'a'), key.public_key().text()),
      "node.toml", options);
  ASSERT_TRUE(applied.ok()) << applied;
  const auto node = finish_options(options);
  ASSERT_TRUE(node.ok()) << node.status();
  EXPECT_EQ(node->hub.host, "hub.example.org");
  EXPECT_EQ(node->hub.port, 9000);
  EXPECT_EQ(node->name, "ward-7");
  EXPECT_EQ(node->state, "/tmp/n");
  EXPECT_EQ(node->apps_max, 3);
  EXPECT_EQ(node->node_config.integer("batch"), 32);
  EXPECT_EQ(node->node_config.text("data"), "/srv/images");
  EXPECT_EQ(node->policy.trust_publishers, std::vector{key.public_key()});
  EXPECT_EQ(node->policy.client_logs, ClientLogs::kErrors);
  EXPECT_EQ(node->policy.reply_bytes_max, 1000);
  EXPECT_EQ(node->policy.metrics, std::vector<std::string>{"loss"});
}

TEST(ProgramOptions, AMistakeIsNamedWithItsLine) {
  const auto refusal = [](std::string_view text) {
    ProgramOptions options;
    return message_of(apply_config_file(text, "node.toml", options));
  };
  EXPECT_THAT(refusal("[node]\nnaem = \"x\"\n"), HasSubstr("node.toml:2: [node] naem"));
  EXPECT_THAT(refusal("[node]\nnane = \"x\"\n"), HasSubstr("did you mean \"name\"?"));
  EXPECT_THAT(refusal("[polic]\n"), HasSubstr("node.toml:1: polic"));
  EXPECT_THAT(refusal("[node]\napps-max = \"two\"\n"), HasSubstr("[node] apps-max: cannot be"));
  EXPECT_THAT(refusal("[config]\nt = 2026-01-01\n"), HasSubstr("[config] t"));
  EXPECT_THAT(refusal("[policy]\nreply-bytes-max = -1\n"), HasSubstr("reply-bytes-max"));
}

TEST(ProgramOptions, NodeConfigIsTypedLikeToml) {
  ConfigRecord config{{"a", 1}};
  const Status applied = apply_node_config(
      "n=3 r=0.5 t=true word=hello path=/srv/data/x.csv text=\"two words\" list=[1, 2]  a=7",
      config);
  ASSERT_TRUE(applied.ok()) << applied;
  EXPECT_EQ(config.integer("n"), 3);
  EXPECT_EQ(config.real("r"), 0.5);
  EXPECT_TRUE(config.boolean("t"));
  EXPECT_EQ(config.text("word"), "hello");
  EXPECT_EQ(config.text("path"), "/srv/data/x.csv");
  EXPECT_EQ(config.text("text"), "two words");
  EXPECT_EQ(std::get<std::vector<int64_t>>(config.at("list").base()), (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(config.integer("a"), 7);
}

TEST(ProgramOptions, ABadNodeConfigChangesNothing) {
  for (const char* text : {"n=3 nothing", "=3", "a=\"open", "a=[1,"}) {
    ConfigRecord config{{"n", 1}};
    EXPECT_FALSE(apply_node_config(text, config).ok()) << text;
    EXPECT_EQ(config, (ConfigRecord{{"n", 1}})) << text;
  }
}

TEST(ProgramOptions, WhatIsMissingOrOutOfRangeIsRefused) {
  EXPECT_FALSE(finish_options({}).ok()) << "no hub";
  ProgramOptions options;
  options.superlink = "localhost:1";
  EXPECT_TRUE(finish_options(options).ok());
  options.apps_max = 0;
  EXPECT_FALSE(finish_options(options).ok());
  options.apps_max = 1;
  options.client_logs = "loud";
  EXPECT_FALSE(finish_options(options).ok());
  options.client_logs = "off";
  options.trust_publishers = {"ed25519:12"};
  EXPECT_FALSE(finish_options(options).ok());
  options.trust_publishers.clear();
  options.trust = "/no/such/file.pem";
  EXPECT_FALSE(finish_options(options).ok());
}

}  // namespace
}  // namespace umbel::supernode
