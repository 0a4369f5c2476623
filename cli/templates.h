#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace umbel::cli {

// The files of templates/, put into the program by embed_templates.cmake; sorted by template, path.
struct TemplateFile {
  std::string_view template_name;
  std::string_view path;  // within the app
  std::string_view content;
};
std::span<const TemplateFile> template_files();

}  // namespace umbel::cli
