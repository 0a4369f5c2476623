#include "umbel/supernode/policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace umbel::supernode {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

wire::Envelope reply_with(Layout arrays, MetricRecord metrics) {
  wire::Envelope reply;
  reply.head.records = {{"arrays", std::move(arrays)}, {"metrics", std::move(metrics)}};
  reply.blob.size = reply.head.blob_size();
  return reply;
}
Layout one_array(int64_t elements) { return {{"w", DType::kFloat32, {elements}}}; }

Metadata of_type(std::string type) {
  Metadata metadata;
  metadata.type = std::move(type);
  return metadata;
}

TEST(Policy, OnlyAppsOfTrustedPublishersRun) {
  const PrivateKey trusted = PrivateKey::generate(), other = PrivateKey::generate();
  Policy policy({.trust_publishers = {trusted.public_key()}});
  bundle::Bundle bundle;
  bundle.description = {"acme", "app", "1.0", {}};
  bundle.signer = trusted.public_key();
  EXPECT_TRUE(policy.may_run(bundle).ok());
  bundle.signer = other.public_key();
  const Status refused = policy.may_run(bundle);
  EXPECT_TRUE(absl::IsPermissionDenied(refused));
  EXPECT_THAT(message_of(refused), HasSubstr(other.public_key().text()));
  EXPECT_THAT(message_of(refused), HasSubstr("acme/app@1.0"));
  EXPECT_TRUE(Policy({.allow_any_app = true}).may_run(bundle).ok());
}

TEST(Policy, NobodyIsTrustedByDefault) {
  bundle::Bundle bundle;
  EXPECT_TRUE(absl::IsPermissionDenied(Policy({}).may_run(bundle)));
}

TEST(Policy, AMessageTypeAllowsItsNamedActions) {
  const Policy policy({.message_types = {"evaluate", "query.counts"}});
  EXPECT_TRUE(policy.may_handle(of_type("evaluate")).ok());
  EXPECT_TRUE(policy.may_handle(of_type("evaluate.fast")).ok());
  EXPECT_TRUE(policy.may_handle(of_type("query.counts")).ok());
  EXPECT_FALSE(policy.may_handle(of_type("query")).ok());
  EXPECT_FALSE(policy.may_handle(of_type("train")).ok());
  EXPECT_TRUE(Policy({}).may_handle(of_type("train")).ok());
}

TEST(Policy, RepliesAreHeldToTheirBytes) {
  Policy policy({.reply_bytes_max = 400});
  EXPECT_TRUE(policy.may_leave(reply_with(one_array(64), {}), milliseconds(0)).ok());
  const Status refused = policy.may_leave(reply_with(one_array(101), {}), milliseconds(0));
  EXPECT_THAT(message_of(refused), HasSubstr("at most 400 bytes"));
}

TEST(Policy, MetricsThatAreNotListedDoNotLeave) {
  Policy policy({.metrics = {"loss"}});
  EXPECT_TRUE(policy.may_leave(reply_with({}, {{"loss", 1.0}}), milliseconds(0)).ok());
  const Status refused =
      policy.may_leave(reply_with({}, {{"loss", 1.0}, {"patients", 7}}), milliseconds(0));
  EXPECT_THAT(message_of(refused), HasSubstr("\"patients\""));
}

TEST(Policy, ArraysStayWhereTheyMust) {
  Policy policy({.arrays = false});
  EXPECT_TRUE(policy.may_leave(reply_with({}, {{"loss", 1.0}}), milliseconds(0)).ok());
  EXPECT_FALSE(policy.may_leave(reply_with(one_array(1), {}), milliseconds(0)).ok());
}

TEST(Policy, RepliesAnHourAreCountedOverASlidingHour) {
  Policy policy({.replies_per_hour = 2});
  const auto reply = reply_with({}, {{"loss", 1.0}});
  EXPECT_TRUE(policy.may_leave(reply, milliseconds(0)).ok());
  EXPECT_TRUE(policy.may_leave(reply, milliseconds(1'800'000)).ok());
  EXPECT_FALSE(policy.may_leave(reply, milliseconds(3'599'999)).ok());
  EXPECT_TRUE(policy.may_leave(reply, milliseconds(3'600'000)).ok());
  EXPECT_FALSE(policy.may_leave(reply, milliseconds(3'600'000)).ok());
}

TEST(Policy, ErrorsCountAndKeepTheirWordsUnlessAskedFor) {
  Policy policy({.reply_bytes_max = 0, .replies_per_hour = 2, .arrays = false});
  wire::Envelope reply;
  reply.error = MessageError{MessageError::Code::kClientFailed, "row 7 is 39.2"};
  EXPECT_TRUE(policy.may_leave(reply, milliseconds(0)).ok());
  EXPECT_TRUE(policy.may_leave(reply, milliseconds(0)).ok());
  EXPECT_FALSE(policy.may_leave(reply, milliseconds(0)).ok());
  const MessageError outgoing = policy.outgoing(*reply.error);
  EXPECT_EQ(outgoing.code, MessageError::Code::kClientFailed);
  EXPECT_EQ(outgoing.reason.find("39.2"), std::string::npos);
  EXPECT_EQ(Policy({.client_logs = ClientLogs::kErrors}).outgoing(*reply.error), *reply.error);
}

TEST(Policy, WithNamedMetricsNoSettingsAndNoLongListsLeave) {
  Policy policy({.metrics = {"loss"}});
  wire::Envelope reply;
  reply.head = wire::head_of({{"metrics", MetricRecord{{"loss", 0.5}}}});
  EXPECT_TRUE(policy.may_leave(reply, milliseconds(0)).ok());
  reply.head = wire::head_of({{"config", ConfigRecord{{"note", "row 7"}}}});
  EXPECT_FALSE(policy.may_leave(reply, milliseconds(0)).ok());
  reply.head =
      wire::head_of({{"metrics", MetricRecord{{"loss", std::vector<double>(1'001, 0.0)}}}});
  EXPECT_FALSE(policy.may_leave(reply, milliseconds(0)).ok());
}

TEST(Policy, LogsStayHereUnlessAskedFor) {
  EXPECT_FALSE(Policy({}).may_log("error"));
  const Policy errors({.client_logs = ClientLogs::kErrors});
  EXPECT_TRUE(errors.may_log("error"));
  EXPECT_FALSE(errors.may_log("info"));
  EXPECT_TRUE(Policy({.client_logs = ClientLogs::kFull}).may_log("info"));
  EXPECT_FALSE(parse_client_logs("all").ok());
}

}  // namespace
}  // namespace umbel::supernode
