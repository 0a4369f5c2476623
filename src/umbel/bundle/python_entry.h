#pragma once

#include <string>
#include <string_view>

#include "umbel/base/status.h"

namespace umbel::bundle {

// Where an app's Python objects are, "package.module:object" each; "": that side is not in Python.
struct PythonEntry {
  std::string server, client;
  bool flower = false;  // written against Flower's API, which its process then has by an alias
  bool empty() const { return server.empty() && client.empty(); }
  friend bool operator==(const PythonEntry&, const PythonEntry&) = default;
};

// The rules for a module, and for a module with an object in it: names of ASCII letters, digits
// and _, joined by dots, 255 bytes at most.
Status check_python_module(std::string_view text);
Status check_python_object(std::string_view text);

}  // namespace umbel::bundle
