#pragma once

#include <cstdio>
#include <string>
#include <string_view>

#include "exit_code.h"
#include "json_records.h"
#include "options.h"

namespace umbel::cli {

// Where a command's words go.  As text: to standard output.  With --format json: one object as the
// last line of standard output, and everything meant for people to standard error.
class Output {
 public:
  explicit Output(Format format) : format_(format) {}

  Format format() const { return format_; }
  FILE* stream() const { return format_ == Format::kText ? stdout : stderr; }
  // One line, or several, for people.  A line end is added.
  void say(std::string_view text) const;
  // A command's last word: the object if JSON was asked for.
  void result(const Json& object) const;
  // What is wrong, to standard error (and as {"error", "exit-code"}); returns the exit code.
  int fail(const Status& status) const { return fail(message_of(status), exit_code_of(status)); }
  int fail(std::string_view message, int exit_code) const;
  // `link` is the one that the command was for, or "".
  int fail_on(const std::string& link, const Status& status) const {
    return fail(message_of(status),
                link.empty() ? exit_code_of(status) : exit_code_on_link(status));
  }

 private:
  Format format_;
};

// Flushes standard output; false if somebody who wants to read it cannot (a full disk; a reader who
// left early, as `head` does, is no failure).
bool flush_output();

bool is_terminal(FILE* stream);
// The terminal's columns, 80 if that cannot be known.
int terminal_columns(FILE* stream);
// True if the locale's characters are UTF-8.
bool locale_is_utf8();

}  // namespace umbel::cli
