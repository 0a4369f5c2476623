#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace umbel::cli {

// A source in C++ or, if its name ends in .py, in Python, as rules look at it.  This is reading,
// not compiling: macros and generated code are not seen through.
struct Source {
  struct Literal {
    size_t at = 0;  // of its first character, in `text`
    std::string_view text;
  };

  Source(std::string path, std::string text);
  Source(Source&&) = delete;  // literals point into the text

  int line_of(size_t at) const;
  std::string place(size_t at) const;  // "main.cc:12"
  // Where `word` stands in the code as a whole word, from `from` on; npos if it does not.
  size_t find_word(std::string_view word, size_t from = 0) const;
  // The code from the bracket at `open` to the one that closes it, both included; "" if none does.
  std::string_view bracketed(size_t open) const;

  bool is_python() const { return path.ends_with(".py"); }

  std::string path;               // within the app
  std::string text;               // as it is
  std::string code;               // comments and the insides of literals are blanks; as long
  std::vector<Literal> literals;  // of text
};

// The parts of a source that run at clients: the functions and lambdas given to a ClientApp's
// train(), evaluate() and query().  Offsets into `code`.
struct Extent {
  size_t begin = 0, end = 0;
};
std::vector<Extent> client_code(const Source& source);

// Where something is asked for a key by its name, such as x.real("rate"), in Python x["rate"]
// (item) and x.get("rate") (contains).
struct KeyRead {
  std::string_view call;  // integer, real, boolean, text, item or contains
  std::string_view key;
  size_t at = 0;             // of the key, in `text`
  bool of_settings = false;  // x is run_config() or surely a RunConfig: metrics have such names too
};
std::vector<KeyRead> key_reads(const Source& source);

}  // namespace umbel::cli
