#include <nanobind/stl/string.h>

#include <unordered_map>

#include "convert.h"
#include "gil.h"

namespace umbel::python {

namespace {

// What is going to be sent, with ids; each distinct content is taken over once.
class Outgoing {
 public:
  explicit Outgoing(Grid& grid) : grid_(grid) {}

  void add(nb::handle object) {
    const Metadata given = metadata_of(object);
    Message made = grid_.make_message(given.type, given.destination, {});
    made.metadata().round = given.round;
    messages_.emplace_back(made.metadata(), content_of(object));
    nb::object metadata = object.attr("metadata");
    metadata.attr("message_id") = std::to_string(made.metadata().id.value());
    metadata.attr("run_id") = made.metadata().run.value();
  }
  std::vector<Message>& messages() { return messages_; }

 private:
  static Metadata metadata_of(nb::handle object) {
    static const nb::handle take =
        nb::object(nb::module_::import_("umbel.app._message").attr("to_core")).release();
    const nb::object parts = take(object);
    const nb::object node = parts[4];
    const nb::object type = parts[5];
    const uint64_t destination = PyLong_AsUnsignedLongLong(node.ptr());
    if (PyErr_Occurred()) {
      PyErr_Clear();
      throw Error(
          invalid_argument("Message: there is no client {}", nb::str(nb::handle(node)).c_str()));
    }
    const nb::object round = parts[6];
    return {.destination = NodeId(destination),
            .type = text_from(type, "Message: message_type"),
            .round = nb::cast<uint64_t>(round)};
  }

  std::shared_ptr<const RecordDict> content_of(nb::handle message) {
    const nb::object content = message.attr("content");
    auto& [object, known] = contents_[content.ptr()];
    if (known) return known;
    known = std::make_shared<const RecordDict>(kept(content_from(content)));
    object = content;  // it keeps its address for itself
    return known;
  }

  Grid& grid_;
  std::vector<Message> messages_;
  std::unordered_map<PyObject*, std::pair<nb::object, std::shared_ptr<const RecordDict>>> contents_;
};

Outgoing outgoing(const GridRef& ref, nb::handle messages) {
  Outgoing all(ref.get());
  for (const nb::handle message : nb::iter(messages)) all.add(message);
  return all;
}

std::vector<MessageId> ids_from(nb::handle ids) {
  std::vector<MessageId> all;
  for (const nb::handle id : nb::iter(ids)) {
    const nb::object number = nb::steal(PyNumber_Long(id.ptr()));
    if (!number.is_valid()) {
      PyErr_Clear();
      throw Error(
          invalid_argument("message id {} is none that a Grid gave out", nb::repr(id).c_str()));
    }
    all.emplace_back(nb::cast<uint64_t>(number));
  }
  return all;
}

nb::list replies_of(const std::vector<Message>& replies) {
  nb::list list;
  for (const Message& reply : replies) list.append(to_python(reply));
  return list;
}

nb::list push(const GridRef& ref, nb::handle messages) {
  Outgoing all = outgoing(ref, messages);
  std::vector<MessageId> ids;
  {
    const WithoutGil release;
    ids = ref.get().push(std::move(all.messages()));
  }
  nb::list list;
  for (const MessageId id : ids) list.append(nb::str(std::to_string(id.value()).c_str()));
  return list;
}

nb::list pull(const GridRef& ref, nb::handle ids, nb::handle timeout) {
  const std::vector<MessageId> wanted = ids_from(ids);
  const Deadline deadline = deadline_from(timeout);
  std::vector<Message> replies;
  {
    const WithoutGil release;
    replies = ref.get().pull(wanted, deadline);
  }
  return replies_of(replies);
}

nb::list send_and_receive(const GridRef& ref, nb::handle messages, nb::handle timeout) {
  const Deadline deadline = deadline_from(timeout);
  Outgoing all = outgoing(ref, messages);
  std::vector<Message> replies;
  {
    const WithoutGil release;
    replies = ref.get().send_and_receive(std::move(all.messages()), deadline);
  }
  return replies_of(replies);
}

void forget(const GridRef& ref, nb::handle ids) {
  const std::vector<MessageId> unwanted = ids_from(ids);
  const WithoutGil release;
  ref.get().forget(unwanted);
}

}  // namespace

Deadline deadline_from(nb::handle timeout) {
  if (timeout.is_none()) return std::nullopt;
  const double seconds = PyFloat_AsDouble(timeout.ptr());
  if (PyErr_Occurred()) throw nb::python_error();
  if (seconds >= 0) return std::chrono::duration<double>(seconds);
  throw Error(invalid_argument("timeout = {}, expected None or seconds, 0 or more", seconds));
}

Grid& GridRef::get() const {
  if (!grid_) {
    throw Error(failed_precondition("the grid is of no use any more: the run is over"));
  }
  if (thread_ == std::this_thread::get_id()) return *grid_;
  throw Error(failed_precondition(
      "the Grid was called from another thread: it belongs to the one that main() is called on"));
}

Grid& grid_of(nb::handle grid) {
  if (nb::isinstance<GridRef>(grid)) return nb::inst_ptr<GridRef>(grid)->get();
  if (nb::hasattr(grid, "_native")) {
    const nb::object native = grid.attr("_native");
    if (nb::isinstance<GridRef>(native)) return nb::inst_ptr<GridRef>(native)->get();
  }
  throw WrongType(fmt::format("a value of type {}, expected the Grid that main() was given",
                              Py_TYPE(grid.ptr())->tp_name));
}

void bind_grid(nb::module_& module) {
  nb::class_<GridRef>(module, "Grid", "The core's side of umbel.serverapp.Grid.")
      .def("node_count", [](const GridRef& ref) { return ref.get().node_count(); })
      .def(
          "attribute",
          [](const GridRef& ref, uint64_t client, const std::string& name) {
            return ref.get().attribute(NodeId(client), name);
          },
          nb::arg("client"), nb::arg("name"))
      .def("push", push, nb::arg("messages").none(),
           nb::sig("def push(self, messages: object) -> list[str]"))
      .def("pull", pull, nb::arg("ids").none(), nb::arg("timeout").none(),
           nb::sig("def pull(self, ids: object, timeout: float | None) -> list[typing.Any]"))
      .def("send_and_receive", send_and_receive, nb::arg("messages").none(),
           nb::arg("timeout").none(),
           nb::sig("def send_and_receive(self, messages: object, timeout: float | None) -> "
                   "list[typing.Any]"))
      .def("forget", forget, nb::arg("ids").none(),
           nb::sig("def forget(self, ids: object) -> None"));
}

}  // namespace umbel::python
