#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "curve.h"
#include "report_html.h"
#include "report_svg.h"
#include "text_format.h"

namespace umbel::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

ReportData data_of(int64_t rounds) {
  ReportData data;
  data.run.id = 7;
  data.run.app = "quickstart";
  data.run.status = "completed";
  data.run.rounds = rounds;
  for (int64_t i = 1; i <= rounds; ++i) {
    RoundEvent round;
    round.round = i;
    round.clients = 100;
    round.bytes_down = 123'456'789;
    round.bytes_up = 98'765'432;
    round.server = {{"accuracy", 1 - 1.0 / static_cast<double>(i + 1)}, {"loss", 1.0 / i}};
    round.evaluate = {{"accuracy", 0.123456789}, {"loss", 0.2}};
    round.train = {{"accuracy", 0.5}, {"loss", 0.3}, {"extra", 1.0 * i}};
    data.rounds.push_back(round);
  }
  return data;
}

TEST(Report, StaysUnderOneMegabyteForAThousandRounds) {
  EXPECT_LT(report_html(data_of(1000)).size(), 1'000'000u);
  EXPECT_LT(report_html(data_of(50'000)).size(), 1'000'000u);
}

TEST(Report, FetchesNothingAndRunsNothing) {
  const std::string page = report_html(data_of(3));
  for (const char* word : {"<script", "<link", "<img", "url(", "@import", "src="}) {
    EXPECT_THAT(page, Not(HasSubstr(word)));
  }
  std::string rest = page;
  const std::string name_space = "xmlns=\"http://www.w3.org/2000/svg\"";
  for (size_t at = 0; (at = rest.find(name_space)) != std::string::npos;) {
    rest.erase(at, name_space.size());
  }
  EXPECT_THAT(rest, Not(HasSubstr("http")));
}

TEST(Report, ShowsWhatTheAppPublishedWithItsIntervals) {
  ReportData data = data_of(1);
  EXPECT_THAT(report_html(data), Not(HasSubstr("What the app published")));
  data.records = {{"validation",
                   {{"accuracy", 0.7665},
                    {"accuracy-low", 0.7478},
                    {"accuracy-high", 0.7852},
                    {"sites", 12},
                    {"x-low", 3},
                    {"by-class", std::vector<double>{0.5, 0.25}},
                    {"many", std::vector<int64_t>(40, 1)}}},
                  {"<b>", {{"<i>", 1}}},
                  {"local-process", {{"cpu-seconds", 77}}},
                  {"data-skew", {{"clients", 88888}}}};
  const std::string page = report_html(data);
  const auto row = [](const char* figure, const char* value) {
    return HasSubstr(fmt::format("<td>validation</td><td>{}</td><td>{}</td>", figure, value));
  };
  EXPECT_THAT(page, row("accuracy", "0.766 (0.748 to 0.785)"));
  EXPECT_THAT(page, row("sites", "12"));
  EXPECT_THAT(page, row("x-low", "3")) << "an end of nothing";
  EXPECT_THAT(page, row("by-class", "0.500, 0.250"));
  EXPECT_THAT(page, row("many", "40 numbers"));
  EXPECT_THAT(page, Not(HasSubstr("accuracy-low")));
  EXPECT_THAT(page, HasSubstr("<td>&lt;b&gt;</td><td>&lt;i&gt;</td>"));
  EXPECT_THAT(page, Not(HasSubstr("cpu-seconds")));
  data.records = {{"half", {{"acc", 0.5}, {"acc-low", 0.4}, {"temp-high", 41}}}, {"long", {}}};
  std::string wide = "a";
  for (int i = 0; i != 400; ++i) wide += "\u00e9";
  data.records[1].metrics.set(wide, 1);
  const std::string halves = report_html(data);
  EXPECT_THAT(halves, HasSubstr("<td>acc-low</td><td>0.400</td>"));
  EXPECT_THAT(halves, HasSubstr("<td>temp-high</td><td>41</td>"));
  EXPECT_THAT(halves, HasSubstr("\u00e9</td>")) << "cut between two characters";
  EXPECT_THAT(halves, Not(HasSubstr("\xc3<")));
  data.records = {{"much", {}}};
  for (int i = 0; i != 100'000; ++i) data.records[0].metrics.append(std::to_string(i), 1);
  EXPECT_THAT(report_html(data), HasSubstr("And 99,500 more figures"));
  EXPECT_LT(report_html(data).size(), 1'000'000u);
}

TEST(Report, TextFromOutsideIsEscaped) {
  const std::string evil = "<script>alert('x')</script>\"&";
  ReportData data = data_of(1);
  data.run.app = data.run.version = data.run.publisher = data.run.error = data.run.path = evil;
  data.run.folder = data.run.machine = data.run.model_sha256 = data.run.status = evil;
  data.run.failures = 1;
  data.run.failure_reasons = {{evil, 1}};
  data.rounds[0].note = evil;
  data.rounds[0].failure_reasons = {{evil, 1}};
  data.rounds[0].failure_samples = {{1, evil, evil}};
  data.run.reason = evil;
  data.rounds[0].train.set(evil, 1.0);
  data.settings = {{evil, ConfigValue(evil), evil}};
  data.artifacts = {{evil, 1, evil}};
  const std::string page = report_html(data);
  EXPECT_THAT(page, Not(HasSubstr("<script")));
  EXPECT_THAT(page, Not(HasSubstr("alert('")));
  EXPECT_THAT(page, HasSubstr("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot;&amp;"));
}

TEST(Report, HasALineForEachLens) {
  const std::string page = report_html(data_of(3));
  for (const char* lens : {"bandwidth", "latency", "efficiency", "reliability", "privacy"}) {
    EXPECT_THAT(page, HasSubstr("<tr><td>" + std::string(lens) + "</td><td>"));
  }
}

TEST(Report, SaysWhyTheRunEndedAndWhatTheFirstFailuresWere) {
  ReportData data = data_of(30);
  data.run.rounds_planned = 40;
  data.run.reason = "accuracy reached 0.9, target 0.8";
  data.run.failures = 60;
  data.run.failure_reasons = {{"client-failed", 60}};
  for (RoundEvent& round : data.rounds) {
    round.failure_samples = {{12345, "client-failed", "boom"}, {-1, "client-failed", "boom"}};
  }
  const std::string page = report_html(data);
  EXPECT_THAT(page, HasSubstr("30 of 40 rounds: accuracy reached 0.9, target 0.8."));
  EXPECT_THAT(page, HasSubstr("<td>12345</td><td>client-failed</td><td>boom</td>"));
  size_t shown = 0;
  for (size_t at = 0; (at = page.find("<td>boom</td>", at)) != std::string::npos; ++at) ++shown;
  EXPECT_EQ(shown, 20u);
}

TEST(Report, WhatNeverChangesIsASentence) {
  ReportData data = data_of(3);
  for (RoundEvent& round : data.rounds) {
    round.train.set("steps", 60.0);
    round.bytes_up = round.bytes_down;
  }
  const std::string page = report_html(data);
  EXPECT_THAT(page, HasSubstr("<b>steps</b>, training: 60 in all 3 rounds that have it."));
  EXPECT_THAT(page, Not(HasSubstr("aria-label=\"steps\"")));
  EXPECT_THAT(page, HasSubstr("aria-label=\"accuracy\""));
  EXPECT_THAT(page, HasSubstr("Every round carries the same, and as much down as up."));
  EXPECT_THAT(page, Not(HasSubstr("Bytes a round")));
}

TEST(Report, AsManyBytesEachWayAreOneLineThatSaysSo) {
  ReportData data = data_of(3);
  for (RoundEvent& round : data.rounds) round.bytes_up = round.bytes_down += round.round;
  const std::string page = report_html(data);
  EXPECT_THAT(page, HasSubstr("to clients, and as many back"));
  EXPECT_THAT(page, Not(HasSubstr("from clients")));
}

TEST(Report, TheTableHasNoEmptyColumns) {
  ReportData data = data_of(3);
  EXPECT_THAT(report_html(data), HasSubstr("<th>loss, federated</th>"));
  for (RoundEvent& round : data.rounds) round.evaluate = {};
  data.rounds[1].failures = 2;
  std::string page = report_html(data);
  for (const char* there : {"accuracy, server", "loss, server", "loss, training", "failed"}) {
    EXPECT_THAT(page, HasSubstr(fmt::format("<th>{}</th>", there)));
  }
  for (const char* gone :
       {"<th>loss, federated</th>", "<th>accuracy, federated</th>", ">note</th>"}) {
    EXPECT_THAT(page, Not(HasSubstr(gone)));
  }
}

TEST(Report, TheBestRoundHasATile) {
  ReportData data = data_of(3);
  data.rounds[1].server.set("accuracy", 0.987);
  EXPECT_THAT(report_html(data),
              HasSubstr("<b>0.987</b><span>best accuracy, server, round 2</span>"));
  for (RoundEvent& round : data.rounds) {
    round.server = round.evaluate = {};
    round.train = {{"loss", static_cast<double>(round.round)}};
  }
  EXPECT_THAT(report_html(data),
              HasSubstr("<b>1.000</b><span>best loss, training, round 1</span>"));
}

// The digits of a tick are about 6 wide, and a chart begins at 0.
TEST(Report, NoLabelBeginsLeftOfItsChart) {
  const std::string chart =
      line_chart("b", {{"down", 0, {{1, 1000}, {2, 1023}}}}, AxisUnit::kBytes);
  const std::string tick = "<text class=\"tick\" x=\"";
  size_t labels = 0;
  for (size_t at = 0; (at = chart.find(tick, at)) != std::string::npos;) {
    at += tick.size();
    const double x = std::stod(chart.substr(at));
    const size_t from = chart.find('>', at) + 1, to = chart.find('<', from);
    if (chart.substr(at, from - at).find("end") == std::string::npos) continue;
    EXPECT_GE(x, 6.0 * static_cast<double>(to - from)) << chart.substr(from, to - from);
    ++labels;
  }
  EXPECT_GE(labels, 4u);
}

TEST(Report, ClientsThatHaveAsManyExamplesAreASentence) {
  ReportData data = data_of(1);
  data.records = {{"data-skew",
                   {{"clients", 1000},
                    {"size-min", 60},
                    {"size-max", 60},
                    {"size-histogram-edges", std::vector<double>{60, 60}},
                    {"size-histogram-counts", std::vector<int64_t>{1000}}}}};
  const std::string page = report_html(data);
  EXPECT_THAT(page, HasSubstr("Every client has <b>60</b> examples."));
  EXPECT_THAT(page, Not(HasSubstr("60 to 60")));
  EXPECT_THAT(page, Not(HasSubstr("Clients by number of examples")));
}

TEST(Report, SkewOfAnyShapeIsDrawnOrLeftOut) {
  ReportData data = data_of(1);
  data.records = {{"data-skew",
                   {{"clients", 1000},
                    {"size-min", 1},
                    {"size-max", 9},
                    {"label-share", std::vector<double>{0.25, 0.75}},
                    {"size-histogram-edges", std::vector<double>{0, 5, 10}},
                    {"size-histogram-counts", std::vector<int64_t>{600, 400}},
                    {"example-client-ids", std::vector<int64_t>{3, 4}},
                    {"example-client-labels", std::vector<int64_t>{1, 2, 3, 4}}}}};
  const std::string page = report_html(data);
  EXPECT_THAT(page, HasSubstr("1,000</b> clients"));
  EXPECT_THAT(page, HasSubstr("client 4"));
  EXPECT_THAT(page, HasSubstr("600 clients"));
  EXPECT_THAT(page, HasSubstr("label 1: 75.00 %"));
  data.records = {{"data-skew",
                   {{"label-share", std::vector<double>{NAN, INFINITY, -1}},
                    {"size-histogram-edges", std::vector<double>{0}},
                    {"size-histogram-counts", std::vector<double>{1e308, 1e308}},
                    {"example-client-ids", std::vector<double>{NAN, 1e300, 2}},
                    {"example-client-labels", std::vector<double>{1, 2}}}}};
  EXPECT_THAT(report_html(data), HasSubstr("How the data differ"));
}

TEST(Report, HostileFiguresAreSurvived) {
  ReportData data = data_of(4);
  data.rounds[0].train = {{"loss", NAN}, {"accuracy", -1e308}};
  data.rounds[1].train = {{"loss", INFINITY}, {"accuracy", 1e308}};
  data.rounds[2].train = {{"loss", 1e-310}, {"accuracy", 0.0}};
  data.rounds[3].bytes_down = INT64_MAX;
  data.rounds[3].round = INT64_MAX;
  EXPECT_THAT(report_html(data), HasSubstr("</html>"));
  EXPECT_THAT(report_html(ReportData()), HasSubstr("No round was finished"));
}

Curve curve_of(std::vector<double> values) {
  Curve curve{"accuracy", {}, std::move(values)};
  for (size_t i = 0; i != curve.values.size(); ++i) {
    curve.rounds.push_back(static_cast<double>(i + 1));
  }
  return curve;
}

TEST(Curve, ARisingLineGoesFromBottomLeftToTopRight) {
  const std::string text = draw_curve(curve_of({0, 0.25, 0.5, 0.75, 1}), 40, false);
  std::vector<std::string> rows;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    rows.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  ASSERT_EQ(rows.size(), 10u);  // the name, eight rows, the axis
  EXPECT_THAT(rows[0], HasSubstr("accuracy"));
  EXPECT_THAT(rows[1], testing::StartsWith("1.000 |"));
  EXPECT_THAT(rows[8], testing::StartsWith("0.000 |*"));
  size_t last = 0;
  for (int row = 8; row >= 1; --row) {
    const size_t star = rows[static_cast<size_t>(row)].find('*');
    ASSERT_NE(star, std::string::npos) << row;
    EXPECT_GE(star, last);
    last = star;
  }
  EXPECT_EQ(rows[1].back(), '*');
  EXPECT_LE(rows[1].size(), 40u);
}

TEST(Curve, NeedsTwoFinitePointsAndPrefersAccuracy) {
  EXPECT_EQ(draw_curve(curve_of({1}), 80, true), "");
  EXPECT_EQ(draw_curve(curve_of({-1e308, 1e308}), 80, true), "");
  EXPECT_NE(draw_curve(curve_of({1, 1}), 80, true), "");
  std::vector<RoundEvent> rounds(3);
  for (int i = 0; i != 3; ++i) rounds[static_cast<size_t>(i)].round = i + 1;
  rounds[0].train = {{"loss", 2.0}};
  rounds[1].train = {{"loss", NAN}};
  rounds[2].train = {{"loss", 1.0}};
  EXPECT_EQ(main_curve(rounds).name, "loss");
  EXPECT_THAT(main_curve(rounds).values, testing::ElementsAre(2.0, 1.0));
  rounds[2].server = {{"accuracy", 0.5}};
  EXPECT_EQ(main_curve(rounds).name, "accuracy");
}

TEST(TextFormat, NumbersAsPeopleReadThem) {
  EXPECT_EQ(count_text(0), "0");
  EXPECT_EQ(count_text(999), "999");
  EXPECT_EQ(count_text(2310), "2,310");
  EXPECT_EQ(count_text(-1234567), "-1,234,567");
  EXPECT_EQ(count_text(-123), "-123");
  EXPECT_EQ(bytes_text(1023), "1023 bytes");
  EXPECT_EQ(bytes_text(1536), "1.5 KiB");
  EXPECT_EQ(bytes_text(int64_t{1} << 62), "4.0 EiB");
  EXPECT_EQ(seconds_text(0.04), "0.04s");
  EXPECT_EQ(seconds_text(185), "3m 05s");
  EXPECT_EQ(seconds_text(7800), "2h 10m");
  EXPECT_EQ(metric_text(0.8344), "0.834");
  EXPECT_EQ(metric_text(1.25e-7), "1.25e-07");
  EXPECT_EQ(metric_text(MetricValue(12345)), "12345");
  EXPECT_EQ(metric_text(MetricValue(60.0)), "60");
  EXPECT_EQ(metric_text(MetricValue(60.5)), "60.50");
  EXPECT_EQ(metric_text(MetricValue(1.0)), "1.000");
  EXPECT_EQ(metric_text(MetricValue(std::vector<double>{1, 2})), "2 numbers");
  EXPECT_EQ(rounds_text(1, 30), "1 of 30");
  EXPECT_EQ(rounds_text(30, 30), "30");
  EXPECT_EQ(age_text(90'000), "1m");
  EXPECT_EQ(utc_text(0), "1970-01-01T00:00:00Z");
}

TEST(TextFormat, NothingReachesATerminalAsAnEscape) {
  EXPECT_EQ(terminal_safe("a\x1b[2J\r\tb\x7f\xc2\x9b é"), "a\\x1b[2J\\x0d\tb\\x7f\\x9b é");
}

}  // namespace
}  // namespace umbel::cli
