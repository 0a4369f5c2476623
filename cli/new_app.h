#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "umbel/base/status.h"

namespace umbel::cli {

std::vector<std::string> template_names();

// What a template is, in a line, and what it needs in its interpreter besides Umbel; "": nothing
// that is known of.
struct TemplateNotes {
  std::string_view line, module, package;  // "import sklearn", of the package scikit-learn
};
TemplateNotes notes_on(std::string_view template_name);
// Whether a template's app is in Python.
bool is_python_template(std::string_view template_name);

// Writes a new app: the template's files with @APP_NAME@ and @PUBLISHER@ replaced.  All of it is
// there under `folder` or nothing is; a folder with anything in it is refused.
Status make_app(std::string_view template_name, const std::filesystem::path& folder,
                std::string_view name, std::string_view publisher);

}  // namespace umbel::cli
