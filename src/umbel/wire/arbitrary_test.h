#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "umbel/base/rng.h"
#include "umbel/wire/runtime.h"

namespace umbel::wire {

// Values drawn from a seed, for tests of the frames.
class Arbitrary {
 public:
  explicit Arbitrary(uint64_t seed) : rng_(seed) {}

  bool truth() { return rng_.below(2) == 1; }
  uint64_t number() { return rng_.bits() >> rng_.below(64); }
  int64_t integer() { return static_cast<int64_t>(rng_.bits()) >> rng_.below(64); }
  double real() {
    static constexpr double kTelling[] = {0.0, -0.0, 1.5, -1e308, 5e-324, INFINITY, 1.0 / 3};
    return kTelling[rng_.below(std::size(kTelling))];
  }
  double seconds() { return rng_.uniform() * 100; }
  std::string text() {
    static constexpr std::string_view kPieces[] = {"w", "\xc3\xbc", "/", "\"", "\n", "conv1.", ""};
    std::string text;
    for (uint64_t i = rng_.below(4); i != 0; --i) text += kPieces[rng_.below(std::size(kPieces))];
    return text;
  }
  std::string name(size_t index) { return text() + std::to_string(index); }
  std::string bytes(size_t count) {
    std::string bytes(count, '\0');
    for (char& c : bytes) c = static_cast<char>(rng_.bits());
    return bytes;
  }
  template <class T, class Make>
  std::vector<T> list(size_t most, const Make& make) {
    std::vector<T> list(rng_.below(most + 1));
    for (size_t i = 0; i != list.size(); ++i) list[i] = make();
    return list;
  }
  std::vector<uint64_t> numbers() {
    return list<uint64_t>(5, [&] { return number(); });
  }

  MetricRecord metrics() {
    MetricRecord metrics;
    for (size_t i = rng_.below(4); i != 0; --i) {
      const std::string key = name(i);
      switch (rng_.below(4)) {
        case 0:
          metrics.set(key, integer());
          break;
        case 1:
          metrics.set(key, real());
          break;
        case 2:
          metrics.set(key, list<int64_t>(3, [&] { return integer(); }));
          break;
        default:
          metrics.set(key, list<double>(3, [&] { return real(); }));
      }
    }
    return metrics;
  }
  ConfigValue config_value() {
    switch (rng_.below(9)) {
      case 0:
        return ConfigValue(truth());
      case 1:
        return ConfigValue(integer());
      case 2:
        return ConfigValue(real());
      case 3:
        return ConfigValue(text());
      case 4:
        return ConfigValue(
            list<std::byte>(5, [&] { return static_cast<std::byte>(rng_.below(256)); }));
      case 5:
        return ConfigValue(std::vector<bool>(rng_.below(3), truth()));
      case 6:
        return ConfigValue(list<int64_t>(3, [&] { return integer(); }));
      case 7:
        return ConfigValue(list<double>(3, [&] { return real(); }));
      default:
        return ConfigValue(list<std::string>(3, [&] { return text(); }));
    }
  }
  ConfigRecord config() {
    ConfigRecord config;
    for (size_t i = rng_.below(5); i != 0; --i) config.set(name(i), config_value());
    return config;
  }
  Array array() {
    Shape shape;
    for (uint64_t i = rng_.below(4); i != 0; --i) {
      shape.push_back(static_cast<int64_t>(rng_.below(5)));
    }
    Array array = Array::zeros(static_cast<DType>(rng_.below(kDTypeCount)), std::move(shape));
    for (std::byte& byte : array.mutable_bytes()) byte = static_cast<std::byte>(rng_.below(2));
    return array;
  }
  ArrayRecord arrays() {
    ArrayRecord arrays;
    for (size_t i = rng_.below(4); i != 0; --i) arrays.set(name(i), array());
    return arrays;
  }
  RecordDict content() {
    RecordDict content;
    for (size_t i = rng_.below(4); i != 0; --i) {
      const std::string key = name(i);
      switch (rng_.below(3)) {
        case 0:
          content.set(key, arrays());
          break;
        case 1:
          content.set(key, metrics());
          break;
        default:
          content.set(key, config());
      }
    }
    return content;
  }
  Metadata metadata() {
    return {RunId(number()),  MessageId(number()), MessageId(number()),
            NodeId(number()), NodeId(number()),    text(),
            number()};
  }
  Message message() {
    if (rng_.below(4) == 0) {
      return Message(metadata(),
                     MessageError{static_cast<MessageError::Code>(rng_.below(6)), text()});
    }
    return Message(metadata(), content());
  }
  // With its blob inside, or apart: then with CRCs if it goes over a network.
  Envelope envelope(bool chunked) {
    const Message message = this->message();
    Envelope envelope = envelope_of(message, truth() ? kInlineBytesMax : 0);
    if (!envelope.blob.is_here() && chunked) {
      envelope.blob.id = number();
      envelope.blob.crc32 = chunk_crcs(blob_of(message.content()).bytes());
    }
    return envelope;
  }
  RunInfo run() {
    RunInfo run{RunId(number()), number(), number(), config(), {}, {}};
    for (size_t i = 0; i != run.config.size(); ++i) run.origins.push_back(text());
    if (truth()) run.bundle = {std::string(64, 'a'), number(), text()};
    return run;
  }
  aggregate::FoldResult fold_result() {
    aggregate::FoldResult result{
        .metrics = metrics(), .replies = number(), .weight = real(), .reply_bytes = number()};
    if (truth()) result.failures[MessageError::Code::kDeadline] = number();
    if (truth()) {
      result.failure_samples.push_back({NodeId(number()), {MessageError::Code::kBadReply, text()}});
    }
    return result;
  }

  NodeFrame node_frame() {
    switch (rng_.below(6)) {
      case 0:
        return Hello{list<uint32_t>(3, [&] { return static_cast<uint32_t>(number()); }),
                     list<std::string>(3, [&] { return text(); }),
                     *PublicKey::from_bytes(list_of_bytes(32)),
                     bytes(kNonceBytes),
                     numbers(),
                     text(),
                     text()};
      case 1:
        return Proof{list_of_bytes(64)};
      case 2:
        return Accept{number()};
      case 3:
        return NodeResult{number(), envelope(true)};
      case 4:
        return NodeLog{RunId(number()), text(), text()};
      default:
        return Draining{};
    }
  }
  HubFrame hub_frame() {
    switch (rng_.below(9)) {
      case 0:
        return Challenge{static_cast<uint32_t>(number()),
                         list<std::string>(3, [&] { return text(); }), bytes(kNonceBytes)};
      case 1:
        return Welcome{text(), text(), number(), static_cast<uint32_t>(number()), numbers()};
      case 2:
        return Refusal{text(), text()};
      case 3:
        return Assign{number(), run(), envelope(true), number()};
      case 4:
        return WrapUp{number(), seconds()};
      case 5:
        return Cancel{number()};
      case 6:
        return Upload{number(), number()};
      case 7:
        return Done{number(), truth(), text()};
      default:
        return RunEnded{RunId(number())};
    }
  }
  DaemonFrame daemon_frame() {
    switch (rng_.below(8)) {
      case 0:
        return ClientStart{run(), config(),
                           truth() ? std::optional<uint64_t>(number()) : std::nullopt};
      case 1:
        return handle();
      case 2:
        return AppWrapUp{number(), seconds()};
      case 3: {
        FoldDone done{number(), layout_of(arrays()), 0, fold_result()};
        done.blob_size = blob_size(done.arrays);
        return done;
      }
      case 4:
        return Weigh{number(), number(), metrics()};
      case 5:
        return Arrived{envelope(false)};
      case 6:
        return ReplyMemory{number()};
      default:
        return Stop{};
    }
  }
  AppFrame app_frame() {
    switch (rng_.below(7)) {
      case 0:
        return AppReady{text(), {text(), text()}};
      case 1:
        return Handled{number(), envelope(false), content(), truth()};
      case 2:
        return AppLog{text(), text(), truth() ? std::optional(NodeId(number())) : std::nullopt};
      case 3:
        return fold_call();
      case 4:
        return Weight{number(), number(), real(), text()};
      case 5:
        return Push{envelope(false)};
      default:
        return Forget{numbers()};
    }
  }
  Handle handle() {
    Handle handle{number(), envelope(false), content(), config()};
    if (truth()) handle.wrap_up = {seconds(), seconds()};
    if (truth()) handle.content = number();
    if (truth()) handle.reply_offset = number();
    handle.reply_size = number();
    handle.kept = handle.content != 0 && handle.message.head.records.empty();
    return handle;
  }
  FoldCall fold_call() {
    FoldCall call{.call = number(), .type = text(), .round = number(), .nodes = numbers()};
    call.first_message = number();
    const Message message(metadata(), content());
    const Envelope envelope = envelope_of(message, truth() ? kInlineBytesMax : 0);
    call.content = envelope.head;
    call.blob = envelope.blob;
    if (truth()) call.layout = layout_of(arrays());
    call.weight_key = text();
    call.weighs = truth();
    call.weight_max = truth() ? INFINITY : seconds() + 1;
    if (truth()) call.deadline_seconds = seconds();
    if (truth()) call.wrap_up_seconds = seconds();
    return call;
  }

 private:
  std::vector<std::byte> list_of_bytes(size_t count) {
    const std::string text = bytes(count);
    const auto span = std::as_bytes(std::span(text));
    return {span.begin(), span.end()};
  }

  Rng rng_;
};

}  // namespace umbel::wire
