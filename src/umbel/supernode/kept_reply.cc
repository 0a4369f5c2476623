#include "umbel/supernode/kept_reply.h"

#include <utility>

namespace umbel::supernode {

namespace {

constexpr size_t kReasonBytesMax = 4'000;

void address(const Metadata& message, Metadata& reply) {
  reply.run = message.run;
  reply.id = MessageId();
  reply.reply_to = message.id;
  reply.source = message.destination;
  reply.destination = message.source;
  reply.type = message.type;
  reply.round = message.round;
}

}  // namespace

wire::Envelope KeptReply::told(uint64_t inline_max) {
  wire::Envelope envelope = head;
  if (envelope.error) return envelope;
  envelope.blob.size = blob.size();
  if (blob.size() <= inline_max) {
    envelope.blob.here = blob;
    return envelope;
  }
  if (crc32.empty()) crc32 = wire::chunk_crcs(blob.bytes());
  envelope.blob.crc32 = crc32;
  return envelope;
}

KeptReply error_reply(const Metadata& message, std::string reason) {
  KeptReply reply;
  address(message, reply.head.metadata);
  if (reason.size() > kReasonBytesMax) reason.resize(kReasonBytesMax);
  reply.head.error = MessageError{MessageError::Code::kClientFailed, std::move(reason)};
  return reply;
}

KeptReply app_reply(const Metadata& message, wire::Envelope answer, Buffer blob,
                    std::vector<uint32_t> crc32) {
  KeptReply reply{.head = std::move(answer), .blob = std::move(blob), .crc32 = std::move(crc32)};
  reply.head.blob = {};
  address(message, reply.head.metadata);
  return reply;
}

}  // namespace umbel::supernode
