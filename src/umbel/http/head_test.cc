#include "umbel/http/head.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "umbel/http/chunks.h"

namespace umbel::http {
namespace {

std::string request(const std::string& line, const std::string& fields = "") {
  return line + "\r\nHost: x\r\n" + fields + "\r\n";
}
Result<RequestHead> head_of(const std::string& target, const std::string& fields = "") {
  const Result<ParsedRequest> parsed =
      parse_request(request("GET " + target + " HTTP/1.1", fields));
  if (!parsed.ok()) return parsed.status();
  return request_head(*parsed);
}

TEST(HeadTest, AProperRequestIsTakenApart) {
  const auto parsed = parse_request(
      "PUT /v1/a%20b?after=3&x=%41 HTTP/1.1\r\nHost: hub:9092\r\nContent-Length:  12 \r\n"
      "AUTHORIZATION: Bearer abc\r\nRange: bytes=5-9\r\nX: \xc3\xa4\t!\r\n\r\n");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->method, "PUT");
  EXPECT_TRUE(parsed->keep_alive);
  const auto head = request_head(*parsed);
  ASSERT_TRUE(head.ok()) << head.status();
  EXPECT_EQ(head->path, "/v1/a b");
  EXPECT_EQ(head->query_value("after"), "3");
  EXPECT_EQ(head->query_value("x"), "A");
  EXPECT_EQ(head->query_value("y"), "");
  EXPECT_EQ(head->bearer, "abc");
  EXPECT_EQ(head->content_length, 12u);
  ASSERT_TRUE(head->range.has_value());
  EXPECT_EQ(head->range->first, 5u);
  EXPECT_EQ(head->range->second, 9u);
}

TEST(HeadTest, WhatTwoParsersMightReadInTwoWaysIsRefused) {
  for (const char* fields : {"Content-Length: 1\r\nContent-Length: 1\r\n",
                             "Content-Length: 1, 1\r\n",
                             "Content-Length: +1\r\n",
                             "Content-Length: -1\r\n",
                             "Content-Length: 0x1\r\n",
                             "Content-Length: 1 2\r\n",
                             "Content-Length:\r\n",
                             "Content-Length: 99999999999999999999\r\n",
                             "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
                             "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n",
                             "Transfer-Encoding: gzip\r\n",
                             "Transfer-Encoding: gzip, chunked\r\n",
                             "Transfer-Encoding: chunked, chunked\r\n",
                             "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                             "Transfer-Encoding: xchunked\r\n",
                             "Transfer-Encoding:\r\n",
                             "Host: y\r\n",
                             "A: b\r\n c\r\n",
                             "A: b\r\n\tc\r\n",
                             " A: b\r\n",
                             "A : b\r\n",
                             "A\r\n",
                             ": b\r\n",
                             "A\xc3: b\r\n",
                             "A: \x01\r\n",
                             "A: b\nC: d\r\n",
                             "A: b\rC: d\r\n",
                             "A: b\x7f\r\n",
                             "A(: b\r\n"}) {
    EXPECT_FALSE(parse_request(request("GET / HTTP/1.1", fields)).ok()) << fields;
  }
  EXPECT_FALSE(parse_request(request("GET / HTTP/1.1", std::string("A: b\0c\r\n", 8))).ok());
  EXPECT_FALSE(parse_request("GET / HTTP/1.1\r\n\r\n").ok()) << "no host";
  EXPECT_FALSE(parse_request("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n").ok());
  std::string many;
  for (size_t i = 0; i != kHeadFieldsMax; ++i) many += "A: b\r\n";
  EXPECT_FALSE(parse_request(request("GET / HTTP/1.1", many)).ok());
}

TEST(HeadTest, MalformedRequestLinesAreRefused) {
  for (const char* line :
       {"", "GET", "GET /", "GET  / HTTP/1.1", "GET / HTTP/1.1 ", " GET / HTTP/1.1",
        "GET / HTTP/2.0", "GET / HTTP/1.2", "GET / http/1.1", "GET x HTTP/1.1", "GET * HTTP/1.1",
        "GET http://x/ HTTP/1.1", "GET /a b HTTP/1.1", "GET /#a HTTP/1.1", "GET /\x80 HTTP/1.1",
        "GET /\t HTTP/1.1", "G(T / HTTP/1.1", "ABCDEFGHIJKLMNOPQ / HTTP/1.1", "GET\t/ HTTP/1.1"}) {
    EXPECT_FALSE(parse_request(request(line)).ok()) << line;
  }
}

TEST(HeadTest, TargetsThatClimbOrHideSomethingAreRefused) {
  for (const char* target :
       {"/..", "/a/../b", "/%2e%2e/b", "/a/.%2E", "/./a", "/%00", "/a%0d%0ab", "/%7f", "/a%2fb",
        "/a%2Fb", "/a%5cb", "/a\\b", "/%", "/%4", "/%zz", "/a?%", "/a?x=%0a"}) {
    EXPECT_FALSE(head_of(target).ok()) << target;
  }
  EXPECT_TRUE(head_of("/a/..b/.c./...").ok());
  EXPECT_FALSE(head_of("/", "Authorization: Bearer a\r\nAuthorization: Bearer b\r\n").ok());
}

TEST(HeadTest, AMalformedRangeIsAsIfItWereNotThere) {
  for (const char* range : {"bytes=", "bytes=-", "bytes=-5", "bytes=9-5", "bytes=1-2,4-5",
                            "bytes=a-b", "items=1-2", "bytes=1", "bytes= 1-2", "bytes=1--2"}) {
    const auto head = head_of("/", "Range: " + std::string(range) + "\r\n");
    ASSERT_TRUE(head.ok()) << range;
    EXPECT_FALSE(head->range.has_value()) << range;
  }
  const auto open = head_of("/", "Range: bytes=7-\r\n");
  ASSERT_TRUE(open.ok() && open->range.has_value());
  EXPECT_EQ(open->range->first, 7u);
  EXPECT_FALSE(open->range->second.has_value());
}

TEST(HeadTest, RepliesAreReadAsStrictly) {
  const auto reply = parse_reply("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n");
  ASSERT_TRUE(reply.ok());
  EXPECT_EQ(reply->code, 200);
  EXPECT_EQ(reply->framing.length, 3u);
  EXPECT_TRUE(parse_reply("HTTP/1.1 200\r\n\r\n").ok());
  for (const char* wrong :
       {"HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n", "HTTP/1.1 099 OK\r\n\r\n", "\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"}) {
    EXPECT_FALSE(parse_reply(wrong).ok()) << wrong;
  }
}

TEST(HeadTest, NoBytesCrashTheParser) {
  EXPECT_TRUE(rc::check("any bytes are parsed or refused", [](const std::string& text) {
    const auto parsed = parse_request(text + "\r\n\r\n");
    if (parsed.ok()) (void)request_head(*parsed);
    (void)parse_reply("HTTP/1.1 200" + text + "\r\n\r\n");
  }));
}

// The body of a chunked text, given in pieces of `size` bytes.
Result<std::string> decoded(std::string_view text, size_t size) {
  Chunks chunks;
  std::string in, body;
  while (true) {
    const Result<Chunks::Next> next = chunks.next(in);
    if (!next.ok()) return next.status();
    body += next->data;
    in.erase(0, next->used);
    if (next->end) return in.empty() && text.empty() ? Result<std::string>(body) : "more";
    if (next->used != 0) continue;
    if (text.empty()) return unavailable("ended early");
    in += text.substr(0, size);
    text.remove_prefix(std::min(size, text.size()));
  }
}

TEST(ChunksTest, BodiesComeOutWholeHoweverTheyArrive) {
  EXPECT_TRUE(
      rc::check("chunks put together are the body", [](const std::vector<std::string>& parts) {
        std::string text, body;
        for (const std::string& part : parts) {
          if (part.empty()) continue;
          text += fmt::format("{:x}\r\n", part.size()) + part + "\r\n";
          body += part;
        }
        text += "0\r\n\r\n";
        for (const size_t size : {1, 2, 3, 7, 1000}) {
          const auto out = decoded(text, size);
          RC_ASSERT(out.ok());
          RC_ASSERT(*out == body);
        }
      }));
}

TEST(ChunksTest, MalformedChunksAreRefused) {
  for (const char* wrong : {"g\r\n", "\r\n", "-1\r\n", "+1\r\n", "0x1\r\n", "1;a=b\r\nx\r\n",
                            "1\nx\r\n", "1\r\nxy\r\n", "8000000000000000\r\n",
                            "ffffffffffffffffff\r\n", "1 \r\nx\r\n", "0\r\nA: b\r\n\r\n", "1\rx"}) {
    for (const size_t size : {1, 1000}) {
      EXPECT_EQ(decoded(wrong, size).status().code(), absl::StatusCode::kInvalidArgument)
          << wrong << " in pieces of " << size;
    }
  }
}

}  // namespace
}  // namespace umbel::http
