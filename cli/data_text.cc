#include "data_text.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "text_format.h"
#include "umbel/base/text.h"

namespace umbel::cli {

namespace {

// In quotes where blanks would not show.
std::string class_text(const data::Dataset& dataset, size_t label) {
  if (dataset.class_names.empty()) return std::to_string(label);
  const std::string& name = dataset.class_names[label];
  const bool blank = name.empty() || name.front() == ' ' || name.back() == ' ';
  return blank ? '"' + escaped(name) + '"' : escaped(name);
}

// One example: float32[64].
std::string example_text(const data::Dataset& dataset) {
  const Shape& shape = dataset.features.shape();
  return std::string(name_of(dataset.features.dtype())) +
         to_string(Shape(shape.begin() + 1, shape.end()));
}

std::string numbers_text(const data::Summary& summary) {
  std::string text = fmt::format("{:.6g} to {:.6g}, mean {:.6g}, deviation {:.6g}", summary.least,
                                 summary.greatest, summary.mean, summary.deviation);
  if (summary.nan + summary.infinite == 0) return text + "; all finite";
  return text + fmt::format("; {} are NaN and {} infinite", count_text(summary.nan),
                            count_text(summary.infinite));
}

std::string duplicates_text(const data::Summary& summary) {
  if (!summary.duplicates) return "not looked for";
  if (*summary.duplicates == 0) return "none";
  return fmt::format("{} examples, {} of them with another label", count_text(*summary.duplicates),
                     count_text(*summary.contradictions));
}

// The classes by their number, or of many the largest.
std::string classes_table(const data::Dataset& dataset, const data::Summary& summary) {
  const std::vector<int64_t>& counts = summary.class_counts;
  std::vector<size_t> order(counts.size());
  for (size_t i = 0; i != order.size(); ++i) order[i] = i;
  if (counts.size() > kClassesShown) {
    std::ranges::stable_sort(order, [&](size_t a, size_t b) { return counts[a] > counts[b]; });
    order.resize(kClassesShown);
  }
  std::vector<std::vector<std::string>> rows{{"CLASS", "EXAMPLES", "SHARE"}};
  for (const size_t label : order) {
    const double share = static_cast<double>(counts[label]) /
                         static_cast<double>(std::max<int64_t>(1, dataset.size()));
    rows.push_back(
        {class_text(dataset, label), count_text(counts[label]), fmt::format("{:.4f}", share)});
  }
  std::string text = text_table(rows);
  if (counts.size() > order.size()) {
    text += fmt::format("\nand {} smaller classes",
                        count_text(static_cast<int64_t>(counts.size() - order.size())));
  }
  return text;
}

}  // namespace

std::string dataset_text(const data::DatasetPlace& place, const data::Dataset& dataset,
                         const data::Summary& summary) {
  const auto [least, most] = std::ranges::minmax(summary.class_counts);
  std::string text;
  const auto line = [&](const char* name, const std::string& value) {
    text += fmt::format("{}{:<12}{}", text.empty() ? "" : "\n", name, value);
  };
  line("data set",
       fmt::format("{}: {}{}", escaped(dataset.name), name_of(place.kind),
                   place.paths.size() > 1 ? fmt::format(", {} files", place.paths.size()) : ""));
  line("examples", fmt::format("{}, each {}; {}", count_text(dataset.size()), example_text(dataset),
                               bytes_text(static_cast<int64_t>(dataset.features.byte_size()))));
  line("numbers", numbers_text(summary));
  if (summary.constant_columns > 0) {
    line("constant",
         fmt::format("{} of {} places are the same in every example",
                     count_text(summary.constant_columns), count_text(dataset.feature_size())));
  }
  line("duplicates", duplicates_text(summary));
  line("owners", summary.owners == 0
                     ? "no natural ids"
                     : fmt::format("{} natural ids with {} to {} examples, median {:g}",
                                   count_text(summary.owners), count_text(summary.owner_size_min),
                                   count_text(summary.owner_size_max), summary.owner_size_median));
  line("labels", fmt::format("{} classes with {} to {} examples", count_text(dataset.classes),
                             count_text(least), count_text(most)));
  return text + "\n\n" + classes_table(dataset, summary);
}

Json dataset_json(const data::DatasetPlace& place, const data::Dataset& dataset,
                  const data::Summary& summary) {
  Json paths = Json::array();
  for (const auto& path : place.paths) paths.push_back(path.string());
  const Shape& shape = dataset.features.shape();
  const auto count = [](const std::optional<int64_t>& value) {
    return value ? Json(*value) : Json(nullptr);
  };
  return {{"name", dataset.name},
          {"kind", name_of(place.kind)},
          {"paths", std::move(paths)},
          {"examples", dataset.size()},
          {"dtype", name_of(dataset.features.dtype())},
          {"shape", std::vector<int64_t>(shape.begin() + 1, shape.end())},
          {"bytes", dataset.features.byte_size()},
          {"classes", dataset.classes},
          {"class-names", dataset.class_names},
          {"class-counts", summary.class_counts},
          {"feature-names", dataset.feature_names},
          {"least", summary.least},
          {"greatest", summary.greatest},
          {"mean", summary.mean},
          {"deviation", summary.deviation},
          {"nan", summary.nan},
          {"infinite", summary.infinite},
          {"constant-columns", summary.constant_columns},
          {"duplicates", count(summary.duplicates)},
          {"contradictions", count(summary.contradictions)},
          {"owners", summary.owners},
          {"owner-size-min", summary.owner_size_min},
          {"owner-size-median", summary.owner_size_median},
          {"owner-size-max", summary.owner_size_max}};
}

std::string shares_picture(const double* shares, size_t labels) {
  constexpr std::string_view kShades = " .:-=+*#%@";
  constexpr size_t kWidth = 60;
  const size_t width = std::min(labels, kWidth);
  std::string picture;
  for (size_t i = 0; i != width; ++i) {
    const double share =
        *std::max_element(shares + i * labels / width, shares + (i + 1) * labels / width);
    // Whatever there is at all shows.
    const auto shade = static_cast<size_t>(share * static_cast<double>(kShades.size() - 1) + 0.5);
    picture += kShades[share > 0 ? std::clamp<size_t>(shade, 1, kShades.size() - 1) : 0];
  }
  return picture;
}

std::string skew_text(const std::string& partition, const data::Skew& skew) {
  const size_t labels = skew.label_share.size();
  std::string text = fmt::format("\npartition   {} over {} clients", partition,
                                 count_text(static_cast<int64_t>(skew.clients)));
  if (skew.sampled != skew.clients)
    text += fmt::format(", {} looked at", count_text(static_cast<int64_t>(skew.sampled)));
  text += fmt::format("\nsizes       {} to {} examples, median {:g}, Gini {:.3f}",
                      count_text(skew.size_min), count_text(skew.size_max), skew.size_median,
                      skew.size_gini);
  text += fmt::format(
      "\nlabel skew  {:.3f} of 1 (mean total variation); {:.2f} of {} labels a client, entropy "
      "{:.3f} nats",
      skew.label_tv_mean, skew.labels_per_client_mean, labels, skew.label_entropy_mean);
  if (skew.feature_skew) {
    text += fmt::format("\nfeatures    {:.3f} of 1 of their variance lies between clients",
                        std::max(*skew.feature_skew, 0.0));  // an estimate, which may be below
  }
  std::vector<std::vector<std::string>> rows{{"CLIENT", "SHARES OF LABELS"}};
  const size_t clients = std::min(kClientsShown, skew.example_client_ids.size());
  for (size_t i = 0; i != clients; ++i) {
    rows.push_back(
        {std::to_string(skew.example_client_ids[i]),
         "|" + shares_picture(skew.example_client_labels.data() + i * labels, labels) + "|"});
  }
  return text + "\n\n" + text_table(rows);
}

Json skew_json(const std::string& partition, const data::Skew& skew) {
  Json object = {{"kind", partition}};
  object.update(json_of(to_metrics(skew)));
  return object;
}

}  // namespace umbel::cli
