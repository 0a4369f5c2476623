#include "umbel/data/json_lines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace umbel::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Table table_of(std::string_view text, const JsonOptions& options = {}) {
  return or_throw(parse_json(text, "some.jsonl", options));
}
std::string error_of(std::string_view text, const JsonOptions& options = {}) {
  return message_of(parse_json(text, "some.jsonl", options).status());
}

TEST(JsonLines, ObjectsAreRows) {
  const Table table = table_of(
      "{\"x\": 1, \"label\": \"b\", \"y\": -2.5e1}\n\n"
      "{\"y\": 4, \"x\": true, \"label\": \"a\"}");
  EXPECT_THAT(table.columns, ElementsAre("x", "y"));
  EXPECT_THAT(table.values.view<double>(), ElementsAre(1, -25, 1, 4));
  EXPECT_THAT(table.classes, ElementsAre("a", "b"));
  EXPECT_THAT(table.labels.view<int32_t>(), ElementsAre(1, 0));
}

TEST(JsonLines, ListsAreColumns) {
  const Table table = table_of(
      "{\"p\": [[1, 2], [3, 4]], \"label\": 3}\n"
      "{\"p\": [5, 6, 7, 8], \"label\": 0}\n");
  EXPECT_THAT(table.columns, ElementsAre("p[0]", "p[1]", "p[2]", "p[3]"));
  EXPECT_EQ(table.values.describe(), "float64[2,4]");
  EXPECT_EQ(table.class_count, 4);
  EXPECT_TRUE(table.classes.empty());
}

TEST(JsonLines, OneListOfObjectsIsTheSame) {
  const Table table = table_of(" [{\"x\": 1, \"label\": 0},\n {\"x\": 2, \"label\": 1}]\n");
  EXPECT_THAT(table.values.view<double>(), ElementsAre(1, 2));
  EXPECT_THAT(error_of("[{\"x\": 1, \"label\": 0}, {\"x\": null, \"label\": 1}]"),
              HasSubstr("object 2: \"x\": null"));
  EXPECT_THAT(error_of("[{\"x\": 1, \"label\": 0},\n\n {\"x\": 2 ]"),
              HasSubstr("line 3: this is not JSON"));
  EXPECT_THAT(error_of("[{\"x\": 1, \"label\": 0}"), HasSubstr("this is not JSON"));
  EXPECT_THAT(error_of("[[{\"x\": 1, \"label\": 0}]]"), HasSubstr("a list, expected an object"));
  EXPECT_THAT(error_of("[]"), HasSubstr("there is no object"));
  EXPECT_THAT(error_of("[1]"), HasSubstr("a value, expected an object"));
}

TEST(JsonLines, NaturalIdsAndIgnoredKeys) {
  const Table table = table_of(
      "{\"x\": 1, \"label\": 0, \"who\": \"bob\", \"meta\": {\"a\": [null, {\"b\": 1}]}}\n"
      "{\"x\": 2, \"label\": 1, \"who\": 7, \"meta\": \"text\"}\n"
      "{\"x\": 3, \"label\": 1, \"who\": \"bob\"}\n",
      {.natural_id = "who", .ignored = {"meta"}});
  EXPECT_THAT(table.columns, ElementsAre("x"));
  EXPECT_THAT(table.natural_names, ElementsAre("7", "bob"));
  EXPECT_THAT(table.natural_ids.view<int32_t>(), ElementsAre(1, 0, 1));
}

TEST(JsonLines, ErrorsNameLineAndKey) {
  const std::string first = "{\"x\": 1, \"label\": 0}\n";
  const auto second = [&](std::string_view line) { return error_of(first + std::string(line)); };
  EXPECT_EQ(second("{\"x\": \"one\", \"label\": 0}"),
            "some.jsonl: line 2: \"x\": the text \"one\", expected a number; leave the key out, or "
            "ignore it");
  EXPECT_EQ(second("{\"x\": 1}"), "some.jsonl: line 2: \"label\": it is missing");
  EXPECT_EQ(second("{\"x\": 1, \"x\": 1, \"label\": 0}"),
            "some.jsonl: line 2: \"x\": it is there twice");
  EXPECT_EQ(second("{\"x\": [1, 2], \"label\": 0}"),
            "some.jsonl: line 2: \"x\": 2 numbers, the first object has 1");
  EXPECT_EQ(second("{\"x\": 1, \"label\": 0, \"z\": 1}"),
            "some.jsonl: line 2: key \"z\": the objects before have none of that name");
  EXPECT_THAT(second("{\"x\": {\"a\": 1}, \"label\": 0}"), HasSubstr("\"x\": an object, expected"));
  EXPECT_THAT(second("{\"x\": 1, \"label\": [0]}"), HasSubstr("\"label\": a list"));
  EXPECT_THAT(second("{\"x\": 1, \"label\": null}"), HasSubstr("\"label\": null"));
  EXPECT_THAT(second("{\"x\": 1, \"label\": \"\"}"), HasSubstr("\"label\": the label is empty"));
  EXPECT_THAT(second("{\"x\": 1, \"label\": 0"), HasSubstr("line 2, column 20: this is not JSON"));
  EXPECT_THAT(second("{\"x\": NaN, \"label\": 0}"),
              HasSubstr("line 2, column 7: this is not JSON"));
  EXPECT_THAT(second("{\"x\": 1e999, \"label\": 0}"), HasSubstr("line 2"));
  EXPECT_THAT(second("[1, 2]"), HasSubstr("line 2: a list, expected an object"));
  EXPECT_THAT(second("7"), HasSubstr("line 2: a value, expected an object"));
  EXPECT_THAT(second("{} {}"), HasSubstr("line 2"));
}

TEST(JsonLines, FirstObjectDecidesAndItsMistakesAreNamed) {
  EXPECT_THAT(error_of("{\"x\": 1, \"labels\": 0}"),
              HasSubstr("there is no key \"label\" for the label; did you mean \"labels\"?"));
  EXPECT_THAT(error_of("{\"label\": 0}"), HasSubstr("no number but the label's"));
  EXPECT_THAT(error_of("{\"x\": 1, \"label\": 0}", {.natural_id = "who"}),
              HasSubstr("no key \"who\" for the natural id"));
  EXPECT_THAT(error_of(""), HasSubstr("the file is empty"));
  EXPECT_THAT(error_of(" \n"), HasSubstr("the file is empty"));
}

TEST(JsonLines, LongLinesAndDeepListsAreRefusedNotFollowed) {
  const std::string first = "{\"x\": 1, \"label\": 0}\n";
  EXPECT_TRUE(absl::IsResourceExhausted(
      parse_json(first + std::string(kJsonLineBytesMax + 1, ' ') + "\n", "some.jsonl").status()));
  const std::string deep(1'000'000, '[');
  EXPECT_THAT(error_of("{\"x\": " + deep + "}"), HasSubstr("this is not JSON"));
}

}  // namespace
}  // namespace umbel::data
