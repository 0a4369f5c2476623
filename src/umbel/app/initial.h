#pragma once

#include <filesystem>
#include <string>

#include "umbel/app/grid.h"
#include "umbel/record/record.h"

namespace umbel {

// Where a run's first weights come from, besides a function of its seed: a file, or one client.
// All throw umbel::Error.

// The arrays of a .safetensors or .npz file (by the name's end), mapped where the format allows it:
// the file must not shrink meanwhile.  INVALID_ARGUMENT or NOT_FOUND that names the file.
ArrayRecord load_arrays(const std::filesystem::path& path);
// The arrays of the file that `like` has, in its order; others in the file are left out.
// INVALID_ARGUMENT that names file and tensor for one that is missing or has another dtype or
// shape.
ArrayRecord load_arrays(const std::filesystem::path& path, const ArrayRecord& like);

// The arrays with which one client answers a query: ClientApp::query("init", ...) for action
// "init", or query(...) for "".  Waits for `deadline`; the error is the client's own where it has
// one, and names the client.
ArrayRecord arrays_from_node(Grid& grid, NodeId node, const std::string& action,
                             Deadline deadline = {});

}  // namespace umbel
