#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "umbel/wire/arbitrary_test.h"
#include "umbel/wire/fleet.h"
#include "umbel/wire/runtime.h"

namespace umbel::wire {
namespace {

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}
std::string hex_of(const std::string& bytes) {
  std::string hex;
  for (const unsigned char c : bytes) hex += fmt::format("{:02x}", c);
  return hex;
}

TEST(FramesTest, EveryNodeFrameComesBackAsItWas) {
  rc::check([](uint64_t seed) {
    const NodeFrame frame = Arbitrary(seed).node_frame();
    RC_ASSERT(*parse_node_frame(bytes_of(format(frame))) == frame);
  });
}

TEST(FramesTest, EveryHubFrameComesBackAsItWas) {
  rc::check([](uint64_t seed) {
    const HubFrame frame = Arbitrary(seed).hub_frame();
    RC_ASSERT(*parse_hub_frame(bytes_of(format(frame))) == frame);
  });
}

TEST(FramesTest, EveryAppFrameComesBackAsItWas) {
  rc::check([](uint64_t seed) {
    const AppFrame frame = Arbitrary(seed).app_frame();
    RC_ASSERT(*parse_app_frame(bytes_of(format(frame))) == frame);
  });
}

bool equal(const aggregate::FoldResult& a, const aggregate::FoldResult& b) {
  const auto same = [](const aggregate::Failure& x, const aggregate::Failure& y) {
    return x.node == y.node && x.error == y.error;
  };
  return a.arrays == b.arrays && a.metrics == b.metrics && a.replies == b.replies &&
         a.weight == b.weight && a.reply_bytes == b.reply_bytes && a.failures == b.failures &&
         std::ranges::equal(a.failure_samples, b.failure_samples, same);
}

template <class T>
bool equal(const T& a, const T& b) {
  if constexpr (std::is_same_v<T, FoldDone>) {
    return a.call == b.call && a.arrays == b.arrays && a.blob_size == b.blob_size &&
           equal(a.result, b.result);
  } else {
    return a == b;
  }
}

TEST(FramesTest, EveryDaemonFrameComesBackAsItWas) {
  rc::check([](uint64_t seed) {
    const DaemonFrame frame = Arbitrary(seed).daemon_frame();
    const DaemonFrame again = *parse_daemon_frame(bytes_of(format(frame)));
    RC_ASSERT(again.index() == frame.index());
    const bool same = std::visit(
        [&](const auto& f) { return equal(f, std::get<std::decay_t<decltype(f)>>(again)); }, frame);
    RC_ASSERT(same);
  });
}

TEST(FramesTest, NotANumberTravels) {
  const AppFrame frame = Weight{1, 2, NAN, ""};
  const AppFrame again = *parse_app_frame(bytes_of(format(frame)));
  EXPECT_TRUE(std::isnan(std::get<Weight>(again).weight));
  const DaemonFrame weigh = Weigh{1, 2, {{"loss", NAN}}};
  const auto metrics = std::get<Weigh>(*parse_daemon_frame(bytes_of(format(weigh)))).metrics;
  EXPECT_TRUE(std::isnan(metrics.real("loss")));
}

TEST(FramesTest, EmptyIsNotAbsent) {
  FoldCall call{.weight_max = 1};
  call.layout = Layout();
  call.deadline_seconds = 0;
  const auto again = std::get<FoldCall>(*parse_app_frame(bytes_of(format(AppFrame(call)))));
  EXPECT_TRUE(again.layout && again.layout->empty());
  EXPECT_EQ(again.deadline_seconds, 0.0);
  EXPECT_FALSE(again.wrap_up_seconds);
  const AppFrame log = AppLog{"info", "", NodeId(0)};
  EXPECT_EQ(*parse_app_frame(bytes_of(format(log))), log);
  ConfigRecord empties{{"a", std::vector<int64_t>()},
                       {"b", std::vector<bool>()},
                       {"c", std::vector<std::string>()},
                       {"d", ""},
                       {"e", false},
                       {"f", 0.0}};
  const DaemonFrame start = ClientStart{{}, empties};
  EXPECT_EQ(std::get<ClientStart>(*parse_daemon_frame(bytes_of(format(start)))).node_config,
            empties);
}

TEST(FramesTest, LongAndBrokenTextsForPeopleAreCutAndMended) {
  const std::string text = "caf\xff" + std::string(2 * kLineBytesMax, 'x');
  const auto log = std::get<NodeLog>(
      *parse_node_frame(bytes_of(format(NodeFrame(NodeLog{RunId(1), "info", text})))));
  EXPECT_EQ(log.message, "caf?" + std::string(kLineBytesMax - 4, 'x'));
  const auto done =
      std::get<Done>(*parse_hub_frame(bytes_of(format(HubFrame(Done{1, false, text})))));
  EXPECT_EQ(done.reason.size(), kReasonBytesMax);
}

// The protocol is a promise: these bytes may never change.
// clang-format off
TEST(FramesTest, BytesAreAsTheProtocolSays) {
  Hello hello{{1},
              {"f"},
              *PublicKey::from_bytes(bytes_of(std::string(32, 'k'))),
              std::string(32, 'n'),
              {300},
              "umbel 0.1.0",
              "linux-x86_64"};
  // Each piece is a field: its number and kind, its length, its value.
  EXPECT_EQ(hex_of(format(NodeFrame(hello))),
            "0a69" "0a0101" "120166" "1a20" + hex_of(std::string(32, 'k')) +
                "2220" + hex_of(std::string(32, 'n')) + "2a02ac02" "320b" +
                hex_of("umbel 0.1.0") + "3a0c" + hex_of("linux-x86_64"));
  EXPECT_EQ(hex_of(format(NodeFrame(Accept{7}))), "1a020807");
  EXPECT_EQ(hex_of(format(NodeFrame(Draining{}))), "3200");
  EXPECT_EQ(hex_of(format(HubFrame(Upload{7, 1 << 20}))), "3a06080710808040");
  EXPECT_EQ(hex_of(format(HubFrame(Done{7, true, ""}))), "420408071001");
  EXPECT_EQ(hex_of(format(HubFrame(WrapUp{7, 1.5}))), "2a0b080711000000000000f83f");

  const Metadata metadata{.run = RunId(1),
                          .id = MessageId(2),
                          .reply_to = MessageId(3),
                          .source = NodeId(4),
                          .destination = kServerNode,
                          .type = "train",
                          .round = 5};
  RecordDict content;
  content.set("arrays", ArrayRecord{{"w", Array::of<uint8_t>({1, 2})}});
  content.set("metrics", MetricRecord{{"n", -1}});
  const NodeFrame result = NodeResult{9, envelope_of(Message(metadata, content))};
  const std::string header =
      "0a1c" "0801" "1002" "1803" "2004" "28ffffffffffffffffff01" "3205747261696e" "3805";
  const std::string arrays =
      "0a19" "0a06617272617973" "120f" "0a0d" "0a0177" "120575696e7438" "1a0102";
  const std::string metrics = "0a14" "0a076d657472696373" "1a09" "0a07" "0a016e" "12021001";
  const std::string blob = "1206" "0802" "1a020102";
  EXPECT_EQ(hex_of(format(result)),
            "225d" "0809" "1259" + header + "1239" + arrays + metrics + blob);
}
// clang-format on

}  // namespace
}  // namespace umbel::wire
