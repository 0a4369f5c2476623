#include "umbel/record/record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace umbel {
namespace {

using testing::HasSubstr;

template <class Call>
std::string error_of(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Record, KeepsTheOrderInWhichNamesWereFirstSet) {
  MetricRecord metrics{{"loss", 0.5}, {"examples", 10}};
  metrics.set("accuracy", 1.0);
  metrics.set("loss", 0.25);
  EXPECT_EQ(metrics.names(), "loss, examples, accuracy");
  EXPECT_EQ(metrics.real("loss"), 0.25);
  EXPECT_EQ(metrics.size(), 3u);
  MetricRecord same{{"loss", 0.25}, {"examples", 10}};
  same.append("accuracy", 1.0);
  EXPECT_EQ(metrics, same);
  EXPECT_NE(metrics, MetricRecord({{"examples", 10}, {"loss", 0.25}, {"accuracy", 1.0}}));
}

TEST(Record, AMissingNameIsAnErrorThatListsTheNames) {
  MetricRecord metrics{{"loss", 0.5}, {"examples", 10}};
  EXPECT_EQ(metrics.find("los"), nullptr);
  EXPECT_EQ(error_of([&] { metrics.at("los"); }), "no entry \"los\"; there are: loss, examples");
  EXPECT_EQ(error_of([] { MetricRecord().real("x"); }), "no entry \"x\"; there are: none");
}

TEST(ArrayRecord, CloneSharesNothing) {
  const ArrayRecord arrays{{"a", Array::of<float>({1, 2})}, {"b", Array::of<int64_t>({3})}};
  const ArrayRecord shared = arrays;
  EXPECT_EQ(shared.at("a").bytes().data(), arrays.at("a").bytes().data());
  const ArrayRecord copy = arrays.clone();
  EXPECT_EQ(copy, arrays);
  EXPECT_NE(copy.at("a").bytes().data(), arrays.at("a").bytes().data());
  EXPECT_EQ(arrays.byte_size(), 16u);
  EXPECT_EQ(arrays.element_count(), 3);
}

TEST(MetricRecord, NumbersKeepTheirKindAndIntegersWiden) {
  const MetricRecord metrics{
      {"n", size_t{7}}, {"x", 0.5f}, {"xs", std::vector<double>{1, 2}}, {"yes", true}};
  EXPECT_EQ(metrics.integer("n"), 7);
  EXPECT_EQ(metrics.real("n"), 7.0);
  EXPECT_EQ(metrics.integer("yes"), 1);
  EXPECT_EQ(metrics.reals("xs"), (std::vector<double>{1, 2}));
  EXPECT_EQ(error_of([&] { metrics.integer("x"); }), "metric \"x\" is not an integer");
  EXPECT_EQ(error_of([&] { metrics.real("xs"); }), "metric \"xs\" is a list, expected one number");
  EXPECT_EQ(error_of([&] { metrics.reals("n"); }), "metric \"n\" is not a list of real numbers");
}

TEST(ConfigRecord, NothingButIntegersConverts) {
  const ConfigRecord config{{"rounds", 3}, {"rate", 0.1}, {"fast", true}, {"name", "umbel"}};
  EXPECT_EQ(config.integer("rounds"), 3);
  EXPECT_EQ(config.real("rounds"), 3.0);
  EXPECT_EQ(config.real("rate"), 0.1);
  EXPECT_TRUE(config.boolean("fast"));
  EXPECT_EQ(config.text("name"), "umbel");
  EXPECT_EQ(error_of([&] { config.integer("rate"); }),
            "\"rate\" = 0.1 is a real number, expected an integer");
  EXPECT_EQ(error_of([&] { config.integer("fast"); }),
            "\"fast\" = true is a truth value, expected an integer");
  EXPECT_EQ(error_of([&] { config.text("rounds"); }),
            "\"rounds\" = 3 is an integer, expected text");
}

TEST(ConfigValue, TextIsToml) {
  EXPECT_EQ(ConfigValue(1.0).text(), "1.0");
  EXPECT_EQ(ConfigValue(1e300).text(), "1e+300");
  EXPECT_EQ(ConfigValue(-INFINITY).text(), "-inf");
  EXPECT_EQ(ConfigValue("say \"\\n\"\n\x7f").text(), R"("say \"\\n\"\u000A\u007F")");
  EXPECT_EQ(ConfigValue(std::vector<bool>{true, false}).text(), "[true, false]");
  EXPECT_EQ(ConfigValue(std::vector<std::string>{"a", "b"}).text(), R"(["a", "b"])");
  EXPECT_EQ(ConfigValue(std::vector<int64_t>{}).text(), "[]");
}

TEST(RecordDict, ByteSizeCountsElementsNamesAndNumbers) {
  const RecordDict dict{{"arrays", ArrayRecord{{"w", Array::zeros(DType::kFloat32, {2, 5})}}},
                        {"metrics", MetricRecord{{"loss", 0.5}}},
                        {"config", ConfigRecord{{"name", "umbel"}, {"fast", true}}}};
  EXPECT_EQ(dict.byte_size(), (6 + 1 + 40 + 16) + (7 + 4 + 8) + (6 + 4 + 5 + 4 + 1u));
}

TEST(RequireLayout, SaysTheFirstDifference) {
  const Array matrix = Array::zeros(DType::kFloat32, {2, 3});
  const ArrayRecord model{{"w", matrix}, {"b", Array::zeros(DType::kFloat32, {3})}};
  EXPECT_TRUE(require_layout(model.clone(), model).ok());
  const auto reason = [&](const ArrayRecord& arrays) {
    return message_of(require_layout(arrays, model));
  };
  EXPECT_EQ(reason({{"w", matrix}}),
            "array \"b\" is missing; got 1 arrays (w), the round expects 2");
  EXPECT_EQ(reason({{"b", model.at("b")}, {"w", matrix}}),
            "array 0 is \"b\", the round expects \"w\"");
  EXPECT_EQ(reason({{"w", matrix.reshaped({3, 2})}, {"b", model.at("b")}}),
            "array \"w\": float32[3,2], the round expects float32[2,3]");
  EXPECT_EQ(reason({{"w", Array::zeros(DType::kFloat64, {2, 3})}, {"b", model.at("b")}}),
            "array \"w\": float64[2,3], the round expects float32[2,3]");
  EXPECT_EQ(reason({{"w", matrix}, {"b", model.at("b")}, {"extra", matrix}}),
            "array \"extra\" is not part of the model; got 3 arrays, the round expects 2");
}

TEST(RequireLayout, NamesFromAPeerCannotWriteToTheTerminal) {
  const ArrayRecord model{{"w", Array()}};
  const Status status = require_layout({{"\x1b[2Jw\n", Array()}}, model);
  EXPECT_THAT(message_of(status), HasSubstr("\"\\x1b[2Jw\\x0a\""));
}

}  // namespace
}  // namespace umbel
