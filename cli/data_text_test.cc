#include "data_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "arguments.h"

namespace umbel::cli {
namespace {

using testing::HasSubstr;

data::Dataset small() {
  data::Dataset dataset;
  dataset.features = Array::copy_of<float>(std::vector<float>{1, 2, 1, 2, 3, 4}, {3, 2});
  dataset.labels = Array::of<int32_t>({0, 1, 1});
  dataset.classes = 3;
  dataset.class_names = {"a", "b\n", "c"};
  dataset.name = "small";
  return dataset;
}

TEST(DataText, SaysWhatThereIs) {
  const data::Dataset dataset = small();
  const data::DatasetPlace place{data::DatasetKind::kCsv, {"a.csv", "b.csv"}};
  const std::string text = dataset_text(place, dataset, data::summarize(dataset));
  EXPECT_THAT(text, HasSubstr("small: CSV, 2 files"));
  EXPECT_THAT(text, HasSubstr("3, each float32[2]; 24 bytes"));
  EXPECT_THAT(text, HasSubstr("1 to 4, mean 2.16667"));
  EXPECT_THAT(text, HasSubstr("1 examples, 1 of them with another label"));
  EXPECT_THAT(text, HasSubstr("3 classes with 0 to 2 examples"));
  EXPECT_THAT(text, HasSubstr("b\\x0a  2         0.6667"));
  const Json object = dataset_json(place, dataset, data::summarize(dataset));
  EXPECT_EQ(object["shape"], Json({2}));
  EXPECT_EQ(object["class-counts"], Json({1, 2, 0}));
}

TEST(DataText, OfManyClassesTheLargestAreShown) {
  data::Dataset dataset = small();
  dataset.class_names.clear();
  dataset.classes = 100;
  const data::DatasetPlace place{data::DatasetKind::kCsv, {"a.csv"}};
  const std::string text = dataset_text(place, dataset, data::summarize(dataset));
  EXPECT_THAT(text, HasSubstr("CLASS  EXAMPLES  SHARE\n1      2         0.6667\n0      1"));
  EXPECT_THAT(text, HasSubstr("and 80 smaller classes"));
}

TEST(DataText, SharesAreDrawnFromBlankToFull) {
  EXPECT_EQ(shares_picture(std::vector<double>{0, 1, 0.001, 0.5}.data(), 4), " @.+");
  EXPECT_EQ(shares_picture(std::vector<double>(1000, 0).data(), 1000), std::string(60, ' '));
  std::vector<double> one(61, 0);
  one[60] = 1;
  EXPECT_EQ(shares_picture(one.data(), 61), std::string(59, ' ') + "@");
}

TEST(DataArguments, InspectTakesPathAndOptions) {
  const char* arguments[] = {"umbel",       "data",     "inspect",   "x.csv",    "--label",
                             "kind",        "--ignore", "name",      "--ignore", "id",
                             "--partition", "iid",      "--clients", "7"};
  const auto parsed = parse_arguments(std::size(arguments), arguments);
  const auto& options = std::get<DataOptions>(std::get<Invocation>(parsed).command);
  EXPECT_EQ(options.path, "x.csv");
  EXPECT_EQ(options.label, "kind");
  EXPECT_EQ(options.ignored, (std::vector<std::string>{"name", "id"}));
  EXPECT_EQ(options.partition, "iid");
  EXPECT_EQ(options.clients, 7);
}

}  // namespace
}  // namespace umbel::cli
