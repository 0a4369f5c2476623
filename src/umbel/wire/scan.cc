#include "umbel/wire/scan.h"

#include <iterator>

namespace umbel::wire {

namespace {

using Field = Form::Field;

// The table of umbel.proto's messages within messages.
constexpr Form kPlain{};
constexpr Field kValueFields[] = {{6, &kPlain}, {7, &kPlain}, {8, &kPlain}, {9, &kPlain}};
constexpr Form kValue{kValueFields};
constexpr Field kNamedValueFields[] = {{2, &kValue}};
constexpr Form kNamedValue{kNamedValueFields};
constexpr Field kListOfPlain[] = {{1, &kPlain}};
constexpr Form kArrays{kListOfPlain};
constexpr Field kListOfValues[] = {{1, &kNamedValue}};
constexpr Form kValues{kListOfValues};
constexpr Field kRecordEntryFields[] = {{2, &kArrays}, {3, &kValues}, {4, &kValues}};
constexpr Form kRecordEntry{kRecordEntryFields};
constexpr Field kContentFields[] = {{1, &kRecordEntry}, {2, &kPlain}};
constexpr Form kContent{kContentFields};
constexpr Field kEnvelopeFields[] = {{1, &kPlain}, {2, &kContent}, {3, &kPlain}};
constexpr Form kEnvelope{kEnvelopeFields};
constexpr Field kRunInfoFields[] = {{4, &kNamedValue}, {5, &kPlain}};
constexpr Form kRunInfo{kRunInfoFields};

constexpr Field kSecondIsEnvelope[] = {{2, &kEnvelope}};
constexpr Form kNodeResult{kSecondIsEnvelope};
constexpr Field kAssignFields[] = {{2, &kRunInfo}, {3, &kEnvelope}};
constexpr Form kAssign{kAssignFields};
constexpr Field kClientStartFields[] = {{1, &kRunInfo}, {2, &kNamedValue}};
constexpr Form kClientStart{kClientStartFields};
constexpr Field kHandleFields[] = {{2, &kEnvelope}, {3, &kContent}, {4, &kNamedValue}};
constexpr Form kHandle{kHandleFields};
constexpr Field kSampleFields[] = {{2, &kPlain}};
constexpr Form kSample{kSampleFields};
constexpr Field kFoldDoneFields[] = {{2, &kArrays}, {3, &kNamedValue}, {7, &kPlain}, {8, &kSample}};
constexpr Form kFoldDone{kFoldDoneFields};
constexpr Field kWeighFields[] = {{3, &kNamedValue}};
constexpr Form kWeigh{kWeighFields};
constexpr Field kFirstIsEnvelope[] = {{1, &kEnvelope}};
constexpr Form kOneEnvelope{kFirstIsEnvelope};
constexpr Field kFoldCallFields[] = {{6, &kContent}, {8, &kArrays}};
constexpr Form kFoldCall{kFoldCallFields};

constexpr Field kNodeFrameFields[] = {{1, &kPlain},      {2, &kPlain}, {3, &kPlain},
                                      {4, &kNodeResult}, {5, &kPlain}, {6, &kPlain}};
constexpr Field kHubFrameFields[] = {{1, &kPlain},  {2, &kPlain}, {3, &kPlain},
                                     {4, &kAssign}, {5, &kPlain}, {6, &kPlain},
                                     {7, &kPlain},  {8, &kPlain}, {9, &kPlain}};
constexpr Field kDaemonFrameFields[] = {{1, &kClientStart}, {2, &kHandle}, {3, &kPlain},
                                        {4, &kFoldDone},    {5, &kWeigh},  {6, &kOneEnvelope},
                                        {7, &kPlain},       {8, &kPlain}};
constexpr Field kAppFrameFields[] = {{1, &kPlain},    {2, &kHandle}, {3, &kPlain},
                                     {4, &kFoldCall}, {5, &kPlain},  {6, &kOneEnvelope},
                                     {7, &kPlain}};

constexpr int kWireVarint = 0, kWire64 = 1, kWireLength = 2, kWire32 = 5;

Status cut_off() { return invalid_argument("the message ends in the middle of a field"); }

class Scanner {
 public:
  Status walk(std::span<const std::byte> bytes, const Form& form) {
    while (!bytes.empty()) {
      uint64_t tag = 0;
      UMBEL_RETURN_IF_ERROR(read_varint(bytes, tag));
      uint64_t skip = 0;
      switch (tag & 7) {
        case kWireVarint: {
          uint64_t ignored = 0;
          UMBEL_RETURN_IF_ERROR(read_varint(bytes, ignored));
          continue;
        }
        case kWire64:
          skip = 8;
          break;
        case kWire32:
          skip = 4;
          break;
        case kWireLength:
          UMBEL_RETURN_IF_ERROR(read_varint(bytes, skip));
          break;
        default:
          return invalid_argument("a field of wire type {}", tag & 7);
      }
      if (skip > bytes.size()) return cut_off();
      if ((tag & 7) == kWireLength) {
        UMBEL_RETURN_IF_ERROR(enter(bytes.first(skip), form, tag >> 3));
      }
      bytes = bytes.subspan(skip);
    }
    return absl::OkStatus();
  }

 private:
  Status enter(std::span<const std::byte> bytes, const Form& form, uint64_t number) {
    if (++fields_ > kLengthFieldsMax) {
      return resource_exhausted("more than {} fields in a message", kLengthFieldsMax);
    }
    for (const Field& field : form.messages) {
      if (field.number == number) return walk(bytes, *field.form);  // as deep as the table
    }
    return absl::OkStatus();
  }

  static Status read_varint(std::span<const std::byte>& bytes, uint64_t& value) {
    value = 0;
    for (size_t i = 0; i != 10; ++i) {
      if (i == bytes.size()) return cut_off();
      const auto byte = static_cast<uint64_t>(bytes[i]);
      value |= (byte & 0x7f) << (7 * i);
      if (byte < 0x80) {
        bytes = bytes.subspan(i + 1);
        return absl::OkStatus();
      }
    }
    return invalid_argument("a number of more than ten bytes");
  }

  size_t fields_ = 0;
};

}  // namespace

const Form kNodeFrameForm{kNodeFrameFields}, kHubFrameForm{kHubFrameFields},
    kDaemonFrameForm{kDaemonFrameFields}, kAppFrameForm{kAppFrameFields};

Status scan(std::span<const std::byte> bytes, const Form& form) {
  return Scanner().walk(bytes, form);
}

}  // namespace umbel::wire
