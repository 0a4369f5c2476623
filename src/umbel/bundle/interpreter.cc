#include "umbel/bundle/interpreter.h"

#include <unistd.h>

#include <cstdlib>
#include <system_error>

#include "umbel/base/text.h"

namespace umbel::bundle {

namespace fs = std::filesystem;

namespace {

// In words that any Python understands, of any age; %V is umbel's version, %M the module.
constexpr std::string_view kStart = R"(import os, sys
here = os.getcwd()
if sys.path and sys.path[0] == '': del sys.path[0]
def stop(why):
    import json
    other = 'or name another interpreter with --python or UMBEL_PYTHON'
    why = '%s: %s; %s' % (sys.executable, why, other)
    sys.stderr.write(why + '\n')
    if 'UMBEL_EVENTS_FD' in os.environ:
        event = {'event': 'finished', 'status': 'failed', 'error': why, 'exit-code': 4}
        os.write(int(os.environ['UMBEL_EVENTS_FD']), (json.dumps(event) + '\n').encode())
    sys.exit(4)
if sys.version_info < (3, 10):
    stop('is Python %d.%d, Umbel needs 3.10 or newer' % sys.version_info[:2])
pip = '`%s -m pip install ' % sys.executable
try:
    import umbel
    version = getattr(umbel, '__version__', None)
    if version is None: stop('has something else as umbel: %sumbel==%V` installs it' % pip)
    import umbel._core
except ImportError as error:
    import importlib.util
    name, found = error.name or 'umbel', importlib.util.find_spec('umbel')
    folder = os.path.dirname(found.origin or '') if found else ''
    made = [file for file in os.listdir(folder or '.') if file.startswith('_core.')]
    if folder and name == 'umbel._core' and made:
        facts = sys.version_info[0], sys.version_info[1], folder, ', '.join(made), pip
        stop('is Python %d.%d, and umbel in %s was compiled for another (%s): '
             '%sumbel==%V` installs one' % facts)
    what = 'umbel==%V' if name.split('.')[0] == 'umbel' else name
    stop('cannot import umbel: %s: %s%s` installs it' % (error, pip, what))
if version != '%V':
    stop('has umbel %s, this is %V: %sumbel==%V` installs it' % (version, pip))
import runpy
sys.path.insert(0, here)
if '%M': runpy.run_module('%M', run_name='__main__', alter_sys=True)
)";

constexpr const char* kThreadVariables[] = {
    "OMP_NUM_THREADS",     "OPENBLAS_NUM_THREADS",   "MKL_NUM_THREADS",       "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"};

const char* variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != 0 ? value : nullptr;
}

bool is_program(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored) && access(path.c_str(), X_OK) == 0;
}

// What a shell would start by this name.
fs::path on_path(const std::string& name) {
  const char* path = variable("PATH");
  const std::string folders = path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin";
  for (size_t at = 0; at <= folders.size();) {
    const size_t end = std::min(folders.find(':', at), folders.size());
    const fs::path candidate = fs::path(folders.substr(at, end - at)) / name;
    if (end != at && is_program(candidate)) return candidate;
    at = end + 1;
  }
  return {};
}

// What the user named, by an option or a variable.
Result<fs::path> named(const std::string& name, std::string_view origin) {
  const fs::path path = name.find('/') != std::string::npos ? fs::path(name) : on_path(name);
  if (is_program(path)) return path;
  return not_found("{} {}: no such interpreter, or none that can be started", origin,
                   escaped(name));
}

std::string replaced(std::string_view text, std::string_view word, std::string_view value) {
  std::string out(text);
  for (size_t at = 0; (at = out.find(word, at)) != std::string::npos; at += value.size()) {
    out.replace(at, word.size(), value);
  }
  return out;
}

}  // namespace

Result<Interpreter> find_interpreter(const InterpreterSearch& search) {
  std::error_code ignored;
  const fs::path self =
      search.self.empty() ? fs::read_symlink("/proc/self/exe", ignored) : search.self;
  const fs::path beside = self.parent_path(), tree = beside.parent_path();
  const char* chosen = variable("UMBEL_PYTHON");
  const char* environment = search.of_user ? variable("VIRTUAL_ENV") : nullptr;
  Interpreter found;
  if (!search.given.empty()) {
    found.origin = "--python";
    UMBEL_ASSIGN_OR_RETURN(found.program, named(search.given, found.origin));
  } else if (chosen != nullptr) {
    found.origin = "UMBEL_PYTHON";
    UMBEL_ASSIGN_OR_RETURN(found.program, named(chosen, found.origin));
  } else {
    const std::pair<const char*, fs::path> places[] = {
        {"VIRTUAL_ENV", environment != nullptr ? fs::path(environment) / "bin" / "python" : ""},
        {"beside umbel", beside / "python3"},
        {"the build's", tree / "python-env" / "bin" / "python"},
        {"PATH", on_path("python3")}};
    for (const auto& [origin, program] : places) {
      if (!found.program.empty() || !is_program(program)) continue;
      found.program = program;
      found.origin = origin;
    }
  }
  if (found.program.empty()) {
    return not_found(
        "there is no Python interpreter: install Python 3.10 or newer, or name one with --python "
        "or UMBEL_PYTHON");
  }
  found.program = fs::absolute(found.program, ignored).lexically_normal();
  const fs::path package = tree / "python";
  if (fs::is_regular_file(package / "umbel" / "__init__.py", ignored)) found.package = package;
  return found;
}

std::vector<std::string> python_command(const Interpreter& python, const std::string& module,
                                        const std::vector<std::string>& arguments) {
  const std::string start = replaced(replaced(kStart, "%V", UMBEL_VERSION), "%M", module);
  std::vector<std::string> command = {python.program.string(), "-c", start};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return command;
}

std::vector<std::string> entry_arguments(const PythonEntry& entry, PythonSides sides) {
  std::vector<std::string> arguments;
  if (!entry.server.empty() && sides != PythonSides::kClient) {
    arguments.insert(arguments.end(), {"--server", entry.server});
  }
  if (!entry.client.empty() && sides != PythonSides::kServer) {
    arguments.insert(arguments.end(), {"--client", entry.client});
  }
  if (entry.flower) arguments.emplace_back("--flower");
  return arguments;
}

std::vector<std::pair<std::string, std::string>> python_environment(const Interpreter& python,
                                                                    bool of_user) {
  std::vector<std::pair<std::string, std::string>> environment;
  for (const char* name : kThreadVariables) {
    const char* value = variable(name);
    environment.emplace_back(name, value != nullptr ? value : "1");
  }
  const char* said = variable("TF_CPP_MIN_LOG_LEVEL");  // of TensorFlow's, from warnings on
  environment.emplace_back("TF_CPP_MIN_LOG_LEVEL", said != nullptr ? said : "1");
  const char* hashes = variable("PYTHONHASHSEED");  // of texts, and with them the order of sets
  environment.emplace_back("PYTHONHASHSEED", hashes != nullptr ? hashes : "0");
  std::string path = python.package.string();
  if (const char* own = of_user ? variable("PYTHONPATH") : nullptr) {
    path += (path.empty() ? "" : ":") + std::string(own);
  }
  if (!path.empty()) environment.emplace_back("PYTHONPATH", path);
  if (!of_user) environment.emplace_back("PYTHONDONTWRITEBYTECODE", "1");
  return environment;
}

}  // namespace umbel::bundle
