#pragma once

#include <string>
#include <string_view>

namespace umbel::cli {

// Makes lines of what a pipe delivers.  A line longer than `bytes_max` is handed on in pieces;
// `cut` tells that the piece is not the line's end.
class LineSplitter {
 public:
  explicit LineSplitter(size_t bytes_max) : bytes_max_(bytes_max) {}

  template <class Line>  // void(std::string_view line, bool cut)
  void feed(std::string_view text, Line&& line) {
    while (!text.empty()) {
      const size_t end = text.find('\n');
      const size_t room = bytes_max_ - kept_.size();
      if (end != std::string_view::npos && end <= room) {
        kept_.append(text.substr(0, end));
        text.remove_prefix(end + 1);
        hand_on(line, false);
      } else if (text.size() > room) {
        kept_.append(text.substr(0, room));
        text.remove_prefix(room);
        hand_on(line, true);
      } else {
        kept_.append(text);
        text = {};
      }
    }
  }
  // What came after the last line end, if anything did.
  template <class Line>
  void finish(Line&& line) {
    if (!kept_.empty()) hand_on(line, false);
  }

 private:
  template <class Line>
  void hand_on(Line& line, bool cut) {
    line(std::string_view(kept_), cut);
    kept_.clear();
  }

  size_t bytes_max_;
  std::string kept_;
};

}  // namespace umbel::cli
