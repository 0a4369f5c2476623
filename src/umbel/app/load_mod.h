#pragma once

#include <filesystem>
#include <string_view>

#include "umbel/app/client_app.h"

namespace umbel {

// A mod from a shared library that speaks the interface of app/mod_abi.h:
//
//   client.mod(umbel::load_mod("./clip.so", "max-norm=1"));
//
// The library is loaded into this process and stays as long as copies of the mod live; its code has
// all the rights that the app has, so load only what you trust.  A path without "/" is looked for
// where the system keeps its libraries.
//
// umbel::Error: a library that cannot be loaded or is no mod, one for a newer interface, or
// settings that it refuses.
ClientApp::Mod load_mod(const std::filesystem::path& library, std::string_view settings = "");

}  // namespace umbel
