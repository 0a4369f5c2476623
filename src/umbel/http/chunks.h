#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "umbel/base/status.h"

namespace umbel::http {

// Takes a chunked body apart (RFC 9112, section 7.1), as its bytes arrive.  Extensions and trailers
// are refused: nobody here sends them.
class Chunks {
 public:
  struct Next {
    size_t used = 0;        // bytes of the input that are done with
    std::string_view data;  // content among them
    bool end = false;       // the body is over
  };
  // Uses what it can of `input`; used == 0 (and not at the end) means that more is needed first.
  Result<Next> next(std::string_view input);

 private:
  uint64_t left_ = 0;      // of the chunk
  bool in_chunk_ = false;  // its data or the line end behind it
};

}  // namespace umbel::http
