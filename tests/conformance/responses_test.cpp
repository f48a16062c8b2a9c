// Raw answers of an origin, what the client gets of each, and whether the connection to the origin
// is used again: an incomplete answer is never made to look complete, and no byte of one answer
// becomes part of another, however the bytes are cut.
#include <gtest/gtest.h>

#include "tests/conformance/rig.h"

namespace sluice::conformance {
namespace {

using simulation::Message;
using simulation::Reading;

struct Case {
  const char* why;
  std::string request;  // its first line; "" is GET /r HTTP/1.1
  std::string response;
  bool closes;
  std::string answer;  // status, how its end is told, body
  const char* next;    // what became of the connection to the origin: "reused" or "fresh"
};

constexpr const char* malformed = "502 upstream.malformed";
constexpr const char* reused = "reused";
constexpr const char* fresh = "fresh";

std::string ok(const std::string& fields, const std::string& body = "") {
  return "HTTP/1.1 200 OK\r\n" + fields + "\r\n" + body;
}
std::string many(unsigned count, const std::string& text) {
  std::string all;
  for (unsigned i = 0; i < count; ++i) all += text;
  return all;
}

const std::vector<Case>& framing() {
  static const std::vector<Case> table = {
      {"by length (RFC 9112 6.3)", "", ok("Content-Length: 5\r\n", "hello"), false,
       "200 length hello", reused},
      {"chunked (RFC 9112 7.1)", "",
       ok("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"), false, "200 chunked hello",
       reused},
      {"chunked with extensions and trailers", "",
       ok("Transfer-Encoding: chunked\r\n", "5;a\r\nhello\r\n0\r\nA: b\r\nAge: 1\r\n\r\n"), false,
       "200 chunked hello A=b", reused},
      {"chunked for HTTP/1.0 (RFC 9112 7.1)", "GET /r HTTP/1.0",
       ok("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\nA: b\r\n\r\n"), false,
       "200 close hello", reused},
      {"until close (RFC 9112 6.3)", "", ok("", "hello"), true, "200 chunked hello", fresh},
      {"until close, for HTTP/1.0", "GET /r HTTP/1.0", ok("", "hello"), true, "200 close hello",
       fresh},
      {"HTTP/1.0 from the origin", "", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", false,
       "200 length hello", fresh},
      {"Connection: close", "", ok("Connection: close\r\nContent-Length: 5\r\n", "hello"), false,
       "200 length hello", fresh},
      {"no body at all", "", ok("Content-Length: 0\r\n"), false, "200 length", reused},
      {"HEAD has no body, whatever its fields say (RFC 9110 9.3.2)", "HEAD /r HTTP/1.1",
       ok("Content-Length: 5\r\n"), false, "200 length", reused},
      {"HEAD, chunked", "HEAD /r HTTP/1.1", ok("Transfer-Encoding: chunked\r\n"), false, "200 none",
       reused},
      {"HEAD with a body: bytes that answer nothing", "HEAD /r HTTP/1.1",
       ok("Content-Length: 5\r\n", "hello"), false, "200 length", fresh},
      {"204 has no body (RFC 9110 15.3.5)", "", "HTTP/1.1 204 No Content\r\n\r\n", false,
       "204 none", reused},
      {"204 with a length", "", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", false,
       "204 none", reused},
      {"204 with a body", "", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", false,
       "204 none", fresh},
      {"304 keeps its length and has no body (RFC 9110 15.4.5)", "",
       "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", false, "304 length", reused},
      {"304 with a body", "", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello", false,
       "304 length", fresh},
      {"bytes behind the answer (CWE-444)", "",
       ok("Content-Length: 5\r\n", "helloHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen"),
       false, "200 length hello", fresh},
      {"bytes behind a large answer, which is not copied", "",
       ok("Content-Length: 200000\r\n",
          std::string(200'000, 'x') + "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen"),
       false, "200 length " + std::string(200'000, 'x'), fresh},
      {"a large answer and nothing behind it", "",
       ok("Content-Length: 200000\r\n", std::string(200'000, 'x')), false,
       "200 length " + std::string(200'000, 'x'), reused},
      {"a large answer that ends early", "",
       ok("Content-Length: 200001\r\n", std::string(200'000, 'x')), true, "broken", fresh},
      {"bytes behind the last chunk", "", ok("Transfer-Encoding: chunked\r\n", "0\r\n\r\nx"), false,
       "200 chunked", fresh},
      {"two lengths", "", ok("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"), false,
       malformed, fresh},
      {"two lengths that differ (RFC 9112 6.3)", "",
       ok("Content-Length: 5\r\nContent-Length: 6\r\n", "hello!"), false, malformed, fresh},
      {"a list of lengths", "", ok("Content-Length: 5, 5\r\n", "hello"), false, malformed, fresh},
      {"a negative length", "", ok("Content-Length: -5\r\n", "hello"), false, malformed, fresh},
      {"length and encoding (CWE-444)", "",
       ok("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), false, malformed,
       fresh},
      {"gzip, chunked", "", ok("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), false,
       malformed, fresh},
      {"Transfer-Encoding in HTTP/1.0", "",
       "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", false, malformed, fresh},
      {"a body that ends early (RFC 9112 8)", "", ok("Content-Length: 6\r\n", "hello"), true,
       "broken", fresh},
      {"a chunked body that ends early", "", ok("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n"),
       true, "broken", fresh},
      {"a chunked body that ends early, for HTTP/1.0", "GET /r HTTP/1.0",
       ok("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n"), true, "broken", fresh},
      {"a bad chunk at once", "", ok("Transfer-Encoding: chunked\r\n", "x\r\n"), false,
       "broken or 502 upstream.malformed", fresh},
      {"a bad chunk later", "", ok("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n-1\r\n"), false,
       "broken or 502 upstream.malformed", fresh},
      {"trailers that frame (RFC 9110 6.5.1)", "",
       ok("Transfer-Encoding: chunked\r\n",
          "1\r\nx\r\n0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nA: b\r\n\r\n"),
       false, "200 chunked x A=b", reused},
      {"blanks in chunk extensions (RFC 9112 7.1.1)", "",
       ok("Transfer-Encoding: chunked\r\n", "5 ; a = b\r\nhello\r\n0\r\n\r\n"), false,
       "200 chunked hello", reused},
      {"blanks around a chunk-size", "",
       ok("Transfer-Encoding: chunked\r\n", " 5  \r\nhello\r\n0 \r\n\r\n"), false,
       "200 chunked hello", reused},
      {"tabs around what frames (RFC 9110 5.5)", "", ok("Content-Length:\t5\t\r\n", "hello"), false,
       "200 length hello", reused},
      {"trailers that Connection may mean are not passed on", "",
       ok("Connection: X-Hop\r\nTransfer-Encoding: chunked\r\n", "1\r\nx\r\n0\r\nX-Hop: b\r\n\r\n"),
       false, "200 chunked x", reused},
  };
  return table;
}

const std::vector<Case>& heads() {
  static const std::vector<Case> table = {
      {"a reason phrase of any kind (RFC 9112 4)", "",
       "HTTP/1.1 200 \xc3\xa4 <b>\r\nContent-Length: 0\r\n\r\n", false, "200 length", reused},
      {"no reason phrase", "", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", false, "200 length",
       reused},
      {"not even its blank", "", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", false, "200 length",
       reused},
      {"a status nobody named", "", "HTTP/1.1 599 Odd\r\nContent-Length: 0\r\n\r\n", false,
       "599 length", reused},
      {"status 600", "", "HTTP/1.1 600 Odd\r\nContent-Length: 0\r\n\r\n", false, malformed, fresh},
      {"status 099", "", "HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n", false, malformed, fresh},
      {"status 20", "", "HTTP/1.1 20 Odd\r\nContent-Length: 0\r\n\r\n", false, malformed, fresh},
      {"status 2000", "", "HTTP/1.1 2000 Odd\r\nContent-Length: 0\r\n\r\n", false, malformed,
       fresh},
      {"status 2x0", "", "HTTP/1.1 2x0 Odd\r\nContent-Length: 0\r\n\r\n", false, malformed, fresh},
      {"two blanks before the status", "", "HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n", false,
       malformed, fresh},
      {"HTTP/2.0", "", "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", false, malformed, fresh},
      {"HTTP/1.2", "", "HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n", false, malformed, fresh},
      {"ICY", "", "ICY 200 OK\r\n\r\n", false, malformed, fresh},
      {"no HTTP at all", "", "SSH-2.0-OpenSSH_9.2p1\r\n\r\n", false, malformed, fresh},
      {"a blank line first", "", "\r\n" + ok("Content-Length: 0\r\n"), false, malformed, fresh},
      {"a folded field (RFC 9112 5.2)", "", ok("A: b\r\n c\r\nContent-Length: 0\r\n"), false,
       malformed, fresh},
      {"a blank before the colon (RFC 9112 5.1)", "",
       ok("A : b\r\nContent-Length \t: 5\r\n", "hello"), false, "200 length hello", reused},
      {"a blank in a name", "", ok("A b: c\r\nContent-Length: 0\r\n"), false, malformed, fresh},
      {"more options of Connection than anybody has", "",
       ok("Connection: " + many(33, "a,") + "b\r\nContent-Length: 0\r\n"), false, malformed, fresh},
      {"a bare LF (CWE-113)", "", ok("A: b\nSet-Cookie: evil\r\nContent-Length: 0\r\n"), false,
       malformed, fresh},
      {"a bare CR (CWE-113)", "", ok("A: b\rSet-Cookie: evil\r\nContent-Length: 0\r\n"), false,
       malformed, fresh},
      {"a NUL", "", ok(std::string{"A: b\0\r\n", 7} + "Content-Length: 0\r\n"), false, malformed,
       fresh},
      {"100 fields", "", ok(many(99, "A: b\r\n") + "Content-Length: 0\r\n"), false, "200 length",
       reused},
      {"101 fields", "", ok(many(100, "A: b\r\n") + "Content-Length: 0\r\n"), false, malformed,
       fresh},
      {"more than 32 KiB", "",
       ok("A: " + std::string(32 * 1024, 'b') + "\r\nContent-Length: 0\r\n"), false, malformed,
       fresh},
      {"half a head", "", "HTTP/1.1 200 OK\r\nA: b", true, "502 upstream.closed", fresh},
      {"nothing; the client's GET is tried once more and then answered", "", "", true,
       "200 length ok", reused},
  };
  return table;
}

const std::vector<Case>& informational() {
  static const std::vector<Case> table = {
      {"103 goes on (RFC 8297)", "",
       "HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n" + ok("Content-Length: 0\r\n"), false,
       "103 none, 200 length", reused},
      {"103 is nothing for HTTP/1.0 (RFC 9110 15.2)", "GET /r HTTP/1.0",
       "HTTP/1.1 103 Early Hints\r\n\r\n" + ok("Content-Length: 0\r\n"), false, "200 length",
       reused},
      {"100 nobody waits for", "", "HTTP/1.1 100 Continue\r\n\r\n" + ok("Content-Length: 0\r\n"),
       false, "200 length", reused},
      {"a 1xx with a length has no body all the same (RFC 9110 6.4.1)", "",
       "HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n" + ok("Content-Length: 0\r\n"), false,
       "103 none, 200 length", reused},
      {"16 of them", "", many(16, "HTTP/1.1 100 Continue\r\n\r\n") + ok("Content-Length: 0\r\n"),
       false, "200 length", reused},
      {"17 of them", "", many(17, "HTTP/1.1 100 Continue\r\n\r\n") + ok("Content-Length: 0\r\n"),
       false, malformed, fresh},
      {"101 that nobody asked for (RFC 9110 15.2.2)", "",
       "HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", false, malformed,
       fresh},
      {"101 to another protocol", "upgrade",
       "HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", false, malformed, fresh},
      {"101 without Upgrade", "upgrade", "HTTP/1.1 101 Go\r\nConnection: Upgrade\r\n\r\n", false,
       malformed, fresh},
      {"101 without Connection (RFC 9110 7.8)", "upgrade",
       "HTTP/1.1 101 Go\r\nUpgrade: websocket\r\n\r\n", false, malformed, fresh},
      {"an Upgrade that the origin does not take", "upgrade", ok("Content-Length: 0\r\n"), false,
       "200 length", reused},
      {"101 in HTTP/1.0", "upgrade",
       "HTTP/1.0 101 Go\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", false, malformed,
       fresh},
  };
  return table;
}

std::string describe(const Message& message) {
  std::string one = message.start_line.substr(9, 3);
  if (const auto code = message.body.find("\"code\":\""); code != std::string::npos) {
    return one + " " + message.body.substr(code + 8, message.body.find('"', code + 8) - code - 8);
  }
  one += message.field("transfer-encoding") != nullptr ? " chunked"
         : message.field("content-length") != nullptr  ? " length"
                                                       : "";
  if (message.ended_by_close) one += " close";
  if (one.size() == 3) one += " none";
  if (!message.body.empty()) one += " " + message.body;
  for (const auto& [name, value] : message.trailers)
    one += " " + std::string(1, static_cast<char>(std::toupper(name[0]))) + "=" + value;
  return one;
}

class Responses : public ::testing::Test {
 protected:
  explicit Responses(uint32_t pipes = 64) : config_(simulation::complete_config(pipes)) {}

  struct Seen {
    std::string answer;
    std::string next;
  };
  Seen exchange(const Case& entry, size_t cut) {
    origin_.forget();
    const size_t connections = origin_.connections();
    const std::string line =
        entry.request.empty() || entry.request == "upgrade" ? "GET /r HTTP/1.1" : entry.request;
    const std::string upgrade =
        entry.request == "upgrade" ? "Connection: Upgrade\r\nUpgrade: websocket\r\n" : "";
    std::vector<std::string> pieces;
    if (!entry.response.empty()) pieces.push_back(entry.response.substr(0, cut));
    if (cut < entry.response.size()) pieces.push_back(entry.response.substr(cut));
    origin_.answer_with({.pieces = std::move(pieces), .closes = entry.closes});
    Seen seen;
    {
      RawClient client{world_};
      client.send(line + "\r\nHost: a\r\n" + upgrade + "\r\n");
      // A small window takes its time.
      gateway_.run_for(std::chrono::milliseconds{200 + entry.response.size() / 20});
      const std::string all =
          client.answers(line.starts_with("HEAD") ? Reading::response_to_head : Reading::response);
      for (const Message& message : client.messages())
        seen.answer += (seen.answer.empty() ? "" : ", ") + describe(message);
      if (all.find("incomplete") != std::string::npos ||
          (all.find("reset") != std::string::npos && seen.answer.empty()))
        seen.answer = "broken";
    }
    const size_t used = origin_.connections() - connections;
    RawClient again{world_};
    again.send("POST /again HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    gateway_.run_for(std::chrono::milliseconds{200});
    EXPECT_EQ(again.answers(), "200") << entry.why;
    seen.next = origin_.connections() - connections == used ? reused : fresh;
    // All of them close, so that each case begins with a connection of its own.
    gateway_.run_for(config_.upstreams.front().timeouts.idle + std::chrono::seconds{1});
    EXPECT_EQ(gateway_.worker().pipes().taken(), 0U);
    return seen;
  }

  void judge(const std::vector<Case>& table) {
    for (const Case& entry : table) {
      const size_t step = entry.response.size() / 300 + 1;
      for (size_t cut = std::max<size_t>(entry.response.size(), 1); cut > 0;
           cut = cut > step ? cut - step : 0) {
        const Seen seen = exchange(entry, cut);
        // What is wrong in a body may be found before the head has gone out, or after.
        const bool either = entry.answer == "broken or 502 upstream.malformed" &&
                            (seen.answer == "broken" || seen.answer == malformed);
        ASSERT_EQ(either ? entry.answer : seen.answer, entry.answer)
            << entry.why << ", cut at " << cut;
        ASSERT_STREQ(seen.next.c_str(), entry.next) << entry.why << ", cut at " << cut;
      }
      ASSERT_EQ(world_.violated(), "") << entry.why;
    }
  }

  World world_{9, {}};
  RecordingOrigin origin_{world_};
  config::Config config_;
  simulation::OneWorker gateway_{world_, config_};
};

// The same without pipes.
class CopiedResponses : public Responses {
 protected:
  CopiedResponses() : Responses(0) {}
};

TEST_F(Responses, end_where_they_say) {
  judge(framing());
  EXPECT_GT(gateway_.worker().counters().spliced_bytes.get(), 0U);
}
TEST_F(CopiedResponses, end_where_they_say) {
  judge(framing());
  EXPECT_EQ(gateway_.worker().counters().spliced_bytes.get(), 0U);
}
TEST_F(Responses, with_heads_nobody_should_read_are_not_passed_on) { judge(heads()); }
TEST_F(Responses, of_one_hundred_and_some_are_bounded) { judge(informational()); }

TEST_F(Responses, trailers_go_up_without_what_they_may_not_say) {
  config_.auth.resize(1);
  config_.auth.front().claim_fields.push_back({.name = "X-User", .claim = 0});
  gateway_.reload(config_);
  RawClient client{world_};
  client.send(
      "POST /t HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTrailer: X-Sum\r\nTransfer-Encoding: "
      "chunked\r\n\r\n1\r\nx\r\n0\r\n"
      "X-Sum:  12 \r\nX-User: root\r\nx-user: root\r\nX_Sum: 1\r\nAuthorization: Bearer "
      "x\r\nX-Forwarded-For: 1.1.1.1\r\nCookie: "
      "a=b\r\n\r\n");
  gateway_.run_for(std::chrono::milliseconds{200});
  ASSERT_EQ(origin_.messages().size(), 1U);
  const Message& message = origin_.messages().front();
  ASSERT_EQ(message.trailers.size(), 1U);
  EXPECT_EQ(message.trailers.front(), (std::pair<std::string, std::string>{"x-sum", "12"}));
  EXPECT_EQ(*message.field("te"), "trailers");
  EXPECT_EQ(*message.field("connection"), "TE");
  EXPECT_EQ(*message.field("trailer"), "X-Sum");
}

TEST_F(Responses, tunnel_carries_what_was_said_ahead_of_it_and_its_end) {
  origin_.answer_with({.pieces = {"HTTP/1.1 101 Go\r\nConnection: keep-alive, upgrade\r\nUpgrade: "
                                  "WebSocket\r\nSec-WebSocket-Accept: x\r\n\r\nfirst ",
                                  "second"},
                       .closes = true});
  RawClient client{world_};
  client.send(
      "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: foo, "
      "WebSocket\r\nSec-WebSocket-Key: k\r\n\r\nahead");
  gateway_.run_for(std::chrono::milliseconds{200});
  EXPECT_TRUE(
      client.text().starts_with("HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\n"))
      << client.text();
  EXPECT_NE(client.text().find("\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\nfirst second"),
            std::string::npos)
      << client.text();
  EXPECT_TRUE(client.is_closed());
  EXPECT_EQ(origin_.arrived(), "GET /ws | (incomplete)") << "what was said ahead has arrived";
  const Message& message = origin_.messages().front();
  EXPECT_EQ(*message.field("upgrade"), "WebSocket");
  EXPECT_EQ(*message.field("sec-websocket-key"), "k");
  EXPECT_EQ(gateway_.worker().counters().tunnels_open.get(), 1U) << "the client has not ended it";
  client.finish();
  gateway_.run_for(std::chrono::milliseconds{200});
  EXPECT_EQ(gateway_.worker().counters().tunnels_open.get(), 0U);
  EXPECT_NE(gateway_.last_log().find("\"status\":101,"), std::string::npos) << gateway_.last_log();
  EXPECT_NE(gateway_.last_log().find("\"bytes_in\":5,"), std::string::npos) << gateway_.last_log();
}

TEST_F(Responses, tunnels_are_bounded_idle_ones_end_and_a_drain_waits_for_them) {
  config_.bounds.tunnels = 1;
  gateway_.reload(config_);
  const std::string ask =
      "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
  const RecordingOrigin::Answer agree{
      .pieces = {"HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"}};
  origin_.answer_with(agree);
  RawClient first{world_};
  first.send(ask);
  gateway_.run_for(std::chrono::milliseconds{200});
  EXPECT_EQ(gateway_.worker().counters().tunnels_open.get(), 1U);
  RawClient second{world_};
  second.send(ask);
  gateway_.run_for(std::chrono::milliseconds{200});
  EXPECT_EQ(second.answers(), "503 tunnel.busy");
  gateway_.run_for(config_.upstreams.front().timeouts.tunnel - std::chrono::seconds{5});
  EXPECT_FALSE(first.is_closed());
  gateway_.run_for(std::chrono::seconds{10});
  EXPECT_TRUE(first.is_closed());
  EXPECT_NE(gateway_.last_log().find("\"reason\":\"tunnel.idle\""), std::string::npos)
      << gateway_.last_log();
  origin_.answer_with(agree);
  RawClient third{world_};
  third.send(ask);
  gateway_.run_for(std::chrono::milliseconds{200});
  gateway_.drain();
  gateway_.run_for(std::chrono::seconds{20});
  EXPECT_FALSE(third.is_closed());
  gateway_.cut();
  gateway_.run_for(std::chrono::milliseconds{200});
  EXPECT_TRUE(third.is_closed());
  EXPECT_NE(gateway_.last_log().find("\"reason\":\"drain\""), std::string::npos)
      << gateway_.last_log();
  EXPECT_TRUE(gateway_.worker().is_drained());
}

TEST_F(Responses, routes_say_what_may_be_tunnelled) {
  config_.routes.back().upgrades = {"raw"};
  gateway_.reload(config_);
  RawClient client{world_};
  client.send("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  gateway_.run_for(std::chrono::milliseconds{200});
  EXPECT_EQ(client.answers(), "200") << "an ordinary request";
  EXPECT_EQ(origin_.messages().front().field("upgrade"), nullptr);
}

}  // namespace
}  // namespace sluice::conformance
