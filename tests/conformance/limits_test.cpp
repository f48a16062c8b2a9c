// What answers tell of limits: RateLimit and RateLimit-Policy, as
// draft-ietf-httpapi-ratelimit-headers-10 has them, of the limit that is nearest to refusing.
#include "tests/conformance/routes.h"

namespace sluice::conformance {
namespace {

using simulation::Message;
using std::chrono::milliseconds;
using std::chrono::seconds;

class LimitFields : public Routes {
 protected:
  // "200 "a";r=1;t=60 of "a";q=2;w=120"
  std::string told(const std::string& path = "/", const std::string& fields = "") {
    const Message answer = ask("GET " + path, fields);
    return answer.start_line.substr(9, 3) + ' ' + field(answer, "ratelimit") + " of " +
           field(answer, "ratelimit-policy");
  }
};

TEST_F(LimitFields, say_with_every_answer_how_many_are_left_and_when_there_is_one_more) {
  start(R"(limits: { a: { key: address, rate: 1/min, burst: 2 } }
routes:
  - { match: { path: /up }, auth: none, limits: a, upstream: one }
  - { match: { path: /own }, auth: none, limits: a, respond: { body: ok } }
  - { match: { path: /away }, auth: none, limits: a, redirect: { to: /up, status: 302 } }
  - { match: { path: /free }, auth: none, upstream: one }
)");
  const std::string policy = " of \"a\";q=3;w=180";
  EXPECT_EQ(told("/up"), "200 \"a\";r=2;t=60" + policy);
  EXPECT_EQ(told("/own"), "200 \"a\";r=1;t=60" + policy);
  EXPECT_EQ(told("/away"), "302 \"a\";r=0;t=60" + policy);
  EXPECT_EQ(told("/up"), "429 \"a\";r=0;t=60" + policy);
  EXPECT_EQ(told("/free"), "200 (none) of (none)");
  gateway_->run_for(seconds{60});
  EXPECT_EQ(told("/own"), "200 \"a\";r=0;t=59" + policy) << "of a second one, a second has leaked";
}

TEST_F(LimitFields, are_of_the_limit_that_is_nearest_to_refusing_and_of_the_one_that_refused) {
  start(R"(limits:
  early: { key: address, rate: 1/h, burst: 2, stage: before_auth }
  few: { key: route, rate: 1/min, burst: 1 }
  many: { key: address, rate: 1/s, burst: 9 }
  dry: { key: address, rate: 1/day, dry_run: true }
routes:
  - { match: { path: /a }, auth: none, limits: [early, few, many, dry], upstream: one }
  - { match: { path: /b }, auth: none, limits: [early, many], upstream: one }
)");
  EXPECT_EQ(told("/a"), "200 \"few\";r=1;t=60 of \"few\";q=2;w=120");
  EXPECT_EQ(told("/b"), "200 \"early\";r=1;t=3600 of \"early\";q=3;w=10800");
  EXPECT_EQ(told("/a"), "200 \"early\";r=0;t=3600 of \"early\";q=3;w=10800") << "few has none, too";
  EXPECT_EQ(told("/b").substr(0, 16), "429 \"early\";r=0;");
  gateway_->run_for(seconds{3600});
  EXPECT_EQ(told("/a").substr(0, 16), "200 \"early\";r=0;");
}

TEST_F(LimitFields, are_there_for_limits_of_requests_at_once_too) {
  start(R"(limits: { two: { key: address, concurrent: 2 } }
routes: [ { auth: none, limits: two, upstream: one } ]
)");
  const std::string policy = " of \"two\";q=2;qu=\"concurrent-requests\"";
  EXPECT_EQ(told(), "200 \"two\";r=1" + policy);
  origin_.answer_with({});
  origin_.answer_with({});
  RawClient first{world_}, second{world_};
  for (RawClient* client : {&first, &second}) client->send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  gateway_->run_for(milliseconds{50});
  const Message refused = ask("GET /");
  EXPECT_EQ(last_, "429 limit.two");
  EXPECT_EQ(field(refused, "ratelimit"), "\"two\";r=0;t=1");
  EXPECT_EQ(field(refused, "retry-after"), "1");
  EXPECT_EQ(field(refused, "ratelimit-policy"), "\"two\";q=2;qu=\"concurrent-requests\"");
}

TEST_F(LimitFields, are_not_said_where_the_limit_is_silent_or_the_route_removes_them) {
  start(R"(limits:
  silent: { key: address, rate: 1/h, burst: 1, announce: false }
  loud: { key: route, rate: 1/h, burst: 9 }
routes:
  - { match: { path: /silent }, auth: none, limits: silent, upstream: one }
  - { match: { path: /both }, auth: none, limits: [silent, loud], upstream: one }
  - { match: { path: /removed }, auth: none, limits: loud,
      headers: { response: { remove: [RateLimit] } }, upstream: one }
  - { match: { path: /set }, auth: none, limits: loud,
      headers: { response: { set: { RateLimit-Policy: mine } } }, respond: { body: ok } }
)");
  EXPECT_EQ(told("/both"), "200 \"loud\";r=9;t=3600 of \"loud\";q=10;w=36000");
  EXPECT_EQ(told("/silent"), "200 (none) of (none)");
  EXPECT_EQ(told("/silent"), "429 (none) of (none)");
  EXPECT_EQ(told("/both"), "429 (none) of (none)");
  EXPECT_EQ(told("/removed"), "200 (none) of \"loud\";q=10;w=36000");
  EXPECT_EQ(told("/set").substr(0, 10), "200 \"loud\"");
}

TEST_F(LimitFields, stand_beside_those_of_the_endpoint_and_on_answers_that_are_no_success) {
  start(R"(limits: { a: { key: address, rate: 1/h, burst: 9, stage: before_auth } }
auth: { main: { secret: { env: ROUTES_TEST_SECRET } } }
upstreams:
  one: { endpoints: [http://127.0.0.1:9001] }
  gone: { endpoints: [http://127.0.0.1:9] }
routes:
  - { match: { path: /own }, auth: none, limits: a, upstream: one }
  - { match: { path: /gone }, auth: none, limits: a, upstream: gone }
  - { match: { path: /token }, auth: main, limits: a, upstream: one }
)");
  origin_.answer_with(
      {.pieces = {"HTTP/1.1 200 OK\r\nRateLimit: \"its\";r=5;t=1\r\nContent-Length: 0\r\n\r\n"}});
  RawClient client{world_};
  client.send("GET /own HTTP/1.1\r\nHost: a\r\n\r\n");
  gateway_->run_for(milliseconds{100});
  EXPECT_NE(client.text().find("RateLimit: \"its\";r=5;t=1\r\n"), std::string::npos);
  EXPECT_NE(client.text().find("RateLimit: \"a\";r=9;t=3600\r\n"), std::string::npos);
  EXPECT_EQ(client.answers(), "200");
  EXPECT_EQ(told("/token").substr(0, 11), "401 \"a\";r=8");
  EXPECT_EQ(told("/gone").substr(0, 11), "502 \"a\";r=7");
}

TEST_F(LimitFields, are_said_where_a_tunnel_begins) {
  start(R"(limits: { a: { key: address, rate: 1/h, burst: 9 } }
routes: [ { auth: none, limits: a, upstream: one } ]
)");
  origin_.answer_with(
      {.pieces = {"HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"}});
  RawClient client{world_};
  client.send(
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
      "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n");
  gateway_->run_for(milliseconds{100});
  EXPECT_TRUE(client.text().starts_with("HTTP/1.1 101 ")) << client.text();
  EXPECT_NE(client.text().find("RateLimit: \"a\";r=9;t=3600\r\n"), std::string::npos)
      << client.text();
}

}  // namespace
}  // namespace sluice::conformance
