#include "umbel/wire/content.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "umbel/wire/arbitrary_test.h"
#include "umbel/wire/utf8.h"

namespace umbel::wire {
namespace {

using ::testing::HasSubstr;

RecordDict two_records() {
  RecordDict content;
  content.set("model",
              ArrayRecord{{"a", Array::of<uint8_t>({1, 2, 3})}, {"b", Array::of<float>({1.5F})}});
  content.set("metrics", MetricRecord{{"loss", 0.5}});
  content.set("more", ArrayRecord{{"c", Array::of<int16_t>({7})}});
  content.set("config", ConfigRecord{{"round", 3}});
  return content;
}

TEST(ContentTest, ArraysLieFromMultiplesOf64WithZerosBetween) {
  const RecordDict content = two_records();
  const ContentHead head = head_of(content);
  EXPECT_EQ(head.blob_size(), 130u);
  EXPECT_EQ(head.first_layout_range(), std::pair(uint64_t{0}, uint64_t{68}));
  EXPECT_EQ(head.first_layout()->size(), 2u);
  EXPECT_EQ(head.all_arrays().size(), 3u);
  EXPECT_EQ(head.first_metrics()->real("loss"), 0.5);
  const Buffer blob = blob_of(content);
  ASSERT_EQ(blob.size(), 130u);
  for (size_t i = 3; i != 64; ++i) EXPECT_EQ(blob.bytes()[i], std::byte{0}) << i;
  EXPECT_EQ(blob.bytes()[2], std::byte{3});
  EXPECT_EQ(blob.bytes()[128], std::byte{7});
  EXPECT_EQ(blob.size(), blob_size(head.all_arrays()));
}

TEST(ContentTest, AssembledArraysShareTheBlob) {
  const RecordDict content = two_records();
  const Buffer blob = blob_of(content);
  const RecordDict again = *assemble(head_of(content), blob);
  EXPECT_EQ(again, content);
  const auto& model = std::get<ArrayRecord>(again["model"]);
  EXPECT_EQ(model["b"].bytes().data(), blob.data() + 64);
}

TEST(ContentTest, EveryContentComesBackFromHeadAndBlob) {
  rc::check([](uint64_t seed) {
    const RecordDict content = Arbitrary(seed).content();
    RC_ASSERT(*assemble(head_of(content), blob_of(content)) == content);
    RC_ASSERT(blob_of(content).size() == blob_size(head_of(content).all_arrays()));
    RC_ASSERT(require_sendable(content).ok());
  });
}

TEST(ContentTest, ABlobOfAnotherSizeIsRefused) {
  const RecordDict content = two_records();
  const auto result = assemble(head_of(content), Buffer::zeros(129));
  EXPECT_EQ(message_of(result.status()), "a blob of 129 bytes, its arrays take 130");
}

TEST(ContentTest, ASmallBlobTravelsInsideAndALargeOneDoesNot) {
  const Message message(Metadata{}, two_records());
  EXPECT_TRUE(envelope_of(message, 130).blob.is_here());
  const Envelope apart = envelope_of(message, 129);
  EXPECT_FALSE(apart.blob.is_here());
  EXPECT_EQ(apart.blob.size, 130u);
  EXPECT_EQ(to_message(apart, blob_of(message.content()))->content(), message.content());
}

TEST(ContentTest, AnErrorTravelsInsteadOfAContent) {
  const Message failed(Metadata{}, MessageError{MessageError::Code::kDeadline, "late"});
  const Envelope envelope = envelope_of(failed);
  EXPECT_TRUE(envelope.blob.is_here());
  const Message again = *to_message(envelope, Buffer());
  ASSERT_TRUE(again.has_error());
  EXPECT_EQ(again.error(), failed.error());
}

// ISO 3309 bit by bit.
uint32_t slow_crc32(std::span<const std::byte> bytes) {
  uint32_t crc = ~uint32_t{0};
  for (const std::byte byte : bytes) {
    crc ^= static_cast<uint32_t>(byte);
    for (int bit = 0; bit != 8; ++bit) crc = (crc >> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc;
}

TEST(ContentTest, CrcIsThatOfIso3309AndGoesOnFromWhereItWas) {
  EXPECT_EQ(crc32(std::as_bytes(std::span("123456789", 9))), 0xcbf43926);
  std::vector<std::byte> bytes(3 * kChunkBytes / 2);
  for (size_t i = 0; i != bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * i >> 7);
  const std::span<const std::byte> all(bytes);
  EXPECT_EQ(crc32(all), slow_crc32(all));
  EXPECT_EQ(crc32(all.subspan(100), crc32(all.first(100))), crc32(all));
  EXPECT_EQ(crc32({}), 0u);
  const std::vector<uint32_t> expected = {crc32(all.first(kChunkBytes)),
                                          crc32(all.subspan(kChunkBytes))};
  EXPECT_EQ(chunk_crcs(all), expected);
  EXPECT_TRUE(chunk_crcs({}).empty());
}

TEST(ContentTest, WhatAPeerWouldRefuseIsToldBeforeItIsSent) {
  const auto refusal = [](RecordDict content) { return message_of(require_sendable(content)); };
  const auto with = [](AnyRecord record) {
    RecordDict content;
    content.set("r", std::move(record));
    return content;
  };
  EXPECT_THAT(refusal(with(MetricRecord{{"\xff", 1}})),
              HasSubstr("record \"r\": the name \"?\" is"));
  EXPECT_THAT(refusal(with(ConfigRecord{{"k", "\xc3"}})),
              HasSubstr("\"k\": the text is not UTF-8"));
  EXPECT_THAT(refusal(with(ConfigRecord{{"k", std::vector<std::string>{"a", "\xc3"}}})),
              HasSubstr("not UTF-8"));
  EXPECT_THAT(refusal(with(MetricRecord{{std::string(kNameBytesMax + 1, 'n'), 1}})),
              HasSubstr("a name of 1025 bytes"));
  EXPECT_THAT(refusal(with(ArrayRecord{{"w", Array::zeros(DType::kBool, Shape(65, 1))}})),
              HasSubstr("65 dimensions"));
  RecordDict many;
  for (size_t i = 0; i != kRecordsMax + 1; ++i) many.append(std::to_string(i), MetricRecord());
  EXPECT_THAT(refusal(many), HasSubstr("1001 records"));
  EXPECT_EQ(refusal(with(ConfigRecord{{"k", std::vector<std::byte>{std::byte{0xff}}}})), "");
}

TEST(Utf8Test, KnowsWellFormedText) {
  for (const char* good : {"", "a", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf",
                           "\xee\x80\x80", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(is_utf8(good)) << good;
  }
  for (const char* bad : {"\x80", "\xc0\x80", "\xc1\xbf", "\xc2", "\xe0\x9f\xbf", "\xed\xa0\x80",
                          "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff"}) {
    EXPECT_FALSE(is_utf8(bad)) << bad;
  }
}

TEST(Utf8Test, WhatPeopleReadIsCutBetweenCharactersAndMadeValid) {
  EXPECT_EQ(as_utf8("a\xff\xc3\xbc", 10), "a?\xc3\xbc");
  EXPECT_EQ(as_utf8("a\xc3\xbc", 2), "a");
  EXPECT_EQ(as_utf8("abc", 2), "ab");
  rc::check([](const std::string& text) {
    const std::string valid = as_utf8(text, 8);
    RC_ASSERT(is_utf8(valid) && valid.size() <= 8);
    if (is_utf8(text) && text.size() <= 8) RC_ASSERT(valid == text);
  });
}

}  // namespace
}  // namespace umbel::wire
