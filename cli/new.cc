#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "app_process.h"
#include "commands.h"
#include "manifest.h"
#include "new_app.h"
#include "umbel/base/text.h"
#include "umbel/bundle/interpreter.h"

namespace umbel::cli {

namespace {

// One answer from the terminal; FAILED_PRECONDITION at its end (Ctrl-D).
Result<std::string> ask(const std::string& question) {
  std::cerr << question << std::flush;
  std::string answer;
  if (!std::getline(std::cin, answer)) return failed_precondition("no answer; nothing was written");
  return answer;
}

Status ask_name(NewOptions& options) {
  while (options.name.empty()) {
    UMBEL_ASSIGN_OR_RETURN(const std::string answer, ask("Name of the app: "));
    const Status status = check_app_name("name", answer);
    if (status.ok()) options.name = answer;
    if (!status.ok()) std::cerr << message_of(status) << "\n";
  }
  return absl::OkStatus();
}

Status ask_template(NewOptions& options) {
  const std::vector<std::string> names = template_names();
  std::string list = "Templates:\n";
  for (const std::string& name : names) {
    list += fmt::format("  {:12} {}\n", name, notes_on(name).line);
  }
  std::cerr << list;
  while (options.template_name.empty()) {
    UMBEL_ASSIGN_OR_RETURN(std::string answer, ask(fmt::format("Template [{}]: ", names.front())));
    if (answer.empty()) answer = names.front();
    for (const std::string& name : names) {
      if (name == answer) options.template_name = name;
    }
    if (options.template_name.empty()) {
      std::cerr << "no such template" << did_you_mean(answer, names) << "\n";
    }
  }
  return absl::OkStatus();
}

// What the new app needs and the interpreter that would run it does not have.
std::string missing_package(const NewOptions& options, SignalWatch& signals) {
  if (!is_python_template(options.template_name)) return "";
  const auto python = bundle::find_interpreter({.given = options.python});
  if (!python.ok()) return message_of(python.status());
  const TemplateNotes notes = notes_on(options.template_name);
  if (notes.module.empty()) return "";
  ChildCommand command;
  command.arguments = {python->program.string(), "-c",
                       fmt::format("import importlib.util as u, sys; "
                                   "sys.exit(0 if u.find_spec('{}') else 3)",
                                   notes.module)};
  command.folder = "/";
  command.environment = bundle::python_environment(*python, true);
  const auto status = run_to_end(command, signals);
  if (!status.ok() || !WIFEXITED(*status) || WEXITSTATUS(*status) != 3) return "";
  return fmt::format("{0} has no {1} yet: `{0} -m pip install {1}`", python->program.string(),
                     notes.package);
}

Status complete(NewOptions& options, bool may_ask) {
  if (options.name.empty()) {
    if (!may_ask) return invalid_argument("NAME is missing: umbel new NAME --template TEMPLATE");
    UMBEL_RETURN_IF_ERROR(ask_name(options));
  }
  if (options.template_name.empty()) {
    if (!may_ask) {
      std::string list;
      for (const std::string& name : template_names()) list += (list.empty() ? "" : ", ") + name;
      return invalid_argument("--template is missing; there are: {}", list);
    }
    UMBEL_RETURN_IF_ERROR(ask_template(options));
  }
  if (options.publisher.empty()) options.publisher = "example";
  if (options.directory.empty()) options.directory = options.name;
  return absl::OkStatus();
}

}  // namespace

int run_new(const NewOptions& given, const Output& output) {
  NewOptions options = given;
  const bool may_ask =
      isatty(STDIN_FILENO) == 1 && is_terminal(stderr) && output.format() == Format::kText;
  Status status = complete(options, may_ask);
  if (status.ok()) {
    status = make_app(options.template_name, options.directory, options.name, options.publisher);
  }
  if (!status.ok()) return output.fail(status);
  output.say(fmt::format("made {0} from the template {1}; next:\n  umbel run {0}",
                         options.directory, options.template_name));
  SignalWatch signals;
  const std::string missing = missing_package(options, signals);
  if (!missing.empty()) output.say(missing);
  output.result({{"app", options.name},
                 {"template", options.template_name},
                 {"directory", std::filesystem::absolute(options.directory).string()},
                 {"missing", missing.empty() ? Json(nullptr) : Json(missing)}});
  return kDone;
}

}  // namespace umbel::cli
