#include <nanobind/stl/string.h>

#include <array>

#include "convert.h"

namespace umbel::python {

namespace {

// Flower's numbers where it has the same error, others from 100 on.
struct CodeNumber {
  MessageError::Code code;
  int number;
};
constexpr std::array<CodeNumber, 7> kNumbers{{{MessageError::Code::kUnknown, 0},
                                              {MessageError::Code::kClientFailed, 2},
                                              {MessageError::Code::kDeadline, 4},
                                              {MessageError::Code::kLeft, 5},
                                              {MessageError::Code::kBadReply, 100},
                                              {MessageError::Code::kUnknownAction, 101},
                                              {MessageError::Code::kStopped, 102}}};

nb::handle message_function(const char* name) {
  return nb::object(nb::module_::import_("umbel.app._message").attr(name)).release();
}

uint64_t number_in(nb::handle parts, int index) {
  const nb::object item = parts[index];
  const uint64_t value = PyLong_AsUnsignedLongLong(item.ptr());
  if (value == UINT64_MAX && PyErr_Occurred()) {
    PyErr_Clear();
    throw Error(invalid_argument("Message: {} is no id, expected 0 to 2^64 - 1",
                                 nb::str(nb::handle(item)).c_str()));
  }
  return value;
}

}  // namespace

int number_of_error(MessageError::Code code) {
  for (const CodeNumber& known : kNumbers) {
    if (known.code == code) return known.number;
  }
  return 0;
}
MessageError::Code code_of_error(int number) {
  for (const CodeNumber& known : kNumbers) {
    if (known.number == number) return known.code;
  }
  return MessageError::Code::kUnknown;
}

nb::object to_python(const Message& message) {
  static const nb::handle make = message_function("from_core");
  const Metadata& metadata = message.metadata();
  const bool failed = message.has_error();
  return make(metadata.run.value(), metadata.id.value(), metadata.reply_to.value(),
              metadata.source.value(), metadata.destination.value(), metadata.type, metadata.round,
              failed ? nb::none() : to_python(message.content()),
              failed ? number_of_error(message.error().code) : 0,
              failed ? to_python(ConfigValue(message.error().reason)) : nb::none());
}

Message message_from(nb::handle object) {
  static const nb::handle take = message_function("to_core");
  const nb::object parts = take(object);
  Metadata metadata{.run = RunId(number_in(parts, 0)),
                    .id = MessageId(number_in(parts, 1)),
                    .reply_to = MessageId(number_in(parts, 2)),
                    .source = NodeId(number_in(parts, 3)),
                    .destination = NodeId(number_in(parts, 4)),
                    .type = text_from(nb::object(parts[5]), "Message: message_type"),
                    .round = number_in(parts, 6)};
  const nb::object content = parts[7];
  if (!content.is_none()) return Message(std::move(metadata), content_from(content));
  return Message(std::move(metadata),
                 MessageError{code_of_error(nb::cast<int>(nb::object(parts[8]))),
                              shown_text(nb::object(parts[9]))});
}

}  // namespace umbel::python
