#include "umbel/supernode/node.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>
#include <thread>

#include "umbel/base/files.h"
#include "umbel/base/rng.h"
#include "umbel/base/sha256.h"
#include "umbel/supernode/app_log.h"
#include "umbel/supernode/cut_proxy_test.h"
#include "umbel/supernode/fake_hub_test.h"
#include "umbel/supernode/node_state.h"
#include "umbel/supernode/status.h"
#include "umbel/supernode/temporary_folder_test.h"

namespace umbel::supernode {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

// The test's app (test_app/main.cc) as a bundle, packed once.
struct TestBundle {
  PrivateKey publisher = PrivateKey::generate();
  std::string archive, sha256;

  TestBundle() {
    const TemporaryFolder folder;
    EXPECT_TRUE(write_file_atomic(folder.path() / "umbel.toml",
                                  "[app]\nname = \"demo\"\npublisher = \"acme\"\n")
                    .ok());
    auto packed = bundle::pack({.app = folder.path(),
                                .description = {"acme", "demo", "1", {}},
                                .programs = {{bundle::this_platform(), SUPERNODE_TEST_APP}}},
                               publisher);
    EXPECT_TRUE(packed.ok()) << packed.status();
    archive = *std::move(packed);
    sha256 = sha256_hex(std::as_bytes(std::span(archive)));
  }
  static const TestBundle& get() {
    static const TestBundle bundle;
    return bundle;
  }
};

class NodeTest : public testing::Test {
 protected:
  NodeTest() : proxy_(hub_.port()) {
    const TestBundle& bundle = TestBundle::get();
    hub_.serve_bundle(bundle.sha256, bundle.archive);
    options_.hub = *http::parse_endpoint(fmt::format("127.0.0.1:{}", proxy_.port()),
                                         http::Trust{.plain = true});
    options_.state = temporary_.path() / "state";
    options_.policy.trust_publishers = {bundle.publisher.public_key()};
  }
  ~NodeTest() override { stop(); }

  void start() {
    auto key = PrivateKey::read_or_make(temporary_.path() / "node.key");
    ASSERT_TRUE(key.ok()) << key.status();
    auto node = Node::create(options_, *std::move(key));
    ASSERT_TRUE(node.ok()) << node.status();
    node_ = *std::move(node);
    thread_ = std::jthread([this] { exit_code_ = node_->run(); });
    ASSERT_TRUE(hub_.wait_for_welcomes(1));
  }
  int stop() {
    if (node_ == nullptr) return exit_code_;
    node_->stop();
    node_->stop();  // at once
    thread_.join();
    node_.reset();
    return exit_code_;
  }

  wire::Assign assignment(uint64_t instruction, std::string type, uint64_t run = 7) const {
    const TestBundle& bundle = TestBundle::get();
    wire::Assign assign{.instruction = instruction};
    assign.run.id = RunId(run);
    assign.run.nodes = 5;
    assign.run.bundle = {bundle.sha256, bundle.archive.size(), "acme/demo@1"};
    Metadata& metadata = assign.message.metadata;
    metadata.run = RunId(run);
    metadata.id = MessageId(1'000 + instruction);
    metadata.source = kServerNode;
    metadata.destination = NodeId(3);
    metadata.type = std::move(type);
    metadata.round = 2;
    assign.message.head.records = {{"config", ConfigRecord{}}};
    assign.client = 3;
    return assign;
  }
  // With arrays of `size` random bytes, which the hub serves if they are too many.
  wire::Assign with_arrays(uint64_t instruction, size_t size, std::string& bytes) {
    wire::Assign assign = assignment(instruction, "train");
    Rng rng(instruction);
    bytes.resize(size);
    for (char& byte : bytes) byte = static_cast<char>(rng.bits());
    const auto raw = std::as_bytes(std::span(bytes));
    assign.message.head.records = {
        {"arrays", Layout{{"w", DType::kUint8, {static_cast<int64_t>(size)}}}}};
    assign.message.blob.size = size;
    if (size <= wire::kInlineBytesMax) {
      assign.message.blob.here = Buffer::copy_of(raw);
    } else {
      assign.message.blob.id = 100 + instruction;
      assign.message.blob.crc32 = wire::chunk_crcs(raw);
      hub_.serve_blob(100 + instruction, bytes);
    }
    return assign;
  }
  static std::string plus_one(std::string bytes) {
    for (char& byte : bytes) byte = static_cast<char>(byte + 1);
    return bytes;
  }
  static std::span<const std::byte> bytes_of(const std::string& text) {
    return std::as_bytes(std::span(text));
  }
  // The result of an instruction that the hub gives to the node now.
  wire::NodeResult ask(const wire::Assign& assign) {
    hub_.send(assign);
    return result_of(assign.instruction);
  }
  wire::NodeResult result_of(uint64_t instruction) {
    for (;;) {
      auto result = hub_.next<wire::NodeResult>();
      EXPECT_TRUE(result.has_value()) << "no result of " << instruction;
      if (!result || result->instruction == instruction) return result.value_or(wire::NodeResult{});
    }
  }
  static std::string reason(const wire::NodeResult& result) {
    EXPECT_TRUE(result.reply.error.has_value());
    if (!result.reply.error) return "";
    EXPECT_EQ(result.reply.error->code, MessageError::Code::kClientFailed);
    return result.reply.error->reason;
  }
  static int64_t metric(const wire::NodeResult& result, std::string_view name) {
    EXPECT_FALSE(result.reply.error.has_value()) << result.reply.error->reason;
    const MetricRecord* metrics = result.reply.head.first_metrics();
    return metrics == nullptr ? -1 : metrics->integer(name);
  }

  TemporaryFolder temporary_;
  FakeHub hub_;
  CutProxy proxy_;
  NodeOptions options_;
  std::unique_ptr<Node> node_;
  int exit_code_ = -1;
  std::jthread thread_;
};

TEST_F(NodeTest, AnInstructionIsAcceptedCarriedOutAndAnswered) {
  start();
  std::string bytes;
  const wire::Assign assign = with_arrays(1, 1'000, bytes);
  const auto result = ask(assign);
  const auto accepted = hub_.next<wire::Accept>();
  ASSERT_TRUE(accepted);
  EXPECT_EQ(accepted->instruction, 1);
  ASSERT_FALSE(result.reply.error) << result.reply.error->reason;
  EXPECT_EQ(result.reply.blob.here, Buffer::copy_of(bytes_of(plus_one(bytes))));
  const Metadata& metadata = result.reply.metadata;
  EXPECT_EQ(metadata.reply_to, MessageId(1'001));
  EXPECT_EQ(metadata.source, NodeId(3));
  EXPECT_EQ(metadata.destination, kServerNode);
  EXPECT_EQ(metadata.run, RunId(7));
  EXPECT_EQ(metadata.round, 2);
}

TEST_F(NodeTest, TheProcessIsKeptWarmWithWhatItsClientKeeps) {
  start();
  const auto first = ask(assignment(1, "query.count"));
  const auto second = ask(assignment(2, "query.count"));
  EXPECT_EQ(metric(first, "calls"), 1);
  EXPECT_EQ(metric(second, "calls"), 2);
  EXPECT_EQ(metric(first, "pid"), metric(second, "pid"));
  EXPECT_EQ(hub_.bundle_requests(), 1);
  wire::Assign other = assignment(3, "query.count");
  other.client = 4;
  EXPECT_EQ(metric(ask(other), "calls"), 1) << "another client's state is its own";
}

TEST_F(NodeTest, ABlobThatIsCutInTheMiddleGoesOnAtTheLastGoodChunk) {
  start();
  metric(ask(assignment(1, "query.count")), "calls");
  proxy_.cut_down_after(uint64_t{5} << 19);  // 2.5 MiB
  std::string bytes;
  const auto result = ask(with_arrays(2, (5 << 20) + 77, bytes));
  EXPECT_EQ(proxy_.cuts(), 1);
  EXPECT_EQ(hub_.blob_requests(), 2);
  ASSERT_FALSE(result.reply.error) << result.reply.error->reason;
  EXPECT_EQ(result.reply.blob.crc32, wire::chunk_crcs(bytes_of(plus_one(bytes))));
}

TEST_F(NodeTest, AnUploadThatIsCutInTheMiddleGoesOnWhereTheHubIs) {
  start();
  std::string bytes;
  const size_t size = (6 << 20) + 5;
  const auto result = ask(with_arrays(1, size, bytes));
  ASSERT_FALSE(result.reply.error) << result.reply.error->reason;
  EXPECT_FALSE(result.reply.blob.is_here());
  proxy_.cut_up_after(uint64_t{3} << 20);
  hub_.send(wire::Upload{.instruction = 1, .offset = 0});
  ASSERT_TRUE(hub_.wait_for_upload(1, size));
  EXPECT_EQ(proxy_.cuts(), 1);
  EXPECT_EQ(hub_.uploaded(1), plus_one(bytes));
  EXPECT_LT(hub_.bytes_uploaded(), size + (size / 2)) << "what had arrived was not sent again";
}

TEST_F(NodeTest, TheReplyIsKeptAndSentAgainUntilTheHubIsDoneWithIt) {
  start();
  std::string bytes;
  const size_t size = 2 << 20;
  ask(with_arrays(1, size, bytes));
  hub_.send(wire::Upload{1, 0});
  ASSERT_TRUE(hub_.wait_for_upload(1, size));
  const uint64_t once = hub_.bytes_uploaded();
  hub_.send(wire::Upload{1, 0});
  ask(assignment(2, "query.count"));  // frames come in order: the second upload was asked for
  while (hub_.bytes_uploaded() < 2 * once) ASSERT_TRUE(hub_.wait_for_upload(1, 1));
  EXPECT_EQ(hub_.uploaded(1), plus_one(bytes));

  hub_.close_session();
  ASSERT_TRUE(hub_.wait_for_welcomes(2));
  EXPECT_EQ(hub_.last_hello().holding, (std::vector<uint64_t>{1, 2}));
  EXPECT_EQ(result_of(1).reply.blob.size, size) << "told again";
  hub_.send(wire::Done{1, true, ""});
  hub_.send(wire::Done{2, true, ""});
  ask(assignment(3, "query.count"));
  hub_.close_session();
  ASSERT_TRUE(hub_.wait_for_welcomes(3));
  EXPECT_EQ(hub_.last_hello().holding, (std::vector<uint64_t>{3}));
}

TEST_F(NodeTest, WorkGoesOnWhileTheSessionIsAway) {
  start();
  hub_.send(assignment(1, "query.wait"));
  ASSERT_TRUE(hub_.next<wire::Accept>());
  hub_.close_session();
  ASSERT_TRUE(hub_.wait_for_welcomes(2));
  EXPECT_EQ(hub_.last_hello().holding, (std::vector<uint64_t>{1}));
  hub_.send(wire::WrapUp{1, 2.5});
  EXPECT_FALSE(result_of(1).reply.error);
}

TEST_F(NodeTest, WhatTheHubNoLongerWantsIsDropped) {
  start();
  hub_.send(assignment(1, "query.hang"));
  ASSERT_TRUE(hub_.next<wire::Accept>());
  hub_.keep_only({});
  hub_.close_session();
  ASSERT_TRUE(hub_.wait_for_welcomes(2));
  EXPECT_EQ(metric(ask(assignment(2, "query.count")), "calls"), 1);
  hub_.close_session();
  ASSERT_TRUE(hub_.wait_for_welcomes(3));
  EXPECT_EQ(hub_.last_hello().holding, (std::vector<uint64_t>{2}));
}

TEST_F(NodeTest, AWrapUpReachesTheRunningApp) {
  start();
  hub_.send(assignment(1, "query.wait"));
  hub_.send(wire::WrapUp{1, 2.5});
  const auto result = result_of(1);
  ASSERT_FALSE(result.reply.error) << result.reply.error->reason;
  const MetricRecord* metrics = result.reply.head.first_metrics();
  EXPECT_EQ(metrics->real("work-done"), 0.5);
  EXPECT_LE(metrics->real("seconds"), 2.5);
  EXPECT_GT(metrics->real("seconds"), 0);
}

TEST_F(NodeTest, AnAppThatHangsIsKilledByCancelAndTheNextMessageGetsANewProcess) {
  start();
  const int64_t before = metric(ask(assignment(1, "query.count")), "pid");
  hub_.send(assignment(2, "query.hang"));
  hub_.send(wire::Cancel{2});
  const auto after = ask(assignment(3, "query.count"));
  EXPECT_NE(metric(after, "pid"), before);
  EXPECT_EQ(metric(after, "calls"), 2) << "the state is the node's to keep";
  EXPECT_NE(kill(static_cast<pid_t>(before), 0), 0) << "the old process is gone";
}

TEST_F(NodeTest, AnAppThatForksAndWritesForEverIsKilledWithItsGroup) {
  start();
  hub_.send(assignment(1, "query.flood"));
  ASSERT_TRUE(hub_.next<wire::Accept>());
  ask(assignment(2, "query.count", 8));  // another run's process is not held up
  hub_.send(wire::Cancel{1});
  EXPECT_EQ(metric(ask(assignment(3, "query.count")), "calls"), 1);
  EXPECT_LE(fs::file_size(options_.state / "logs/run-7.log"), AppLog::kBytesMax);
}

TEST_F(NodeTest, HowAnAppEndedIsTheReply) {
  start();
  EXPECT_THAT(reason(ask(assignment(1, "query.crash"))), HasSubstr("was killed by SIGSEGV"));
  EXPECT_THAT(reason(ask(assignment(2, "query.exit"))), HasSubstr("exited with 3"));
  EXPECT_THAT(reason(ask(assignment(3, "query.garbage"))), HasSubstr("broke the protocol"));
  EXPECT_THAT(reason(ask(assignment(4, "query.other"))), HasSubstr("had not been asked"));
  EXPECT_EQ(metric(ask(assignment(5, "query.count")), "calls"), 1) << "the node goes on";
}

TEST_F(NodeTest, AnAppOfAnUnknownSignerDoesNotRun) {
  options_.policy.trust_publishers = {PrivateKey::generate().public_key()};
  start();
  const std::string text = reason(ask(assignment(1, "query.count")));
  EXPECT_THAT(text, HasSubstr(TestBundle::get().publisher.public_key().text()));
  EXPECT_THAT(text, HasSubstr("may not run here"));
}

TEST_F(NodeTest, ABundleOfAnotherHashDoesNotRun) {
  std::string changed = TestBundle::get().archive;
  changed[changed.size() / 2] ^= 1;
  hub_.serve_bundle(TestBundle::get().sha256, changed);
  start();
  EXPECT_THAT(reason(ask(assignment(1, "query.count"))), HasSubstr("the hub sent one of SHA-256"));
  hub_.serve_bundle(TestBundle::get().sha256, TestBundle::get().archive);
  EXPECT_EQ(metric(ask(assignment(2, "query.count")), "calls"), 1) << "it is asked for again";
}

TEST_F(NodeTest, ABundleThatTheHubDoesNotHaveIsAnError) {
  start();
  wire::Assign assign = assignment(1, "query.count");
  assign.run.bundle.sha256 = std::string(64, 'a');
  EXPECT_THAT(reason(ask(assign)), HasSubstr("fetching acme/demo@1"));
}

TEST_F(NodeTest, ABlobThatStaysWrongIsAnErrorThatNamesTheChunk) {
  start();
  std::string bytes;
  wire::Assign assign = with_arrays(1, 3 << 20, bytes);
  assign.message.blob.crc32[1] ^= 1;
  EXPECT_THAT(reason(ask(assign)), HasSubstr("chunk 1 of 3"));
}

TEST_F(NodeTest, TheBundleIsVerifiedOnTheDiskAndNotFetchedAgainByTheNextProcess) {
  start();
  ask(assignment(1, "query.count"));
  stop();
  start();
  ASSERT_TRUE(hub_.wait_for_welcomes(2));
  EXPECT_EQ(metric(ask(assignment(2, "query.count")), "calls"), 2)
      << "what it keeps is still there";
  EXPECT_EQ(hub_.bundle_requests(), 1);
}

TEST_F(NodeTest, TheOwnersPolicyKeepsRepliesBack) {
  options_.policy.metrics = {"calls"};
  options_.policy.message_types = {"query"};
  start();
  EXPECT_THAT(reason(ask(assignment(1, "query.count"))), HasSubstr("the metric \"pid\""));
  EXPECT_THAT(reason(ask(assignment(2, "train"))), HasSubstr("messages of type \"train\""));
}

TEST_F(NodeTest, TheAppSeesItsNodesConfig) {
  options_.node_config = {{"threshold", 42}};
  start();
  EXPECT_EQ(metric(ask(assignment(1, "query.config")), "threshold"), 42);
}

TEST_F(NodeTest, APinnedAppRunsInPlaceOfTheBundle) {
  fs::create_directories(temporary_.path() / "pinned");
  fs::copy_file(SUPERNODE_TEST_APP, temporary_.path() / "pinned" / "demo");
  options_.apps = {temporary_.path() / "pinned" / "demo"};
  options_.policy.trust_publishers.clear();
  start();
  EXPECT_EQ(metric(ask(assignment(1, "query.count")), "calls"), 1);
  EXPECT_EQ(hub_.bundle_requests(), 0);
}

TEST_F(NodeTest, LogsGoToTheOwnerAndByPolicyToTheHub) {
  options_.policy.client_logs = ClientLogs::kErrors;
  start();
  ask(assignment(1, "query.log"));
  const auto line = hub_.next<wire::NodeLog>();
  ASSERT_TRUE(line);
  EXPECT_EQ(line->run, RunId(7));
  EXPECT_EQ(line->level, "error");
  EXPECT_THAT(line->message, HasSubstr("it \\x1b[31mburns\nhere"));
  const std::string log = *read_file(options_.state / "logs/run-7.log", 1 << 20);
  EXPECT_THAT(log, HasSubstr("all is well"));
  EXPECT_THAT(log, Not(HasSubstr("\x1b")));
}

TEST_F(NodeTest, TwoRunsShareOnePlaceForAProcess) {
  options_.apps_max = 1;
  start();
  for (uint64_t i = 1; i <= 6; ++i) hub_.send(assignment(i, "query.count", 7 + i % 2));
  int64_t calls = 0;
  for (int i = 0; i != 6; ++i) {
    const auto result = hub_.next<wire::NodeResult>();
    ASSERT_TRUE(result);
    calls = std::max(calls, metric(*result, "calls"));
  }
  EXPECT_EQ(calls, 3) << "each run's state survived its process";
}

TEST_F(NodeTest, AnEndedRunsProcessAndStateGo) {
  start();
  const auto before = ask(assignment(1, "query.count"));
  hub_.send(wire::Done{1, true, ""});
  hub_.send(wire::RunEnded{RunId(7)});
  const auto after = ask(assignment(2, "query.count"));
  EXPECT_NE(metric(after, "pid"), metric(before, "pid"));
}

TEST_F(NodeTest, ADrainingNodeFinishesItsWorkAndEnds) {
  start();
  ask(assignment(9, "query.count"));
  hub_.send(wire::Done{9, true, ""});
  hub_.next<wire::Accept>();
  hub_.send(assignment(1, "query.wait"));
  ASSERT_TRUE(hub_.next<wire::Accept>());
  node_->stop();
  ASSERT_TRUE(hub_.next<wire::Draining>());
  hub_.send(assignment(2, "query.count"));
  EXPECT_THAT(reason(result_of(2)), HasSubstr("shut down"));
  hub_.send(wire::WrapUp{1, 1});
  EXPECT_FALSE(result_of(1).reply.error);
  hub_.send(wire::Done{1, true, ""});
  hub_.send(wire::Done{2, false, "late"});
  thread_.join();
  node_.reset();
  EXPECT_EQ(exit_code_, 0);
}

TEST_F(NodeTest, ARefusedNodeSaysWhyAndCanEndWithCodeTwo) {
  hub_.refuse(true);
  options_.exit_on_refusal = true;
  auto node = Node::create(options_, PrivateKey::generate());
  ASSERT_TRUE(node.ok()) << node.status();
  EXPECT_EQ((*node)->run(), 2);
  const auto status = parse_status(*read_file(options_.state / "status.json", 1 << 20));
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_THAT(status->last_error, HasSubstr("not registered"));
}

TEST_F(NodeTest, ItsStatusSaysWhatItDoes) {
  start();
  ask(assignment(1, "query.count"));
  stop();
  const auto status = parse_status(*read_file(options_.state / "status.json", 1 << 20));
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_EQ(status->name, "ward-7");
  EXPECT_EQ(status->replies, 1);
  EXPECT_FALSE(status->connected);
}

TEST(NodeLimits, AHelloThatListsAllThatANodeMayHoldIsShortEnough) {
  wire::Hello hello;
  hello.versions = {wire::kProtocolVersion};
  hello.nonce = std::string(wire::kNonceBytes, 'n');
  hello.holding.assign(2 * NodeLimits().instructions_max, UINT64_MAX);
  hello.software = std::string(100, 's');
  hello.platform = std::string(100, 'p');
  EXPECT_LE(wire::format(wire::NodeFrame(hello)).size(), wire::kHelloBytesMax);
}

TEST_F(NodeTest, OneStateFolderIsForOneNode) {
  start();
  const auto second = Node::create(options_, PrivateKey::generate());
  EXPECT_TRUE(absl::IsAlreadyExists(second.status())) << second.status();
}

}  // namespace
}  // namespace umbel::supernode
