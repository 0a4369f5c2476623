#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "umbel/base/ids.h"
#include "umbel/record/record.h"

namespace umbel {

// Why there is no content: the reply of a client whose code failed, or of nobody at all.
struct MessageError {
  enum class Code : uint8_t {
    kUnknown,
    kClientFailed,   // the app's code threw
    kBadReply,       // the reply does not fit what was asked
    kDeadline,       // no reply in time
    kUnknownAction,  // the app has nothing registered for the message's type
    kStopped,        // the run was stopped first
    kLeft,           // the client went away while it was at work
  };
  Code code = Code::kUnknown;
  std::string reason;
  friend bool operator==(const MessageError&, const MessageError&) = default;
};
std::string_view name_of(MessageError::Code code);  // "client-failed"

struct Metadata {
  RunId run;
  MessageId id;
  MessageId reply_to;  // 0 for a message that is not a reply
  NodeId source;
  NodeId destination;
  std::string type;    // "train", "evaluate", "query", or with an action: "train.lora"
  uint64_t round = 0;  // the round it belongs to, from 1; 0 outside rounds
  friend bool operator==(const Metadata&, const Metadata&) = default;
};

// What travels: metadata and either content or an error.  Copies share the content, so one content
// can be addressed to a thousand clients.
class Message {
 public:
  Message(Metadata metadata, std::shared_ptr<const RecordDict> content);
  Message(Metadata metadata, RecordDict content);
  Message(Metadata metadata, MessageError error);

  const Metadata& metadata() const { return metadata_; }
  Metadata& metadata() { return metadata_; }
  NodeId source() const { return metadata_.source; }

  bool has_error() const { return error_ != nullptr; }
  const MessageError& error() const { return *error_; }  // requires has_error()

  // The content; umbel::Error with the cause if there is none.
  const RecordDict& content() const;
  const std::shared_ptr<const RecordDict>& shared_content() const { return content_; }
  // The first record of its kind; umbel::Error if there is none.
  const ArrayRecord& arrays() const;
  const MetricRecord& metrics() const;
  const ConfigRecord& config() const;

  // Replies to this message.
  Message reply(RecordDict content) const;
  Message reply(ArrayRecord arrays, MetricRecord metrics) const;  // as "arrays" and "metrics"
  Message reply(MetricRecord metrics) const;                      // as "metrics"
  Message reply(MessageError error) const;

 private:
  Metadata reply_metadata() const;

  Metadata metadata_;
  std::shared_ptr<const RecordDict> content_;
  std::shared_ptr<const MessageError> error_;
};

// A content of the usual form: "arrays" and "config".
std::shared_ptr<const RecordDict> make_content(ArrayRecord arrays, ConfigRecord config);

// The first record of kind R in `content`, or nullptr.
template <class R>
const R* first_of(const RecordDict& content) {
  for (const auto& [name, record] : content) {
    if (const R* found = std::get_if<R>(&record)) return found;
  }
  return nullptr;
}

}  // namespace umbel
