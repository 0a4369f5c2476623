#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "umbel/base/status.h"

namespace umbel::cli {

std::vector<std::string> template_names();

// Writes a new app: the template's files with @APP_NAME@ and @PUBLISHER@ replaced.  All of it is
// there under `folder` or nothing is; a folder with anything in it is refused.
Status make_app(std::string_view template_name, const std::filesystem::path& folder,
                std::string_view name, std::string_view publisher);

}  // namespace umbel::cli
