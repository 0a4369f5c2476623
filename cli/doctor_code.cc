#include <algorithm>

#include "doctor_subject.h"

namespace umbel::cli {

namespace {

// A program beside the app, such as the script that it was made of.
bool is_program_of_its_own(const Source& source) {
  const size_t at = source.find_word("main");
  return source.find_word("UMBEL_MAIN") == std::string::npos && at != std::string::npos &&
         std::string_view(source.code).substr(0, at).ends_with("int ") &&
         source.code.substr(at).starts_with("main(");
}

// Reports where each of the words stands in the code of the app, once a source.
void check_words(const Subject& subject, Findings& findings,
                 std::initializer_list<std::string_view> words, bool also_python = false) {
  if (!subject.app) return;
  for (const Source& source : subject.app->sources) {
    if (is_program_of_its_own(source) || (source.is_python() && !also_python)) continue;
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
      if (is_path_of_one_machine(literal.text)) {
        findings.add(source.place(literal.at), fmt::format("\"{}\"", literal.text));
      }
    }
  }
}

void client_saves(const Subject& subject, Findings& findings) {
  if (!subject.app) return;
  for (const Source& source : subject.app->sources) {
    if (source.is_python()) continue;
    for (const Extent& extent : client_code(source)) {
      for (const std::string_view call : {".save(", ".publish("}) {
        const size_t at = source.code.find(call, extent.begin);
        if (at < extent.end) findings.add(source.place(at), std::string(call.substr(1)) + "...)");
      }
    }
  }
}

void sleeps(const Subject& subject, Findings& findings) {
  check_words(subject, findings, {"sleep_for", "sleep_until", "usleep", "sleep"}, true);
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

void never_evaluated(const Subject& subject, Findings& findings) {
  if (!subject.app || !subject.app->code_has("run_rounds")) return;
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
      {"D047", Severity::kWarning, "the app never evaluates the model",
       "give run_rounds() an evaluate function, or the strategy clients_evaluate", never_evaluated},
  };
}

}  // namespace umbel::cli
