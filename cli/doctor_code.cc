#include <algorithm>

#include "doctor_subject.h"

namespace umbel::cli {

namespace {

bool is_path_root(std::string_view text) {
  for (const std::string_view root : {"/home/", "/Users/", "/root/", "/mnt/", "/media/", "/tmp/",
                                      "/srv/", "/data/", "/opt/", "/var/", "C:\\", "D:\\"}) {
    if (text.starts_with(root)) return true;
  }
  return false;
}

// Reports where each of the words stands in the code, once a source.
void check_words(const Subject& subject, Findings& findings,
                 std::initializer_list<std::string_view> words) {
  if (!subject.app) return;
  for (const Source& source : subject.app->sources) {
    for (const std::string_view word : words) {
      const size_t at = source.find_word(word);
      if (at != std::string::npos) findings.add(source.place(at), std::string(word));
    }
  }
}

void random_device(const Subject& subject, Findings& findings) {
  check_words(subject, findings, {"random_device"});
}

void c_random(const Subject& subject, Findings& findings) {
  check_words(subject, findings, {"rand", "srand", "random_shuffle", "drand48"});
}

void paths(const Subject& subject, Findings& findings) {
  if (!subject.app) return;
  for (const Source& source : subject.app->sources) {
    for (const Source::Literal& literal : source.literals) {
      if (is_path_root(literal.text)) {
        findings.add(source.place(literal.at), fmt::format("\"{}\"", literal.text));
      }
    }
  }
}

void client_saves(const Subject& subject, Findings& findings) {
  if (!subject.app) return;
  for (const Source& source : subject.app->sources) {
    for (const Extent& extent : client_code(source)) {
      for (const std::string_view call : {".save(", ".publish("}) {
        const size_t at = source.code.find(call, extent.begin);
        if (at < extent.end) findings.add(source.place(at), std::string(call.substr(1)) + "...)");
      }
    }
  }
}

void sleeps(const Subject& subject, Findings& findings) {
  check_words(subject, findings, {"sleep_for", "sleep_until", "usleep", "sleep"});
}

void prints(const Subject& subject, Findings& findings) {
  check_words(subject, findings, {"cout", "cerr", "printf", "puts"});
}

void private_key(const Subject& subject, Findings& findings) {
  if (!subject.app) return;
  for (const Source& source : subject.app->sources) {
    const size_t at = source.text.find("-----BEGIN ");
    if (at != std::string::npos && source.text.find("PRIVATE KEY-----", at) != std::string::npos) {
      findings.add(source.place(at), "a private key");
    }
    for (const Source::Literal& literal : source.literals) {
      for (const std::string_view known : {"AKIA", "ghp_", "glpat-", "xoxb-", "hf_"}) {
        const bool token = literal.text.starts_with(known) && literal.text.size() >= 20 &&
                           literal.text.find(' ') == std::string_view::npos;
        if (token) findings.add(source.place(literal.at), std::string(known) + "...");
      }
    }
  }
}

bool names_setting(const AppSubject& app, std::string_view key) {
  return std::ranges::any_of(app.sources, [&](const Source& source) {
    return std::ranges::any_of(source.literals,
                               [&](const Source::Literal& literal) { return literal.text == key; });
  });
}

void unread(const Subject& subject, Findings& findings) {
  if (!subject.app || !subject.app->manifest.ok() || subject.app->sources.empty()) return;
  for (const Setting& setting : subject.app->manifest->config) {
    if (!names_setting(*subject.app, setting.key)) findings.add(setting.origin, setting.key);
  }
}

// The call that a literal is the first argument of, such as "integer"; or "".
std::string_view call_of(const Source& source, const Source::Literal& literal) {
  const std::string_view code = source.code;
  size_t end = literal.at - 1;  // of the quote
  while (end > 0 && (code[end - 1] == ' ' || code[end - 1] == '\n')) --end;
  if (end == 0 || code[end - 1] != '(') return {};
  size_t begin = --end;
  while (begin > 0 &&
         ((code[begin - 1] >= 'a' && code[begin - 1] <= 'z') || code[begin - 1] == '_'))
    --begin;
  const bool of_object = begin > 0 && (code[begin - 1] == '.' || code[begin - 1] == '>');
  // What a message or a node's owner says is no setting of the run.
  const std::string_view object = code.substr(0, of_object ? begin - 1 : 0);
  const bool of_other = object.ends_with(".config()") || object.ends_with("node_config()");
  return of_object && !of_other ? code.substr(begin, end - begin) : std::string_view();
}

void missing(const Subject& subject, Findings& findings) {
  if (!subject.app || !subject.app->manifest.ok()) return;
  std::vector<std::string_view> optional, reported;
  for (const Source& source : subject.app->sources) {
    for (const Source::Literal& literal : source.literals) {
      if (call_of(source, literal) == "contains") optional.push_back(literal.text);
    }
  }
  for (const Source& source : subject.app->sources) {
    for (const Source::Literal& literal : source.literals) {
      const std::string_view call = call_of(source, literal);
      const bool read = call == "integer" || call == "real" || call == "boolean" || call == "text";
      const bool known = subject.app->setting({literal.text}) != nullptr ||
                         literal.text == "round" || literal.text == "proximal-mu" ||
                         std::ranges::count(optional, literal.text) != 0 ||
                         std::ranges::count(reported, literal.text) != 0;
      if (!read || known) continue;
      reported.push_back(literal.text);
      findings.add(source.place(literal.at), std::string(literal.text));
    }
  }
}

void never_evaluated(const Subject& subject, Findings& findings) {
  if (!subject.app || subject.app->sources.empty()) return;
  for (const Source& source : subject.app->sources) {
    if (source.code.find("evaluate") != std::string::npos) return;
  }
  findings.add("", "no source evaluates anything");
}

}  // namespace

std::vector<Rule<Subject>> code_rules() {
  return {
      {"D010", Severity::kError, "a source has a key or a token in it",
       "revoke it and take it out: sources go to the hub and to every node", private_key},
      {"D039", Severity::kWarning, "randomness that no seed governs",
       "use Context::rng(): the same seed has to give the same model", random_device},
      {"D040", Severity::kWarning, "C's random numbers are shared by all threads",
       "use Context::rng(), a generator for each client and message", c_random},
      {"D041", Severity::kWarning, "a path of one machine stands in a source",
       "read it from Context::node_config(), which each node's owner sets with --node-config",
       paths},
      {"D042", Severity::kError, "a client saves or publishes something",
       "only the ServerApp may: send it in the reply, or keep it in Context::state()",
       client_saves},
      {"D043", Severity::kWarning, "the app sleeps",
       "leave it out: a round waits for its slowest client", sleeps},
      {"D044", Severity::kHint, "the app prints instead of logging",
       "use Context::log(): its lines have the client's number, and a node's owner decides whether "
       "they leave",
       prints},
      {"D045", Severity::kWarning, "no source reads this setting",
       "take it out of [config], or correct its name", unread},
      {"D046", Severity::kError, "a source reads a setting that [config] lacks",
       "add it to [config] of umbel.toml", missing},
      {"D047", Severity::kWarning, "the app never evaluates the model",
       "give run_rounds() an evaluate function, or the strategy clients_evaluate", never_evaluated},
  };
}

}  // namespace umbel::cli
