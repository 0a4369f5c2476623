#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "umbel/wire/fleet.h"

namespace umbel::supernode {

// A reply from the moment it is made until the hub has no more use for it: its head, and its blob
// in this node's memory.
struct KeptReply {
  wire::Envelope head;  // without the blob
  Buffer blob;
  std::vector<uint32_t> crc32;  // of the blob's chunks; made when first needed

  // As it is told to the hub: the blob inside if it has at most `inline_max` bytes.
  wire::Envelope told(uint64_t inline_max);
};

// A reply to `message` that says why there is none.
KeptReply error_reply(const Metadata& message, std::string reason);
// A reply to `message` with what its app answered.  Who it is from and to whom is not the app's to
// say.
KeptReply app_reply(const Metadata& message, wire::Envelope answer, Buffer blob,
                    std::vector<uint32_t> crc32);

}  // namespace umbel::supernode
