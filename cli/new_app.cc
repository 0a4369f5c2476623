#include "new_app.h"

#include <unistd.h>
#include <algorithm>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "manifest.h"
#include "templates.h"
#include "umbel/base/text.h"

namespace umbel::cli {

namespace fs = std::filesystem;

namespace {

std::string filled_in(std::string_view content, std::string_view name, std::string_view publisher) {
  std::string text(content);
  const std::pair<std::string_view, std::string_view> words[] = {{"@APP_NAME@", name},
                                                                 {"@PUBLISHER@", publisher}};
  for (const auto& [word, value] : words) {
    for (size_t at = 0; (at = text.find(word, at)) != std::string::npos; at += value.size()) {
      text.replace(at, word.size(), value);
    }
  }
  return text;
}

// A folder beside the one to come, removed unless it was renamed to it.
class FolderInTheMaking {
 public:
  explicit FolderInTheMaking(const fs::path& target) : target_(target) {}
  ~FolderInTheMaking() {
    std::error_code ignored;
    if (!made_.empty()) fs::remove_all(made_, ignored);
  }
  FolderInTheMaking(const FolderInTheMaking&) = delete;

  Status create() {
    std::error_code error;
    fs::create_directories(target_.parent_path(), error);
    std::string pattern = target_.string() + ".tmp-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) return failed("cannot make a folder beside it");
    made_ = pattern;
    fs::permissions(made_, fs::perms(0755), error);
    return absl::OkStatus();
  }
  Status add(const fs::path& path, const std::string& content) {
    std::error_code error;
    fs::create_directories((made_ / path).parent_path(), error);
    std::ofstream file(made_ / path, std::ios::binary);
    file.write(content.data(), static_cast<std::streamsize>(content.size()));
    file.close();
    return file ? absl::OkStatus() : failed("cannot write " + path.string());
  }
  Status put_in_place() {
    // rename() replaces an empty folder, and refuses one that has something in it.
    if (rename(made_.c_str(), target_.c_str()) != 0) return failed("cannot make it");
    made_.clear();
    return absl::OkStatus();
  }

 private:
  Status failed(std::string_view what) const {
    return unavailable("{}: {}: {}; nothing was written", target_.string(), what,
                       std::strerror(errno));
  }

  fs::path target_, made_;
};

Status check_folder(const fs::path& folder) {
  std::error_code error;
  const fs::file_status status = fs::symlink_status(folder, error);
  if (!fs::exists(status)) return absl::OkStatus();
  if (!fs::is_directory(status)) {
    return failed_precondition("{}: is there already and is no folder", escaped(folder.string()));
  }
  if (!fs::is_empty(folder, error) || error) {
    return failed_precondition("{}: is there already and is not empty; nothing was written",
                               escaped(folder.string()));
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<std::string> template_names() {
  std::vector<std::string> names;
  for (const TemplateFile& file : template_files()) {
    if (names.empty() || names.back() != file.template_name) names.emplace_back(file.template_name);
  }
  std::ranges::sort(names);  // the files are sorted by path, where "cpp-torch/" is before "cpp/"
  return names;
}

TemplateNotes notes_on(std::string_view template_name) {
  const std::pair<std::string_view, TemplateNotes> all[] = {
      {"cpp", {"C++: a neural network on Fashion-MNIST, with Eigen", "", ""}},
      {"cpp-torch", {"C++: a convolutional network on Fashion-MNIST, with LibTorch", "", ""}},
      {"flower", {"Python: an app for Flower, which runs as it is", "", ""}},
      {"jax", {"Python: a neural network, with JAX", "jax", "jax"}},
      {"numpy", {"Python: with NumPy alone, to read first", "", ""}},
      {"pytorch", {"Python: a convolutional network, with PyTorch", "torch", "torch"}},
      {"sklearn", {"Python: a classifier, with scikit-learn", "sklearn", "scikit-learn"}},
      {"tensorflow",
       {"Python: a network in Keras, with TensorFlow", "tensorflow", "tensorflow-cpu"}},
      {"xgboost", {"Python: boosted trees, with XGBoost", "xgboost", "xgboost"}}};
  for (const auto& [name, notes] : all) {
    if (name == template_name) return notes;
  }
  return {};
}

bool is_python_template(std::string_view template_name) {
  return std::ranges::any_of(template_files(), [&](const TemplateFile& file) {
    return file.template_name == template_name && file.path.ends_with(".py");
  });
}

Status make_app(std::string_view template_name, const fs::path& folder, std::string_view name,
                std::string_view publisher) {
  UMBEL_RETURN_IF_ERROR(check_app_name("name", name));
  UMBEL_RETURN_IF_ERROR(check_app_name("publisher", publisher));
  std::string all;
  bool known = false;
  const std::vector<std::string> names = template_names();
  for (const std::string& one : names) {
    all += (all.empty() ? "" : ", ") + one;
    known = known || one == template_name;
  }
  if (!known) {
    return invalid_argument("template \"{}\": no such template{}; there are: {}",
                            escaped(template_name), did_you_mean(template_name, names), all);
  }
  fs::path target = fs::absolute(folder).lexically_normal();
  if (!target.has_filename()) target = target.parent_path();
  UMBEL_RETURN_IF_ERROR(check_folder(target));
  FolderInTheMaking making(target);
  UMBEL_RETURN_IF_ERROR(making.create());
  for (const TemplateFile& file : template_files()) {
    if (file.template_name != template_name) continue;
    UMBEL_RETURN_IF_ERROR(making.add(file.path, filled_in(file.content, name, publisher)));
  }
  return making.put_in_place();
}

}  // namespace umbel::cli
