#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <set>
#include <string>

#include "convert.h"
#include "gil.h"
#include "umbel/data/generate.h"
#include "umbel/data/open_dataset.h"
#include "umbel/data/partition.h"

namespace umbel::python {

namespace {

nb::object array_or_none(const Array& array) {
  return array.size() ? to_python(array) : nb::none();
}

// The arguments of umbel.data.Dataset.
nb::dict dict_of(const data::Dataset& set) {
  nb::dict made;
  made["features"] = to_python(set.features);
  made["labels"] = to_python(set.labels);
  made["classes"] = set.classes;
  made["name"] = set.name;
  made["class_names"] = set.class_names;
  made["feature_names"] = set.feature_names;
  made["natural_ids"] = array_or_none(set.natural_ids);
  made["natural_names"] = set.natural_names;
  return made;
}

template <class Make>
nb::dict dataset_by(Make&& make) {
  const data::Dataset set = [&] {
    const WithoutGil without_gil;
    return or_throw(make());
  }();
  return dict_of(set);
}

nb::dict fashion_mnist(bool test) {
  return dataset_by(
      [test] { return data::load_fashion_mnist(test ? data::Split::kTest : data::Split::kTrain); });
}

// Sets what a dict of keyword arguments names, and says which it does not know.
class Keywords {
 public:
  Keywords(std::string_view function, const nb::dict& given) : function_(function), given_(given) {}

  template <class T>
  void take(const char* name, T& option) {
    known_ += (known_.empty() ? "" : ", ") + std::string(name);
    names_.insert(name);
    if (!given_.contains(name)) return;
    ++taken_;
    const nb::object value = nb::borrow(given_[name]);
    if (nb::try_cast<T>(value, option)) return;
    throw WrongType(fmt::format("{}: {} = {}, of type {}: no value that it can have", function_,
                                name, nb::repr(value).c_str(), Py_TYPE(value.ptr())->tp_name));
  }
  void finish() const {
    if (taken_ == given_.size()) return;
    std::string names;
    for (const auto& [name, value] : given_) {
      if (!names_.contains(nb::str(nb::handle(name)).c_str())) {
        names += std::string(names.empty() ? "" : ", ") + nb::str(nb::handle(name)).c_str();
      }
    }
    throw WrongType(fmt::format("{}: it has no {}; it has: {}", function_, names, known_));
  }

 private:
  std::string_view function_;
  const nb::dict& given_;
  std::string known_;
  std::set<std::string> names_;
  size_t taken_ = 0;
};

data::Partition partition(const Array& labels, const Array* natural_ids, const Array* axis,
                          const nb::dict& given) {
  data::PartitionOptions options;
  Keywords keywords("partition", given);
  keywords.take("kind", options.kind);
  keywords.take("clients", options.clients);
  keywords.take("alpha", options.alpha);
  keywords.take("seed", options.seed);
  keywords.take("examples_per_client", options.examples_per_client);
  keywords.take("shards_per_client", options.shards_per_client);
  keywords.take("size_sigma", options.size_sigma);
  keywords.take("strictness", options.strictness);
  keywords.take("windows", options.windows);
  keywords.take("examples_min", options.examples_min);
  keywords.finish();
  if (natural_ids) options.natural_ids = *natural_ids;
  if (axis) options.axis = *axis;
  const WithoutGil without_gil;
  return or_throw(data::make_partition(labels, options));
}

nb::object examples(const data::Partition& partition, uint64_t client) {
  std::vector<uint32_t> indices;
  {
    const WithoutGil without_gil;
    indices = partition.examples(client);
  }
  const auto count = static_cast<int64_t>(indices.size());
  return to_python(Array::copy_of<uint32_t>(indices, {count}));
}

data::OpenOptions open_options(const nb::dict& given) {
  data::OpenOptions options;
  Keywords keywords("open", given);
  std::string separator;
  keywords.take("split", options.split);
  keywords.take("features", options.features);
  keywords.take("label", options.label);
  keywords.take("natural_id", options.natural_id);
  keywords.take("ignored", options.ignored);
  keywords.take("separator", separator);
  keywords.take("height", options.images.height);
  keywords.take("width", options.images.width);
  keywords.take("channels", options.images.channels);
  keywords.take("resize", options.images.resize);
  keywords.take("by_site", options.images.by_site);
  keywords.take("length", options.text.length);
  keywords.take("stride", options.text.stride);
  keywords.take("vocabulary", options.text.vocabulary);
  keywords.finish();
  if (separator.size() > 1) {
    throw Error(invalid_argument("open: separator = \"{}\", expected one character", separator));
  }
  if (!separator.empty()) options.separator = separator[0];
  return options;
}

nb::dict open(nb::handle place, const nb::dict& given) {
  const std::string path = path_from(place);
  const data::OpenOptions options = open_options(given);
  return dataset_by([&] { return data::open_dataset(path, options); });
}

nb::dict blobs(const nb::dict& given) {
  data::BlobOptions options;
  Keywords keywords("blobs", given);
  keywords.take("examples", options.examples);
  keywords.take("features", options.features);
  keywords.take("classes", options.classes);
  keywords.take("clients", options.clients);
  keywords.take("spread", options.spread);
  keywords.take("client_spread", options.client_spread);
  keywords.take("seed", options.seed);
  keywords.finish();
  return dataset_by([&] { return data::blobs(options); });
}

data::LinearOptions linear_options(std::string_view function, const nb::dict& given) {
  data::LinearOptions options;
  Keywords keywords(function, given);
  keywords.take("examples", options.examples);
  keywords.take("features", options.features);
  keywords.take("classes", options.classes);
  keywords.take("clients", options.clients);
  keywords.take("noise", options.noise);
  keywords.take("model_spread", options.model_spread);
  keywords.take("feature_spread", options.feature_spread);
  keywords.take("seed", options.seed);
  keywords.finish();
  return options;
}

nb::dict linear_classes(const nb::dict& given) {
  const data::LinearOptions options = linear_options("linear_classes", given);
  return dataset_by([&] { return data::linear_classes(options); });
}

nb::dict linear_regression(const nb::dict& given) {
  const data::LinearOptions options = linear_options("linear_regression", given);
  const data::Regression made = [&] {
    const WithoutGil without_gil;
    return or_throw(data::linear_regression(options));
  }();
  nb::dict result;
  result["features"] = to_python(made.features);
  result["targets"] = to_python(made.targets);
  result["natural_ids"] = to_python(made.natural_ids);
  result["coefficients"] = to_python(made.coefficients);
  result["name"] = made.name;
  return result;
}

nb::dict pattern_images(const nb::dict& given) {
  data::ImageOptions options;
  Keywords keywords("pattern_images", given);
  keywords.take("examples", options.examples);
  keywords.take("side", options.side);
  keywords.take("classes", options.classes);
  keywords.take("clients", options.clients);
  keywords.take("shift_max", options.shift_max);
  keywords.take("noise", options.noise);
  keywords.take("brightness", options.brightness);
  keywords.take("client_spread", options.client_spread);
  keywords.take("seed", options.seed);
  keywords.finish();
  return dataset_by([&] { return data::pattern_images(options); });
}

nb::dict markov_text(const nb::dict& given) {
  data::MarkovTextOptions options;
  Keywords keywords("markov_text", given);
  keywords.take("examples", options.examples);
  keywords.take("length", options.length);
  keywords.take("alphabet", options.alphabet);
  keywords.take("clients", options.clients);
  keywords.take("own", options.own);
  keywords.take("seed", options.seed);
  keywords.finish();
  return dataset_by([&] { return data::markov_text(options); });
}

}  // namespace

void bind_data(nb::module_& module) {
  nb::class_<data::Partition>(module, "Partition", "Which examples each client holds.")
      .def_prop_ro("clients", &data::Partition::clients)
      .def_prop_ro("disjoint", &data::Partition::disjoint)
      .def("examples", examples, nb::arg("client"),
           nb::sig("def examples(self, client: int) -> Array"));
  module.def("partition", partition, nb::arg("labels"), nb::arg("natural_ids").none(),
             nb::arg("axis").none(), nb::arg("options"),
             nb::sig("def partition(labels: Array, natural_ids: Array | None, axis: Array | None, "
                     "options: dict[str, typing.Any]) -> Partition"));
  module.def("fashion_mnist", fashion_mnist, nb::arg("test"),
             nb::sig("def fashion_mnist(test: bool) -> dict[str, typing.Any]"));
  module.def("open_dataset", open, nb::arg("path"), nb::arg("options"),
             nb::sig("def open_dataset(path: object, options: dict[str, typing.Any]) -> dict[str, "
                     "typing.Any]"));
  module.def(
      "check_open_options", [](const nb::dict& options) { (void)open_options(options); },
      nb::arg("options"), nb::sig("def check_open_options(options: dict[str, typing.Any]) -> None"),
      "Raises for an option that open_dataset() does not have, or of another type.");
  module.def("blobs", blobs, nb::arg("options"),
             nb::sig("def blobs(options: dict[str, typing.Any]) -> dict[str, typing.Any]"));
  module.def(
      "linear_classes", linear_classes, nb::arg("options"),
      nb::sig("def linear_classes(options: dict[str, typing.Any]) -> dict[str, typing.Any]"));
  module.def(
      "linear_regression", linear_regression, nb::arg("options"),
      nb::sig("def linear_regression(options: dict[str, typing.Any]) -> dict[str, typing.Any]"));
  module.def(
      "pattern_images", pattern_images, nb::arg("options"),
      nb::sig("def pattern_images(options: dict[str, typing.Any]) -> dict[str, typing.Any]"));
  module.def("markov_text", markov_text, nb::arg("options"),
             nb::sig("def markov_text(options: dict[str, typing.Any]) -> dict[str, typing.Any]"));
}

}  // namespace umbel::python
