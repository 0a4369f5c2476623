#include <unistd.h>

#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "manifest.h"
#include "new_app.h"
#include "umbel/base/text.h"

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
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
  while (options.template_name.empty()) {
    UMBEL_ASSIGN_OR_RETURN(std::string answer,
                           ask(fmt::format("Template ({}) [{}]: ", list, names.front())));
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
  output.result({{"app", options.name},
                 {"template", options.template_name},
                 {"directory", std::filesystem::absolute(options.directory).string()}});
  return kDone;
}

}  // namespace umbel::cli
