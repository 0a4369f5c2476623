#include <algorithm>

#include "doctor_subject.h"

namespace umbel::cli {

namespace {

constexpr std::string_view kSpaces = " \t";

// "a.b" as files of the app may have it.
std::vector<std::string> files_of(std::string_view module) {
  std::string path(module);
  std::ranges::replace(path, '.', '/');
  return {path + ".py", path + "/__init__.py", "src/" + path + ".py",
          "src/" + path + "/__init__.py"};
}

bool has_file(const AppSubject& app, std::string_view path) {
  return std::ranges::any_of(app.files, [&](const AppFile& file) { return file.path == path; });
}

const Source* source_of(const AppSubject& app, std::string_view module) {
  for (const std::string& path : files_of(module)) {
    const auto at = std::ranges::find(app.sources, path, &Source::path);
    if (at != app.sources.end()) return &*at;
  }
  return nullptr;
}

// A module, or a folder with modules in it.
bool is_in_app(const AppSubject& app, std::string_view module) {
  const auto files = files_of(module);
  if (std::ranges::any_of(files, [&](const auto& path) { return has_file(app, path); }))
    return true;
  const std::string folder = files[0].substr(0, files[0].size() - 3) + "/";
  return std::ranges::any_of(app.files, [&](const AppFile& file) {
    return file.path.starts_with(folder) || file.path.starts_with("src/" + folder);
  });
}

struct EntryPoint {
  std::string place, module, object;
};
std::vector<EntryPoint> entry_points(const AppSubject& app) {
  std::vector<EntryPoint> points;
  if (!app.manifest.ok()) return points;
  const bundle::PythonEntry& python = app.manifest->python;
  const bool together = !app.place("entry", "python").ends_with(".toml");
  const std::pair<const char*, const std::string*> sides[] = {{"python-server", &python.server},
                                                              {"python-client", &python.client}};
  for (const auto& [key, object] : sides) {
    const size_t colon = object->find(':');
    if (colon == std::string::npos) continue;
    points.push_back({app.place("entry", together ? "python" : key), object->substr(0, colon),
                      object->substr(colon + 1)});
  }
  return points;
}

void entry_module(const Subject& subject, Findings& findings) {
  if (!subject.app) return;
  std::string last;
  for (const EntryPoint& point : entry_points(*subject.app)) {
    if (point.module != last && !is_in_app(*subject.app, point.module)) {
      findings.add(point.place, "no " + files_of(point.module)[0]);
    }
    last = point.module;
  }
}

void entry_object(const Subject& subject, Findings& findings) {
  if (!subject.app) return;
  for (const EntryPoint& point : entry_points(*subject.app)) {
    const Source* source = source_of(*subject.app, point.module);
    const std::string first = point.object.substr(0, point.object.find('.'));
    if (source == nullptr || source->find_word(first) != std::string::npos) continue;
    if (source->code.find("import *") != std::string::npos) continue;
    findings.add(point.place, fmt::format("no {} in {}", first, source->path));
  }
}

// The line's words after `import` or `from`, if it is such a line: where they begin.
size_t import_at(const Source& source, size_t line) {
  const size_t at = source.code.find_first_not_of(kSpaces, line);
  for (const std::string_view word : {"from ", "import "}) {
    if (at != std::string::npos && source.code.compare(at, word.size(), word) == 0) {
      return at + word.size();
    }
  }
  return std::string::npos;
}

void imports(const Subject& subject, Findings& findings) {
  if (!subject.app) return;
  const AppSubject& app = *subject.app;
  for (const Source& source : app.sources) {
    if (!source.is_python()) continue;
    for (size_t line = 0; line < source.code.size();) {
      const size_t at = import_at(source, line);
      const size_t end = std::min(source.code.find('\n', line), source.code.size());
      line = end + 1;
      if (at == std::string::npos) continue;
      const size_t stop = source.code.find_first_of(" ,;\t\n", at);
      const std::string module = source.code.substr(at, stop - at);
      const std::string first = module.substr(0, module.find('.'));
      if (first.empty() || first == module || !is_in_app(app, first)) continue;
      if (!is_in_app(app, module)) findings.add(source.place(at), "no " + files_of(module)[0]);
    }
  }
}

// Calls of these names whose arguments are as `is_wrong` says.
template <class Wrong>
void check_calls(const Subject& subject, Findings& findings,
                 std::initializer_list<std::string_view> names, const Wrong& is_wrong) {
  if (!subject.app) return;
  for (const Source& source : subject.app->sources) {
    if (!source.is_python()) continue;
    for (const std::string_view name : names) {
      for (size_t at = 0; (at = source.find_word(name, at)) != std::string::npos;
           at += name.size()) {
        const size_t open = at + name.size();
        if (open >= source.code.size() || source.code[open] != '(') continue;
        const std::string_view arguments = source.bracketed(open);
        if (!arguments.empty() && is_wrong(arguments)) {
          findings.add(source.place(at), fmt::format("{}{}", name, arguments));
          break;
        }
      }
    }
  }
}

void clock_seeds(const Subject& subject, Findings& findings) {
  check_calls(subject, findings, {"default_rng", "RandomState", "PRNGKey"},
              [](std::string_view arguments) {
                return arguments == "()" || arguments.find("time") != std::string_view::npos;
              });
  check_calls(
      subject, findings, {"seed", "manual_seed", "set_seed"},
      [](std::string_view arguments) { return arguments.find("time") != std::string_view::npos; });
  check_calls(subject, findings, {"urandom", "SystemRandom", "token_bytes", "randbits"},
              [](std::string_view) { return true; });
}

void pickles(const Subject& subject, Findings& findings) {
  check_calls(subject, findings, {"load"}, [](std::string_view arguments) {
    return arguments.find("allow_pickle=True") != std::string_view::npos ||
           arguments.find("weights_only=False") != std::string_view::npos;
  });
  if (!subject.app) return;
  for (const Source& source : subject.app->sources) {
    if (!source.is_python()) continue;
    for (size_t line = 0; line < source.code.size();) {
      const size_t at = import_at(source, line);
      line = std::min(source.code.find('\n', line), source.code.size()) + 1;
      for (const std::string_view word : {"pickle", "cPickle", "dill", "cloudpickle", "joblib"}) {
        if (at != std::string::npos && source.find_word(word, at) == at) {
          findings.add(source.place(at), std::string(word));
        }
      }
    }
  }
}

}  // namespace

std::vector<Rule<Subject>> python_rules() {
  return {
      {"D080", Severity::kError, "a module that [entry] names is not there",
       "name it as Python does, from the app's folder: my_app.app is my_app/app.py", entry_module},
      {"D081", Severity::kError, "a module has no object of the name that [entry] gives",
       "python = \"app\" is for app.server and app.client; with other names there are "
       "python-server "
       "and python-client",
       entry_object},
      {"D082", Severity::kError, "a source imports a module of the app that is not there",
       "correct the name, or add the file", imports},
      {"D083", Severity::kWarning, "randomness that no seed of the run governs",
       "use context.rng(), or seed with context.seed: the same seed has to give the same model",
       clock_seeds},
      {"D084", Severity::kWarning, "a source reads pickles, which run what they say",
       "use .npz or .safetensors for arrays, and torch.load(..., weights_only=True)", pickles},
  };
}

}  // namespace umbel::cli
