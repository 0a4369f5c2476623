#pragma once

#include <string>
#include <string_view>

#include "umbel/bundle/bundle.h"

namespace umbel::bundle {

// The first entries of a bundle, in the one spelling that each has: reading is parsing, writing
// again and comparing, so that nothing hides in a second meaning.

inline constexpr const char* kListName = "umbel-bundle.json";
inline constexpr const char* kSignatureName = "umbel-bundle.sig";
inline constexpr size_t kListBytesMax = 4 << 20;
inline constexpr size_t kSignatureBytesMax = 512;

// INVALID_ARGUMENT for a publisher, name or version that bundle.h does not allow, and for a list of
// files that is not in order, has one of them twice or under two spellings, a file that is a
// folder as well, a name of ours, a program that is not among them; RESOURCE_EXHAUSTED for limits.
Status check_list(const Description& description, const std::vector<Bundle::File>& files);

// Requires a list that check_list() takes.
std::string format_list(const Description& description, const std::vector<Bundle::File>& files);
struct List {
  Description description;
  std::vector<Bundle::File> files;
};
Result<List> parse_list(std::string_view text);

// Over the list's bytes, with the publisher's key.
std::string format_signature(std::string_view list, const PrivateKey& signer);
// Whose signature it is; INVALID_ARGUMENT if it is not that of this list.
Result<PublicKey> check_signature(std::string_view text, std::string_view list);

}  // namespace umbel::bundle
