#include "report_skew.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "report_skew_bubbles.h"

namespace umbel::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

// The radius of the disc whose hint is this.
double radius_of(const std::string& svg, const std::string& hint) {
  const size_t at = svg.find("<title>" + hint + "<");
  if (at == std::string::npos) return 0;
  return std::stod(svg.substr(svg.rfind("r=\"", at) + 3));
}

TEST(ReportSkew, DiscsHaveTheAreaOfTheirExamples) {
  const std::string svg =
      label_bubbles({{"client 0", 100, {0.64, 0.36, 0}}, {"client 7", 16, {0, 0, 1}}});
  const double large = radius_of(svg, "client 0: 64 of label 0");
  EXPECT_NEAR(radius_of(svg, "client 0: 36 of label 1") / large, 6.0 / 8, 0.02);
  EXPECT_NEAR(radius_of(svg, "client 7: 16 of label 2") / large, 4.0 / 8, 0.02);
  EXPECT_THAT(svg, Not(HasSubstr("client 0: 0 of")));
  EXPECT_THAT(svg, HasSubstr(">100</text>"));
}

TEST(ReportSkew, NoDiscTouchesTheNextOrLeavesThePicture) {
  for (const size_t labels : {1, 2, 10, 40, 100}) {
    const std::string svg = label_bubbles(
        {{"a", 1e6, std::vector<double>(labels, 1)}, {"b", 1e6, std::vector<double>(labels, 1)}});
    const double column = (560 - 96 - 70) / static_cast<double>(std::min<size_t>(labels, 40));
    EXPECT_LE(2 * radius_of(svg, "a: 1,000,000 of label 0"), std::min(column, 26.0)) << labels;
    EXPECT_EQ(radius_of(svg, "a: 1,000,000 of label 40"), 0);
  }
}

TEST(ReportSkew, HostileClientsAreSurvived) {
  EXPECT_EQ(label_bubbles({}), "");
  EXPECT_EQ(label_bubbles({{"a", NAN, {1}}, {"b", 10, {}}, {"c", INFINITY, {NAN, -1, 1e308}}}), "");
  const std::string svg =
      label_bubbles({{"<script>", 10, {1}}, {"b", -5, {1, NAN}}, {"c", 1e300, {1, 1, 1}}});
  EXPECT_THAT(svg, Not(HasSubstr("<script>")));
  EXPECT_THAT(svg, HasSubstr("&lt;script&gt;: 10 of label 0"));
}

TEST(ReportSkew, FeaturesAndTimeAreSentencesWhereTheyWereMeasured) {
  EXPECT_THAT(skew_section({{"clients", 3}}), Not(HasSubstr("variance")));
  const std::string page = skew_section({{"clients", 3},
                                         {"feature-skew", 0.123},
                                         {"feature-skew-max", 0.5},
                                         {"feature-skew-max-column", 17},
                                         {"time-skew", -0.001}});
  EXPECT_THAT(page, HasSubstr("Of a feature's variance <b>12.3 %</b> lies between clients"));
  EXPECT_THAT(page, HasSubstr("It is the most in column 17: <b>50 %</b>"));
  EXPECT_THAT(page, HasSubstr("places in time <b>0 %</b>"));
  EXPECT_THAT(skew_section({{"feature-skew", NAN}}), Not(HasSubstr("variance")));
}

TEST(ReportSkew, ClientsWithSizesAreDiscsAndWithoutAreBars) {
  MetricRecord skew{{"clients", 2},
                    {"example-client-ids", std::vector<int64_t>{3, 4}},
                    {"example-client-labels", std::vector<double>{0.5, 0.5, 1, 0}}};
  EXPECT_THAT(skew_section(skew), HasSubstr("Labels of single clients"));
  skew.set("example-client-sizes", std::vector<int64_t>{10, 30});
  EXPECT_THAT(skew_section(skew), HasSubstr("client 4: 30 of label 0"));
  EXPECT_THAT(skew_section(skew), Not(HasSubstr("Labels of single clients")));
  skew.set("example-client-sizes", std::vector<int64_t>{10});
  EXPECT_THAT(skew_section(skew), HasSubstr("Labels of single clients"));
}

TEST(ReportSkew, ThePictureIsSmall) {
  std::vector<ClientLabels> clients(20, {"client 123456", 1000, std::vector<double>(40, 0.025)});
  EXPECT_LT(label_bubbles(clients).size(), 120'000u);
}

}  // namespace
}  // namespace umbel::cli
