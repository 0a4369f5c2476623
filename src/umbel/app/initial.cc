#include "umbel/app/initial.h"

#include <utility>
#include <vector>

#include "umbel/base/text.h"
#include "umbel/record/npz.h"
#include "umbel/record/safetensors.h"

namespace umbel {

namespace {

Result<ArrayRecord> read(const std::filesystem::path& path) {
  if (path.extension() == ".safetensors") return read_safetensors(path);
  if (path.extension() == ".npz") return read_npz(path);
  return invalid_argument("expected a name that ends in .safetensors or .npz");
}

}  // namespace

ArrayRecord load_arrays(const std::filesystem::path& path) {
  Result<ArrayRecord> arrays = read(path);
  if (arrays.ok()) return *std::move(arrays);
  const std::string why = message_of(arrays.status());
  // Some readers name the file themselves.
  if (why.find(path.string()) != std::string::npos) throw Error(arrays.status());
  throw Error(annotate(arrays.status(), path.string()));
}

ArrayRecord load_arrays(const std::filesystem::path& path, const ArrayRecord& like) {
  const ArrayRecord all = load_arrays(path);
  ArrayRecord arrays;
  arrays.reserve(like.size());
  for (const auto& [name, wanted] : like) {
    const Array* found = all.find(name);
    if (!found) {
      throw Error(invalid_argument("{}: no tensor \"{}\"; there are: {}", path.string(),
                                   escaped(name), escaped(all.names())));
    }
    if (found->dtype() != wanted.dtype() || found->shape() != wanted.shape()) {
      throw Error(invalid_argument("{}: tensor \"{}\" is {}, the model has {}", path.string(),
                                   escaped(name), found->describe(), wanted.describe()));
    }
    arrays.append(name, *found);
  }
  return arrays;
}

ArrayRecord arrays_from_node(Grid& grid, NodeId node, const std::string& action,
                             Deadline deadline) {
  or_throw(check_client(node.value(), grid.node_count()));
  const std::string type = action.empty() ? "query" : "query." + action;
  std::vector<Message> messages;
  messages.push_back(grid.make_message(type, node, {}));
  const std::vector<Message> replies = grid.send_and_receive(std::move(messages), deadline);
  const Message& reply = replies.front();
  if (reply.has_error()) {
    throw Error(failed_precondition("initial weights from client {} ({}): {}", node.value(), type,
                                    reply.error().reason));
  }
  const auto* arrays = first_of<ArrayRecord>(reply.content());
  if (arrays && !arrays->empty()) return *arrays;
  throw Error(failed_precondition("initial weights from client {} ({}): the reply has no arrays",
                                  node.value(), type));
}

}  // namespace umbel
