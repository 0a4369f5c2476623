#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <umbel.pb.h>

#include "umbel/wire/fleet.h"
#include "umbel/wire/runtime.h"
#include "umbel/wire/scan.h"

// What a peer may send that is not as docs/protocol.md says.
namespace umbel::wire {
namespace {

using ::testing::HasSubstr;

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}
std::string refusal(const v1::NodeFrame& frame) {
  const auto result = parse_node_frame(bytes_of(frame.SerializeAsString()));
  EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument);
  return message_of(result.status());
}
std::string refusal(const v1::AppFrame& frame) {
  const auto result = parse_app_frame(bytes_of(frame.SerializeAsString()));
  EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument);
  return message_of(result.status());
}
std::string refusal_of(const std::string& bytes) {
  const auto result = parse_node_frame(bytes_of(bytes));
  EXPECT_FALSE(result.ok());
  return message_of(result.status());
}

// A result whose content is to be spoilt.
struct Reply {
  v1::NodeFrame frame;
  v1::Content& content = *frame.mutable_result()->mutable_reply()->mutable_content();
  v1::ArrayHeader& array(const std::string& dtype, std::vector<int64_t> shape) {
    v1::RecordEntry& entry =
        content.records_size() ? *content.mutable_records(0) : *content.add_records();
    entry.set_name("arrays");
    v1::ArrayHeader& header = *entry.mutable_arrays()->add_arrays();
    header.set_name("w" + std::to_string(entry.arrays().arrays_size()));
    header.set_dtype(dtype);
    header.mutable_shape()->Add(shape.begin(), shape.end());
    return header;
  }
  v1::NamedValue& metric(const std::string& name) {
    v1::RecordEntry& entry = *content.add_records();
    entry.set_name("record " + std::to_string(content.records_size()));
    v1::NamedValue& value = *entry.mutable_metrics()->add_values();
    value.set_name(name);
    return value;
  }
};

TEST(HostileTest, ArraysThatCannotBeAreRefusedByName) {
  const auto with = [](const std::string& dtype, std::vector<int64_t> shape) {
    Reply reply;
    reply.array(dtype, std::move(shape));
    return refusal(reply.frame);
  };
  EXPECT_THAT(with("float7", {1}), HasSubstr("array: \"w1\": dtype \"float7\" is not known"));
  EXPECT_THAT(with("float32", {-1}), HasSubstr("\"w1\""));
  EXPECT_THAT(with("float32", {1LL << 32, 1LL << 32}), HasSubstr("\"w1\""));
  EXPECT_THAT(with("float32", {INT64_MAX, INT64_MAX}), HasSubstr("\"w1\""));
  EXPECT_THAT(with("float32", {1LL << 47}), HasSubstr("take more than 70368744177664 bytes"));
  EXPECT_THAT(with("float32", std::vector<int64_t>(65, 1)), HasSubstr("65 dimensions"));
  EXPECT_THAT(with("float32", {2}), HasSubstr("blob: 0 bytes, its arrays take 8"));
}

TEST(HostileTest, SizesThatAddUpBeyondAllBoundsAreRefused) {
  Reply reply;
  for (int i = 0; i != 70'000; ++i) reply.array("complex128", {1LL << 42});
  EXPECT_THAT(refusal(reply.frame), HasSubstr("take more than"));
}

TEST(HostileTest, CountsBeyondTheLimitsAreRefused) {
  Reply arrays;
  for (size_t i = 0; i != kArraysMax + 1; ++i) arrays.array("bool", {0});
  EXPECT_THAT(refusal(arrays.frame), HasSubstr("100001 arrays, the limit is 100000"));

  Reply values;
  for (size_t i = 0; i != 2; ++i) {
    v1::RecordEntry& entry = *values.content.add_records();
    entry.set_name(std::to_string(i));
    for (size_t v = 0; v != kValuesMax / 2 + 1; ++v) {
      v1::NamedValue& value = *entry.mutable_metrics()->add_values();
      value.set_name(std::to_string(v));
      value.mutable_value()->set_integer(1);
    }
  }
  EXPECT_THAT(refusal(values.frame), HasSubstr("100002 values, the limit is 100000"));

  Reply records;
  for (size_t i = 0; i != kRecordsMax + 1; ++i) records.metric("m").mutable_value()->set_real(1);
  EXPECT_THAT(refusal(records.frame), HasSubstr("1001 records, the limit is 1000"));
}

TEST(HostileTest, AMillionEmptyMessagesAreRefusedBeforeTheyTakeMemory) {
  // Each of these pairs of bytes is an empty record.
  std::string content;
  for (size_t i = 0; i != kLengthFieldsMax + 1; ++i) content += std::string("\x0a\x00", 2);
  v1::NodeFrame frame;
  frame.mutable_result()->mutable_reply()->mutable_content();
  v1::NodeFrame shell;
  const auto wrap = [](char tag, const std::string& inner) {
    std::string out(1, tag);
    for (size_t n = inner.size();
         out += static_cast<char>((n & 0x7f) | (n > 127 ? 0x80 : 0)), n >>= 7;) {
    }
    return out + inner;
  };
  const std::string bytes = wrap('\x22', wrap('\x12', wrap('\x12', content)));
  const auto result = parse_node_frame(bytes_of(bytes));
  EXPECT_EQ(result.status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(HostileTest, NamesThatComeTwiceOrAreTooLongAreRefused) {
  Reply twice;
  twice.array("bool", {0}).set_name("w");
  twice.array("bool", {0}).set_name("w");
  EXPECT_THAT(refusal(twice.frame), HasSubstr("arrays: \"w\" twice"));
  Reply record;
  record.metric("a").mutable_value()->set_real(1);
  *record.content.add_records() = record.content.records(0);
  EXPECT_THAT(refusal(record.frame), HasSubstr("records: \"record 1\" twice"));
  Reply metric;
  metric.metric("a").mutable_value()->set_real(1);
  auto& values = *metric.content.mutable_records(0)->mutable_metrics();
  *values.add_values() = values.values(0);
  EXPECT_THAT(refusal(metric.frame), HasSubstr("\"a\" twice"));
  Reply lengthy;
  lengthy.metric(std::string(kNameBytesMax + 1, 'n')).mutable_value()->set_real(1);
  EXPECT_THAT(refusal(lengthy.frame), HasSubstr("name: 1025 bytes"));
}

TEST(HostileTest, ValuesOfNoKindOrOfTheWrongOneAreRefused) {
  Reply none;
  none.metric("m");
  EXPECT_THAT(refusal(none.frame), HasSubstr("\"m\": expected a number"));
  Reply text;
  text.metric("m").mutable_value()->set_text("x");
  EXPECT_THAT(refusal(text.frame), HasSubstr("expected a number or a list of numbers"));
  Reply record;
  record.content.add_records()->set_name("r");
  EXPECT_THAT(refusal(record.frame), HasSubstr("neither arrays nor metrics nor config"));
}

TEST(HostileTest, BlobsThatAreNeitherHereNorPromisedAreRefused) {
  Reply reply;
  reply.array("uint8", {3});
  v1::Blob& blob = *reply.content.mutable_blob();
  blob.set_size(3);
  EXPECT_THAT(refusal(reply.frame), HasSubstr("0 CRCs, expected 1 for 3 bytes"));
  blob.set_here("ab");
  EXPECT_THAT(refusal(reply.frame), HasSubstr("2 bytes are here"));
  blob.set_here("abc");
  blob.add_crc32(1);
  EXPECT_THAT(refusal(reply.frame), HasSubstr("3 bytes are here and 1 CRCs"));
  blob.set_size(4);
  EXPECT_THAT(refusal(reply.frame), HasSubstr("blob: 4 bytes, its arrays take 3"));
  // A client's state comes whole.
  v1::AppFrame handled;
  handled.mutable_handled()->mutable_reply()->mutable_failure();
  *handled.mutable_handled()->mutable_state() = reply.content;
  handled.mutable_handled()->mutable_state()->mutable_blob()->set_size(3);
  handled.mutable_handled()->mutable_state()->mutable_blob()->clear_here();
  EXPECT_THAT(refusal(handled), HasSubstr("state: blob: its 3 bytes are not here"));
}

TEST(HostileTest, FieldsOfTheWrongLengthOrRangeAreRefused) {
  v1::NodeFrame hello;
  hello.mutable_hello()->set_public_key(std::string(31, 'k'));
  EXPECT_THAT(refusal(hello), HasSubstr("hello: public_key"));
  hello.mutable_hello()->set_public_key(std::string(32, 'k'));
  hello.mutable_hello()->set_nonce("short");
  EXPECT_THAT(refusal(hello), HasSubstr("hello: nonce: 5 bytes, expected 32"));
  hello.mutable_hello()->set_nonce(std::string(32, 'n'));
  for (int i = 0; i != 65; ++i) hello.mutable_hello()->add_versions(1);
  EXPECT_THAT(refusal(hello), HasSubstr("hello: versions: 65 entries"));
  v1::NodeFrame proof;
  proof.mutable_proof()->set_signature("s");
  EXPECT_THAT(refusal(proof), HasSubstr("proof: signature: 1 bytes, expected 64"));
  v1::NodeFrame empty;
  empty.mutable_result()->mutable_reply();
  EXPECT_THAT(refusal(empty), HasSubstr("result: neither a content nor a failure"));
  v1::AppFrame call;
  call.mutable_fold()->set_weight_max(NAN);
  EXPECT_THAT(refusal(call), HasSubstr("fold: weight_max = nan"));
  call.mutable_fold()->set_weight_max(1);
  call.mutable_fold()->set_deadline_seconds(-1);
  EXPECT_THAT(refusal(call), HasSubstr("deadline_seconds = -1"));
}

TEST(HostileTest, BytesThatAreNoMessageAreRefused) {
  EXPECT_THAT(refusal_of("\xff"), HasSubstr("ends in the middle of a field"));
  EXPECT_THAT(refusal_of(std::string(11, '\xff')), HasSubstr("more than ten bytes"));
  EXPECT_THAT(refusal_of("\x0b"), HasSubstr("wire type 3"));
  EXPECT_THAT(refusal_of("\x0a\x05\x01"), HasSubstr("ends in the middle"));
  EXPECT_THAT(refusal_of(std::string("\x0a\x03\x12\x01\xff", 5)), HasSubstr("not UTF-8"));
  EXPECT_THAT(refusal_of(std::string(kFrameBytesMax + 1, '\0')),
              HasSubstr("16777217 bytes, the limit is 16777216"));
}

TEST(HostileTest, FramesAndFieldsOfTheFutureAreToldFromBrokenOnes) {
  EXPECT_EQ(parse_node_frame({}).status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(parse_hub_frame(bytes_of("\x9a\x06\x01x")).status().code(),
            absl::StatusCode::kUnimplemented);
  const std::string accept = "\x1a\x06\x08\x07\x9a\x06\x01x";
  EXPECT_EQ(std::get<Accept>(*parse_node_frame(bytes_of(accept))).instruction, 7u);
  Reply reply;
  reply.frame.mutable_result()->mutable_reply()->mutable_failure()->set_code("new-in-2");
  const auto result =
      std::get<NodeResult>(*parse_node_frame(bytes_of(reply.frame.SerializeAsString())));
  EXPECT_EQ(result.reply.error->code, MessageError::Code::kUnknown);
}

}  // namespace
}  // namespace umbel::wire
