#include "umbel/record/message.h"

#include <utility>

namespace umbel {

namespace {

template <class R>
const R& first_or_throw(const Message& message, std::string_view kind) {
  if (const R* record = first_of<R>(message.content())) return *record;
  throw Error(not_found("message of type \"{}\" has no {} record; it has: {}",
                        message.metadata().type, kind, message.content().names()));
}

}  // namespace

std::string_view name_of(MessageError::Code code) {
  switch (code) {
    case MessageError::Code::kUnknown:
      return "unknown";
    case MessageError::Code::kClientFailed:
      return "client-failed";
    case MessageError::Code::kBadReply:
      return "bad-reply";
    case MessageError::Code::kDeadline:
      return "deadline";
    case MessageError::Code::kUnknownAction:
      return "unknown-action";
    case MessageError::Code::kStopped:
      return "stopped";
    case MessageError::Code::kLeft:
      return "client-left";
  }
  return "unknown";
}

Message::Message(Metadata metadata, std::shared_ptr<const RecordDict> content)
    : metadata_(std::move(metadata)), content_(std::move(content)) {}
Message::Message(Metadata metadata, RecordDict content)
    : Message(std::move(metadata), std::make_shared<const RecordDict>(std::move(content))) {}
Message::Message(Metadata metadata, MessageError error)
    : metadata_(std::move(metadata)),
      error_(std::make_shared<const MessageError>(std::move(error))) {}

const RecordDict& Message::content() const {
  if (content_) return *content_;
  throw Error(failed_precondition("message of type \"{}\" has no content: {} ({})", metadata_.type,
                                  error_ ? error_->reason : "it is empty",
                                  name_of(error_ ? error_->code : MessageError::Code::kUnknown)));
}

const ArrayRecord& Message::arrays() const { return first_or_throw<ArrayRecord>(*this, "array"); }
const MetricRecord& Message::metrics() const {
  return first_or_throw<MetricRecord>(*this, "metric");
}
const ConfigRecord& Message::config() const {
  return first_or_throw<ConfigRecord>(*this, "config");
}

Metadata Message::reply_metadata() const {
  Metadata metadata = metadata_;
  metadata.reply_to = metadata_.id;
  metadata.id = MessageId();
  std::swap(metadata.source, metadata.destination);
  return metadata;
}

Message Message::reply(RecordDict content) const {
  return Message(reply_metadata(), std::move(content));
}

Message Message::reply(ArrayRecord arrays, MetricRecord metrics) const {
  RecordDict content;
  content.reserve(2);
  content.set("arrays", std::move(arrays));
  content.set("metrics", std::move(metrics));
  return reply(std::move(content));
}

Message Message::reply(MetricRecord metrics) const {
  RecordDict content;
  content.set("metrics", std::move(metrics));
  return reply(std::move(content));
}

Message Message::reply(MessageError error) const {
  return Message(reply_metadata(), std::move(error));
}

std::shared_ptr<const RecordDict> make_content(ArrayRecord arrays, ConfigRecord config) {
  RecordDict content;
  content.reserve(2);
  content.set("arrays", std::move(arrays));
  content.set("config", std::move(config));
  return std::make_shared<const RecordDict>(std::move(content));
}

}  // namespace umbel
