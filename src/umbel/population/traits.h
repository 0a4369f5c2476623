#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "umbel/base/status.h"

namespace umbel {

// A property that sorts clients into categories: "gender", {"men", "women"}, {0.97, 0.03}.
struct Attribute {
  std::string name;
  std::vector<std::string> categories;
  std::vector<double> shares;  // of all clients, in the mean; they sum to 1
};

// What is known of clients before they are asked.  Any threads.
class Traits {
 public:
  virtual ~Traits() = default;
  virtual std::span<const Attribute> attributes() const = 0;
  // The index of the client's category in attributes()[attribute].categories.
  virtual size_t category(uint64_t client, size_t attribute) const = 0;
};

// The attribute's index.  NOT_FOUND names the attributes there are; where nothing is known of
// clients (nullptr) it says where that comes from.
Result<size_t> find_attribute(const Traits* traits, std::string_view name);
// The category's index in its attribute; NOT_FOUND names the categories there are.
Result<size_t> find_category(const Attribute& attribute, std::string_view category);

// The clients that a draw is from: 0 to clients - 1, of whom `available` says who can be asked now;
// empty: all of them.
struct Pool {
  uint64_t clients = 0;
  const Traits* traits = nullptr;
  std::function<bool(uint64_t)> available = {};
};

}  // namespace umbel
