#include "umbel/data/csv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace umbel::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

CsvTable table_of(std::string_view text, const CsvOptions& options = {}) {
  return or_throw(parse_csv(text, "some.csv", options));
}
std::string error_of(std::string_view text, const CsvOptions& options = {}) {
  return message_of(parse_csv(text, "some.csv", options).status());
}

TEST(Csv, ReadsNumbersAndLabels) {
  const CsvTable table = table_of("x,label,y\n1,0,2.5\n-3e2,1,.5\n");
  EXPECT_THAT(table.columns, ElementsAre("x", "y"));
  EXPECT_EQ(table.values.describe(), "float64[2,2]");
  EXPECT_THAT(table.values.view<double>(), ElementsAre(1, 2.5, -300, 0.5));
  EXPECT_THAT(table.labels.view<int32_t>(), ElementsAre(0, 1));
  EXPECT_TRUE(table.classes.empty());
  EXPECT_EQ(table.class_count, 2);
}

TEST(Csv, NumbersAreReadToTheNearestDouble) {
  const CsvTable table = table_of(
      "x,label\n0.1,0\n17976931348623157e292,0\n4.9406564584124654e-324,0\n+1,0\n 2\t,0\n");
  EXPECT_THAT(table.values.view<double>(),
              ElementsAre(0.1, 1.7976931348623157e308, 4.9406564584124654e-324, 1, 2));
}

TEST(Csv, TextLabelsAreNumberedInTheOrderOfTheirBytes) {
  const CsvTable table = table_of("x,label\n1,versicolor\n2,setosa\n3,virginica\n4,setosa\n");
  EXPECT_THAT(table.classes, ElementsAre("setosa", "versicolor", "virginica"));
  EXPECT_THAT(table.labels.view<int32_t>(), ElementsAre(1, 0, 2, 0));
  EXPECT_EQ(table.class_count, 3);
}

TEST(Csv, LabelsThatAreNotAllSmallWholeNumbersAreTexts) {
  EXPECT_THAT(table_of("x,label\n1,-1\n1,1\n").classes, ElementsAre("-1", "1"));
  EXPECT_THAT(table_of("x,label\n1,0.5\n1,1\n").classes, ElementsAre("0.5", "1"));
  EXPECT_THAT(table_of("x,label\n1,65536\n1,1\n").classes, ElementsAre("1", "65536"));
  EXPECT_EQ(table_of("x,label\n1,65535\n").class_count, 65536);
}

TEST(Csv, LabelColumnIsChosenByName) {
  const CsvTable table = table_of("kind,x\nb,1\na,2\n", {.label = "kind"});
  EXPECT_THAT(table.classes, ElementsAre("a", "b"));
  EXPECT_THAT(table.columns, ElementsAre("x"));
}

TEST(Csv, WithoutHeaderColumnsAreNumbered) {
  const CsvTable table = table_of("7,0\n8,1\n", {.label = "2", .header = false});
  EXPECT_THAT(table.columns, ElementsAre("1"));
  EXPECT_THAT(table.values.view<double>(), ElementsAre(7, 8));
}

TEST(Csv, QuotesFollowRfc4180) {
  const CsvTable table = table_of(
      "\"a \"\"b\"\", c\",\"label\"\r\n\"1.5\",\"say \"\"hi\"\"\"\r\n2,\"two\r\nlines, really\"\r\n"
      "3,\"\"\"\"\r\n");
  EXPECT_THAT(table.columns, ElementsAre("a \"b\", c"));
  EXPECT_THAT(table.values.view<double>(), ElementsAre(1.5, 2, 3));
  EXPECT_THAT(table.classes, ElementsAre("\"", "say \"hi\"", "two\r\nlines, really"));
}

TEST(Csv, LineEndsByteOrderMarkAndLastLineMayBeAnyOfTheUsual) {
  const auto expected = table_of("x,label\n1,0\n2,1\n");
  for (const char* text : {"x,label\r\n1,0\r\n2,1\r\n", "x,label\n1,0\n2,1",
                           "\xEF\xBB\xBFx,label\n1,0\n2,1\n", "x,label\n1,0\n2,1\n\n\r\n"}) {
    const CsvTable table = table_of(text);
    EXPECT_THAT(table.columns, ElementsAre("x"));
    EXPECT_EQ(table.values, expected.values);
    EXPECT_EQ(table.labels, expected.labels);
  }
}

TEST(Csv, SeparatorMayBeAnother) {
  EXPECT_THAT(table_of("x;label\n1;0\n", {.separator = ';'}).values.view<double>(), ElementsAre(1));
  EXPECT_THAT(error_of("x\n", {.separator = '"'}), HasSubstr("option separator"));
}

TEST(Csv, ErrorsNameFileLineAndColumn) {
  EXPECT_EQ(error_of("x,label\n1,0\n\"2\n\",0\n"),
            "some.csv: line 3, column 1 (\"x\"): \"2\\x0a\", expected a finite number; a column of "
            "anything else is the label, the natural id (--natural-id), or left out (--ignore)");
  EXPECT_THAT(error_of("x,label\n1,\"a\nb\"\nfour,0\n"),
              HasSubstr("some.csv: line 4, column 1 (\"x\"): \"four\", expected a finite number"));
  EXPECT_EQ(error_of("x,y,label\n1,2,0\n1,0\n"),
            "some.csv: line 3: 2 columns, expected 3: column 3 (\"label\") is missing");
  EXPECT_EQ(error_of("x,label\n1,0\n\n2,0\n"),
            "some.csv: line 3: 1 columns, expected 2: column 2 (\"label\") is missing");
  EXPECT_THAT(error_of("x,label\n1,\n"),
              HasSubstr("line 2, column 2 (\"label\"): the label is empty"));
}

TEST(Csv, ColumnTooManyIsShown) {
  EXPECT_EQ(error_of("x,label\n1,0\n1,0,9\n"),
            "some.csv: line 3: 3 columns, expected 2: column 3 is \"9\"");
}

TEST(Csv, NaturalIdsAreNumberedInTheOrderOfTheirBytes) {
  const CsvTable table =
      table_of("site,x,label\nmunich,1,0\nberlin,2,1\nmunich,3,1\n", {.natural_id = "site"});
  EXPECT_THAT(table.columns, ElementsAre("x"));
  EXPECT_THAT(table.natural_ids.view<int32_t>(), ElementsAre(1, 0, 1));
  EXPECT_THAT(table.natural_names, ElementsAre("berlin", "munich"));
  EXPECT_THAT(error_of("site,x,label\n,1,0\n", {.natural_id = "site"}),
              HasSubstr("line 2, column 1 (\"site\"): the natural id is empty"));
  EXPECT_THAT(error_of("x,label\n1,0\n", {.natural_id = "site"}),
              HasSubstr("there is no column \"site\" for the natural id"));
  EXPECT_THAT(error_of("x,label\n1,0\n", {.natural_id = "label"}),
              HasSubstr("column \"label\" cannot be for the natural id and something else too"));
}

TEST(Csv, IgnoredColumnsMayHoldAnything) {
  const CsvTable table = table_of("name,x,label\nada,1,0\n", {.ignored = {"name"}});
  EXPECT_THAT(table.columns, ElementsAre("x"));
  EXPECT_THAT(table.values.view<double>(), ElementsAre(1));
  EXPECT_THAT(error_of("x,label\n1,0\n", {.ignored = {"y"}}),
              HasSubstr("no column \"y\" to ignore"));
}

TEST(Csv, OnlyFiniteNumbersCount) {
  for (const char* field :
       {"", "nan", "inf", "-inf", "1e999", "0x10", "1 2", "1,5\"", "NA", "+-1"}) {
    EXPECT_NE(error_of(std::string("x,label\n") + field + ",0\n"), "") << field;
  }
}

TEST(Csv, FilesWithoutRowsAreErrors) {
  EXPECT_EQ(error_of(""), "some.csv: the file is empty");
  EXPECT_EQ(error_of("\n\n"), "some.csv: the file is empty");
  EXPECT_EQ(error_of("\xEF\xBB\xBF"), "some.csv: the file is empty");
  EXPECT_EQ(error_of("x,label\n"), "some.csv: there is no row after the header");
}

TEST(Csv, HeaderMistakesAreNamed) {
  EXPECT_EQ(error_of("x,labels\n1,0\n"),
            "some.csv: line 1: there is no column \"label\" for the label; did you mean "
            "\"labels\"?; there are \"x\", \"labels\"");
  EXPECT_THAT(error_of("x;label\n1;0\n"),
              HasSubstr("there is one, \"x;label\": columns are separated by \",\", in this file "
                        "perhaps not"));
  std::string many = "c1";
  for (int i = 2; i <= 20; ++i) many += fmt::format(",c{}", i);
  EXPECT_THAT(error_of(many + "\n"), HasSubstr("\"c12\" and 8 more"));
  EXPECT_THAT(error_of("x,x,label\n"), HasSubstr("column 2: the name \"x\" occurs twice"));
  EXPECT_THAT(error_of("label\n0\n"), HasSubstr("no column but the label's"));
}

TEST(Csv, StrayQuotesAndNulBytesAreNamed) {
  EXPECT_THAT(error_of("x,label\n1\",0\n"), HasSubstr("line 2, column 1: a quote within"));
  EXPECT_THAT(error_of("x,label\n\"1\"2,0\n"),
              HasSubstr("line 2, column 1: text after the closing"));
  EXPECT_THAT(error_of("x,label\n1,0\n2,\"zero\n"),
              HasSubstr("line 3, column 2: the quote is never closed"));
  EXPECT_THAT(error_of(std::string("x,label\n1,\0\n", 12)),
              HasSubstr("line 2, column 2: NUL byte"));
  EXPECT_THAT(error_of(std::string("x,label\n1,\"\0\"\n", 14)), HasSubstr("NUL byte"));
}

TEST(Csv, LineAtTheLimitIsReadAndBeyondItIsNot) {
  const std::string head = "x,label\n1,";
  const size_t room = kCsvLineBytesMax - 2;  // what "1," leaves of the line
  EXPECT_EQ(error_of(head + std::string(room, 'a') + "\n"), "");
  for (const std::string& text : {std::string(room + 1, 'a'), "\"" + std::string(room * 3, '\n')}) {
    const Status status = parse_csv(head + text, "some.csv").status();
    EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
    EXPECT_THAT(message_of(status), HasSubstr("line 2: longer than the limit of 1048576 bytes"));
  }
}

TEST(Csv, ColumnsAtTheLimitAreReadAndBeyondItAreNot) {
  const auto text = [](size_t columns) {
    std::string header;
    std::string row;
    for (size_t i = 1; i != columns; ++i) {
      header += "c" + std::to_string(i) + ",";
      row += "0,";
    }
    return header + "label\n" + row + "0\n";
  };
  EXPECT_EQ(table_of(text(kCsvColumnsMax)).columns.size(), kCsvColumnsMax - 1);
  const Status status = parse_csv(text(kCsvColumnsMax + 1), "some.csv").status();
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  EXPECT_THAT(message_of(status), HasSubstr("more than the limit of 16384 columns"));
}

TEST(Csv, TooManyLabelsAreNamed) {
  std::string text = "x,label\n";
  for (int i = 0; i <= kClassesMax; ++i) text += "0,l" + std::to_string(i) + "\n";
  EXPECT_THAT(
      error_of(text),
      HasSubstr(
          "line 65538, column 2 (\"label\"): labels: more than the limit of 65536 different"));
}

class CsvFileTest : public testing::Test {
 protected:
  ~CsvFileTest() override { std::filesystem::remove(path_); }
  void write(std::string_view text) { std::ofstream(path_, std::ios::binary) << text; }
  std::filesystem::path path_ = std::filesystem::path(testing::TempDir()) / "csv_test.csv";
};

TEST_F(CsvFileTest, FileBecomesADataset) {
  write("length,width,label\n5.1,3.5,setosa\n7,3.2,versicolor\n");
  const Dataset dataset = csv(path_);
  EXPECT_EQ(dataset.features.describe(), "float32[2,2]");
  EXPECT_THAT(dataset.features.view<float>(), ElementsAre(5.1f, 3.5f, 7.f, 3.2f));
  EXPECT_EQ(dataset.classes, 2);
  EXPECT_THAT(dataset.class_names, ElementsAre("setosa", "versicolor"));
  EXPECT_THAT(dataset.feature_names, ElementsAre("length", "width"));
  EXPECT_TRUE(check(dataset).ok()) << check(dataset);
}

TEST_F(CsvFileTest, NumberBeyondFloat32IsNamed) {
  write("x,y,label\n1,2,0\n3,1e39,0\n");
  EXPECT_THAT(message_of(load_csv(path_).status()),
              testing::AllOf(StartsWith(path_.string()),
                             HasSubstr("row 2, column \"y\": 1e+39 is beyond float32's range")));
}

TEST_F(CsvFileTest, SeveralFilesAreOneTableIfTheirColumnsAgree) {
  write("x,y,label\n1,2,b\n");
  const std::filesystem::path second = path_.string() + ".second";
  std::ofstream(second) << "x,y,label\n3,4,a\n";
  const CsvTable table = or_throw(read_csv({path_, second}));
  EXPECT_THAT(table.values.view<double>(), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(table.labels.view<int32_t>(), ElementsAre(1, 0));
  std::ofstream(second) << "x,z,label\n3,4,a\n";
  EXPECT_EQ(message_of(read_csv({path_, second}).status()),
            second.string() + ": line 1, column 2: it is \"z\", the files before have \"y\" there");
  std::filesystem::remove(second);
}

TEST_F(CsvFileTest, MissingFileThrowsItsName) {
  try {
    csv(path_);
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr(path_.string()));
  }
}

}  // namespace
}  // namespace umbel::data
