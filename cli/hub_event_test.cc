#include "hub_event.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace umbel::cli {
namespace {

using testing::HasSubstr;

TEST(HubEvent, AnEventOfTheAppComesAsItIs) {
  const auto event = parse_hub_event(
      R"({"seq":7,"time-ms":1000,"event":{"event":"round","round":2,"clients":5}})", "hub");
  ASSERT_TRUE(event.ok()) << event.status();
  EXPECT_EQ(event->sequence, 7);
  EXPECT_EQ(event->time_ms, 1000);
  const auto* round = std::get_if<RoundEvent>(&std::get<Event>(event->what));
  ASSERT_NE(round, nullptr);
  EXPECT_EQ(round->round, 2);
  EXPECT_EQ(round->clients, 5);
  EXPECT_FALSE(log_line_of(*event));
}

TEST(HubEvent, APrintedLineAndALogEventAreLinesOfTheLog) {
  const auto printed = parse_hub_event(
      R"({"seq":1,"time-ms":5,"event":{"event":"output","error":true,"line":"oh"}})", "hub");
  ASSERT_TRUE(printed.ok()) << printed.status();
  const auto line = log_line_of(*printed);
  ASSERT_TRUE(line);
  EXPECT_EQ(line->side, "app");
  EXPECT_EQ(line->level, "error");
  EXPECT_EQ(line->message, "oh");
  EXPECT_EQ(line->time_ms, 5);
  const auto logged = parse_hub_event(
      R"({"seq":2,"event":{"event":"log","side":"client","level":"warn","node":3,"message":"m"}})",
      "hub");
  ASSERT_TRUE(logged.ok()) << logged.status();
  EXPECT_EQ(log_line_of(*logged)->node, 3);
}

TEST(HubEvent, ARunsSettingsComeAsTheyWereGiven) {
  const auto settings = hub_settings_of(Json::parse(
      R"({"run-config":[{"key":"rounds","value":3,"origin":"umbel.toml:9"},
                        {"key":"rate","value":1.0},{"key":"on","value":true},
                        {"key":"name","value":"x"},{"key":"sizes","value":[1,2]},
                        {"key":"mixed","value":[1,0.5]}]})"));
  ASSERT_TRUE(settings.ok()) << settings.status();
  std::vector<std::string> texts;
  for (const Setting& one : *settings) texts.push_back(one.key + " = " + one.value.text());
  EXPECT_THAT(texts, testing::ElementsAre("rounds = 3", "rate = 1.0", "on = true", "name = \"x\"",
                                          "sizes = [1, 2]", "mixed = [1.0, 0.5]"));
  EXPECT_EQ(settings->front().origin, "umbel.toml:9");
  EXPECT_TRUE(hub_settings_of(Json::object())->empty());
}

TEST(HubEvent, ASettingOfNoKindIsRefused) {
  for (const char* value : {"null", "{}", "[1,\"a\"]", "[[1]]", "[true,1]"}) {
    const std::string text = fmt::format(R"({{"run-config":[{{"key":"k","value":{}}}]}})", value);
    EXPECT_FALSE(hub_settings_of(Json::parse(text)).ok()) << text;
  }
  EXPECT_FALSE(hub_settings_of(Json::parse(R"({"run-config":[{"key":"k"}]})")).ok());
  EXPECT_FALSE(hub_settings_of(Json::parse(R"({"run-config":["k"]})")).ok());
}

TEST(HubEvent, TheEndSaysWhatBecameOfTheRun) {
  const auto event = parse_hub_event(
      R"({"end":true,"run":{"run-id":12,"status":"failed","error":"no nodes","exit-code":1}})",
      "hub");
  ASSERT_TRUE(event.ok()) << event.status();
  const cli::Run& run = std::get<cli::Run>(event->what);
  EXPECT_EQ(run.link, "hub");
  EXPECT_EQ(run.link_run, 12);
  EXPECT_EQ(run.status, "failed");
  EXPECT_EQ(run.error, "no nodes");
  EXPECT_FALSE(is_under_way(run));
}

TEST(HubEvent, WhatAHubMayNotSayIsRefused) {
  for (const char* line :
       {"", "x", "[]", "{}", R"({"seq":1})", R"({"seq":1,"event":7})",
        R"({"event":{"event":"log"}})", R"({"seq":-1,"event":{"event":"rounds","rounds":1}})",
        R"({"end":true})", R"({"end":true,"run":{"run-id":1,"status":"won"}})",
        R"({"end":true,"run":{"status":"failed"}})",
        R"({"seq":1,"event":{"event":"artifact","name":"../x","bytes":1,"sha256":""}})",
        R"({"seq":1,"event":{"event":"rounds","rounds":"many"}})"}) {
    EXPECT_FALSE(parse_hub_event(line, "hub").ok()) << line;
  }
  EXPECT_FALSE(parse_hub_event(std::string(100'000, '['), "hub").ok());
}

TEST(HubEvent, TextsOfARunAreSafeToShow) {
  const auto run = hub_run_of(
      {{"run-id", 1}, {"status", "running"}, {"app", "a\x1b[31m"}, {"nodes", -5}, {"rounds", 1e9}},
      "hub");
  ASSERT_TRUE(run.ok());
  EXPECT_EQ(run->app, "a\\x1b[31m");
  EXPECT_EQ(run->nodes, 0);
  EXPECT_EQ(run->rounds, 0);
}

}  // namespace
}  // namespace umbel::cli
