#include "umbel/record/message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace umbel {
namespace {

using testing::HasSubstr;

Metadata train() {
  return {RunId(1), MessageId(2), MessageId(), kServerNode, NodeId(7), "train", 3};
}

template <class Call>
std::string error_of(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Message, ReplyGoesBackToWhereTheMessageCameFrom) {
  const Message message(train(), RecordDict());
  const Message reply = message.reply(MetricRecord{{"loss", 0.5}});
  const Metadata expected{RunId(1), MessageId(), MessageId(2), NodeId(7), kServerNode, "train", 3};
  EXPECT_EQ(reply.metadata(), expected);
  EXPECT_EQ(reply.metrics().real("loss"), 0.5);
  EXPECT_EQ(reply.source(), NodeId(7));
}

TEST(Message, CopiesShareTheContent) {
  const auto content = make_content({{"w", Array::of<float>({1})}}, {{"rate", 0.1}});
  const Message one(train(), content);
  const Message other = one;
  EXPECT_EQ(&one.content(), &other.content());
  EXPECT_EQ(&one.arrays(), &other.arrays());
  EXPECT_EQ(one.config().real("rate"), 0.1);
  EXPECT_EQ(content->names(), "arrays, config");
}

TEST(Message, ReplyOfArraysAndMetricsHasBoth) {
  const Message reply =
      Message(train(), RecordDict()).reply({{"w", Array::of<float>({1})}}, MetricRecord{{"n", 5}});
  EXPECT_EQ(reply.content().names(), "arrays, metrics");
  EXPECT_EQ(reply.arrays().at("w"), Array::of<float>({1}));
  EXPECT_EQ(reply.metrics().integer("n"), 5);
}

TEST(Message, AMissingRecordIsAnErrorThatListsTheRecords) {
  const Message message(train(), RecordDict{{"m", MetricRecord()}});
  EXPECT_EQ(error_of([&] { message.arrays(); }),
            "message of type \"train\" has no array record; it has: m");
  EXPECT_EQ(first_of<ConfigRecord>(message.content()), nullptr);
}

TEST(Message, AnErrorHasACauseAndNoContent) {
  const MessageError error{MessageError::Code::kClientFailed, "no data"};
  const Message reply = Message(train(), RecordDict()).reply(error);
  ASSERT_TRUE(reply.has_error());
  EXPECT_EQ(reply.error(), error);
  EXPECT_EQ(error_of([&] { reply.content(); }),
            "message of type \"train\" has no content: no data (client-failed)");
  EXPECT_THAT(error_of([&] { reply.arrays(); }), HasSubstr("no data"));
  EXPECT_EQ(reply.shared_content(), nullptr);
}

TEST(Message, EveryErrorCodeHasAName) {
  using Code = MessageError::Code;
  const std::pair<Code, std::string_view> names[] = {{Code::kUnknown, "unknown"},
                                                     {Code::kClientFailed, "client-failed"},
                                                     {Code::kBadReply, "bad-reply"},
                                                     {Code::kDeadline, "deadline"},
                                                     {Code::kUnknownAction, "unknown-action"},
                                                     {Code::kStopped, "stopped"},
                                                     {Code::kLeft, "client-left"}};
  for (const auto& [code, name] : names) EXPECT_EQ(name_of(code), name);
}

}  // namespace
}  // namespace umbel
