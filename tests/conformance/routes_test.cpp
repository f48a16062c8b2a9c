// What routes do: configurations as they are written, requests and answers as they travel.
#include "tests/conformance/routes.h"

namespace sluice::conformance {
namespace {

using simulation::Message;
using std::chrono::milliseconds;
using std::chrono::seconds;

TEST_F(Routes, paths_are_rewritten_by_whole_segments_and_the_query_stays) {
  start(R"(routes:
  - { match: { path_prefix: /strip }, auth: none, rewrite: { strip_prefix: /strip }, upstream: one }
  - { match: { path_prefix: /deep/er }, auth: none, rewrite: { strip_prefix: /deep, add_prefix: /v2/ }, upstream: one }
  - { match: { path: /whole }, auth: none, rewrite: { path: /other/place }, upstream: one }
  - { match: { path_prefix: /add }, auth: none, rewrite: { add_prefix: /base }, upstream: one }
)");
  const std::pair<const char*, const char*> table[] = {
      {"GET /strip", "GET / HTTP/1.1"},
      {"GET /strip?a=1", "GET /?a=1 HTTP/1.1"},
      {"GET /strip/", "GET / HTTP/1.1"},
      {"GET /strip/x/y?b", "GET /x/y?b HTTP/1.1"},
      {"GET /strip//x", "GET /x HTTP/1.1"},
      {"GET //strip//x", "GET /x HTTP/1.1"},
      {"GET /%73trip/x", "GET /x HTTP/1.1"},
      {"GET /add//x", "GET /base/add/x HTTP/1.1"},
      {"GET /deep/er/x", "GET /v2/er/x HTTP/1.1"},
      {"GET /whole?q=%20", "GET /other/place?q=%20 HTTP/1.1"},
      {"GET /add/x", "GET /base/add/x HTTP/1.1"},
      {"GET /x/../strip/./y", "GET /y HTTP/1.1"},
  };
  for (const auto& [asked, wanted] : table) {
    ask(asked);
    EXPECT_EQ(went_up(), wanted) << asked;
  }
  ask("GET /stripped");
  EXPECT_EQ(last_, "404 route.none");
}

// What endpoints understand of a path, routes are matched by (CWE-22, CWE-288).
TEST_F(Routes, paths_that_endpoints_read_otherwise_reach_no_other_route) {
  start(R"(routes:
  - { match: { path_prefix: /public }, auth: none, upstream: one }
  - { match: { path_prefix: /admin }, auth: none, respond: { status: 403, body: "guarded" } }
  - { match: { path_prefix: "/a@b" }, auth: none, respond: { status: 403, body: "guarded" } }
  - { match: { path: /health2 }, auth: none, deny: [0.0.0.0/0], upstream: one }
  - { auth: none, upstream: one }
)");
  const std::pair<const char*, const char*> table[] = {
      {"GET //admin/x", "403"},
      {"GET /%61dmin//x", "403"},
      {"GET /public/%2e%2e//admin/x", "403"},
      {"GET /public//../admin/x", "403"},
      {"GET /a%40b/c", "403"},
      {"GET /admin%2fx", "400 http.encoded_separator"},
      {"GET /public/..%2fadmin/x", "400 http.encoded_separator"},
      {"GET /public/..%5cadmin/x", "400 http.encoded_separator"},
      {"GET /public/..;/admin/x", "400 http.dot_segments"},
      {"GET /../admin", "400 http.dot_segments"},
      {"GET /health2;x", "400 http.path_parameters"},
      {"GET /;x/health2", "400 http.path_parameters"},
      {"GET http://api.test//admin/x", "403"},
  };
  for (const auto& [asked, wanted] : table) {
    ask(asked);
    EXPECT_TRUE(last_.starts_with(wanted)) << asked << ": " << last_;
    EXPECT_EQ(went_up(), "(nothing)") << asked;
  }
  ask("GET /public/a;v=1/b");
  EXPECT_EQ(went_up(), "GET /public/a;v=1/b HTTP/1.1");
}

TEST_F(Routes, routes_may_keep_what_their_endpoint_tells_apart) {
  start(R"(routes:
  - { match: { path_prefix: /objects }, auth: none, path: { encoded_slash: keep, merge_slashes: false }, upstream: one }
  - { match: { path_prefix: /cut }, auth: none, path: { encoded_slash: keep, merge_slashes: false }, rewrite: { strip_prefix: /cut }, upstream: one }
)");
  const std::pair<const char*, const char*> table[] = {
      {"GET /objects/a%2fb//c?d=//", "GET /objects/a%2Fb//c?d=// HTTP/1.1"},
      {"GET //objects/a%5cb", "GET //objects/a%5Cb HTTP/1.1"},
      {"GET //cut//evil.test//x%2Fy", "GET /evil.test//x%2Fy HTTP/1.1"},
      {"GET /objects/..%2fcut", "(nothing)"},
      {"GET /objects%2fa", "(nothing)"},
  };
  for (const auto& [asked, wanted] : table) {
    ask(asked);
    EXPECT_EQ(went_up(), wanted) << asked;
  }
}

TEST_F(Routes, spellings_of_a_host_are_one_host) {
  start(R"(routes:
  - { match: { host: admin.test }, auth: none, respond: { status: 403, body: "guarded" } }
  - { match: { host: "*.Inner.test." }, auth: none, respond: { status: 403, body: "guarded" } }
  - { match: { host: "[2001:db8:0::1]" }, auth: none, respond: { status: 403, body: "guarded" } }
  - { auth: none, upstream: one }
)");
  for (const char* host :
       {"admin.test", "ADMIN.test:80", "admin.test.", "Admin.test.:8080", "a.inner.test",
        "a.INNER.test.", "[2001:DB8::1]", "[2001:db8:0:0:0:0:0:1]:80"}) {
    ask(std::string{"GET http://"} + host + "/x");
    EXPECT_TRUE(last_.starts_with("403")) << host << ": " << last_;
  }
  ask("GET http://other.test/x");
  EXPECT_EQ(went_up(), "GET /x HTTP/1.1");
}

TEST_F(Routes, destinations_are_joined_without_leaving_their_host) {
  start(R"(routes:
  - { match: { path_prefix: /old }, auth: none, redirect: { to: /, rest: keep } }
  - { match: { path_prefix: /kept }, auth: none, path: { encoded_slash: keep, merge_slashes: false }, redirect: { to: /, rest: keep } }
  - { match: { path_prefix: /away }, auth: none, path: { merge_slashes: false }, redirect: { to: "https://new.test", rest: keep } }
)");
  const std::pair<const char*, const char*> table[] = {
      {"GET /old//evil.test/x", "/evil.test/x"},
      {"GET //old///evil.test", "/evil.test"},
      {"GET /old", "/"},
      {"GET /old/", "/"},
      {"GET /kept//evil.test//x?y", "/evil.test//x?y"},
      {"GET //kept///evil.test", "/evil.test"},
      {"GET /kept/%5cevil.test", "/%5Cevil.test"},
      {"GET /kept/%2fevil.test", "/%2Fevil.test"},
      {"GET /away//evil.test", "https://new.test/evil.test"},
      {"GET /away", "https://new.test"},
      {"GET /away/@evil.test", "https://new.test/@evil.test"},
  };
  for (const auto& [asked, wanted] : table)
    EXPECT_EQ(field(ask(asked), "location"), wanted) << asked;
}

TEST_F(Routes, answers_to_head_have_no_content_whatever_they_say) {
  start("routes:\n  - { match: { path_prefix: /a }, auth: none, upstream: one }\n");
  for (const char* fields : {"", "Bad Name: x\r\n", "Content-Length: x\r\n"}) {
    RawClient client{world_};
    client.send(std::string{"HEAD /none HTTP/1.1\r\nHost: api.test\r\n"} + fields + "\r\n");
    gateway_->run_for(milliseconds{200});
    const std::string bytes = client.text();
    ASSERT_NE(bytes.find("\r\n\r\n"), std::string::npos) << fields;
    EXPECT_TRUE(bytes.ends_with("\r\n\r\n")) << bytes;
    EXPECT_NE(bytes.find("Content-Length: "), std::string::npos) << bytes;
  }
}

TEST_F(Routes, answers_get_a_date_where_they_have_none) {
  start(R"(routes:
  - { match: { path: /bare }, auth: none, headers: { response: { remove: [Date] } }, upstream: one }
  - { auth: none, upstream: one }
)");
  origin_.answer_with({.pieces = {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}});
  EXPECT_TRUE(field(ask("GET /a"), "date").ends_with(" GMT"));
  EXPECT_EQ(ask("GET /bare").field("date"), nullptr);
  origin_.answer_with({.pieces = {"HTTP/1.1 200 OK\r\nDate: then\r\nContent-Length: 0\r\n\r\n"}});
  EXPECT_EQ(ask("GET /a").values("date"), (std::vector<std::string>{"then"}));
  EXPECT_EQ(ask("GET /bare").field("date"), nullptr);
}

TEST_F(Routes, applications_learn_how_they_were_reached) {
  start(R"(trusted: [10.0.0.0/24]
routes:
  - { match: { path_prefix: /shop }, auth: none, rewrite: { strip_prefix: /shop, add_prefix: /app }, via: true, upstream: one }
  - { match: { path_prefix: /none }, auth: none, forwarded: none, upstream: one }
  - { auth: none, upstream: one }
)");
  ask("GET /shop/x",
      "X-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.test\r\nX-Request-Id: "
      "abc\r\nX-Forwarded-Ssl: on\r\n");
  const Message up = origin_.messages().back();
  EXPECT_EQ(field(up, "x-forwarded-proto"), "https");
  EXPECT_EQ(field(up, "x-forwarded-host"), "shop.test");
  EXPECT_EQ(field(up, "x-forwarded-port"), "443");
  EXPECT_EQ(field(up, "x-forwarded-prefix"), "/shop");
  EXPECT_EQ(field(up, "x-forwarded-ssl"), "on");
  EXPECT_EQ(field(up, "x-request-id"), "abc");
  EXPECT_EQ(field(up, "via"), "1.1 sluice");
  EXPECT_EQ(up.field("traceparent"), nullptr);
  ask("GET /none", "X-Forwarded-Proto: https\r\nForwarded: for=x\r\n");
  for (const char* name : {"x-forwarded-for", "x-forwarded-proto", "forwarded", "via"})
    EXPECT_EQ(origin_.messages().back().field(name), nullptr) << name;
}

TEST_F(Routes, places_that_an_endpoint_names_are_mapped_back) {
  start(R"(routes:
  - { match: { path_prefix: /shop }, auth: none, rewrite: { strip_prefix: /shop, add_prefix: /app }, upstream: one }
  - { auth: none, upstream: one }
)");
  const std::pair<const char*, const char*> table[] = {
      {"/login", "/shop/login"},
      {"/app/login?a=1", "/shop/login?a=1"},
      {"/", "/shop/"},
      {"/shop/login", "/shop/login"},
      {"http://127.0.0.1:9001/login", "/shop/login"},
      {"http://127.0.0.1:9001", "/shop/"},
      {"//127.0.0.1:9001//evil.test", "/shop/evil.test"},
      {"http://127.0.0.1:9001/shop/x", "/shop/x"},
      {"https://other.test/login", "https://other.test/login"},
      {"//evil.test", "//evil.test"},
      {"login", "login"},
  };
  for (const auto& [said, wanted] : table) {
    const std::string answer =
        std::string{"HTTP/1.1 302 Found\r\nLocation: "} + said + "\r\nContent-Length: 0\r\n\r\n";
    origin_.answer_with({.pieces = {answer}});
    EXPECT_EQ(ask("GET /shop/x").values("location"), (std::vector<std::string>{wanted})) << said;
    origin_.answer_with({.pieces = {answer}});
    EXPECT_EQ(field(ask("GET /x"), "location"), said);
  }
}

TEST_F(Routes, options_go_through_as_many_as_they_say) {
  start(
      "routes:\n  - { match: { path_prefix: /, methods: [GET, OPTIONS] }, auth: none, upstream: "
      "one }\n");
  const Message answer = ask("OPTIONS /a", "Max-Forwards: 0\r\n");
  EXPECT_EQ(last_, "204");
  EXPECT_EQ(field(answer, "allow"), "GET, OPTIONS");
  EXPECT_EQ(went_up(), "(nothing)");
  ask("OPTIONS /a", "Max-Forwards: 5\r\n");
  EXPECT_EQ(origin_.messages().back().values("max-forwards"), (std::vector<std::string>{"4"}));
  ask("GET /a", "Max-Forwards: 0\r\n");
  EXPECT_EQ(origin_.messages().back().values("max-forwards"), (std::vector<std::string>{"0"}));
  origin_.forget();
  for (const char* bad :
       {"Max-Forwards: x\r\n", "Max-Forwards: \r\n", "Max-Forwards: 1\r\nMax-Forwards: 2\r\n"}) {
    ask("OPTIONS /a", bad);
    EXPECT_EQ(last_, "400 http.max_forwards") << bad;
  }
  EXPECT_EQ(went_up(), "(nothing)");
}

TEST_F(Routes, fields_with_underscores_are_dropped_passed_or_refused) {
  start(R"(routes:
  - { match: { path_prefix: /pass }, auth: none, underscores: pass, upstream: one }
  - { match: { path_prefix: /refuse }, auth: none, underscores: refuse, upstream: one }
  - { auth: none, upstream: one }
)");
  const std::string fields = "api_key: k\r\nX_Forwarded_For: 1.1.1.1\r\nContent_Length: 5\r\n";
  ask("GET /a", fields);
  EXPECT_EQ(origin_.messages().back().field("api_key"), nullptr);
  ask("GET /pass", fields);
  EXPECT_EQ(field(origin_.messages().back(), "api_key"), "k");
  EXPECT_EQ(origin_.messages().back().field("x_forwarded_for"), nullptr);
  EXPECT_EQ(origin_.messages().back().field("content_length"), nullptr);
  ask("GET /refuse", fields);
  EXPECT_EQ(last_, "400 http.underscore");
}

TEST_F(Routes, traces_begin_where_they_are_asked_for) {
  for (const auto& [tracing, wanted] :
       {std::pair{"none", "(none)"}, std::pair{"{ sampled: 100% }", "-01"},
        std::pair{"{ sampled: 0% }", "-00"}}) {
    const std::string text = std::string{"tracing: "} + tracing + R"(
routes:
  - { match: { path_prefix: /r }, auth: none, headers: { request: { remove: [Traceparent] } }, upstream: one }
  - { auth: none, upstream: one }
)";
    if (gateway_ == nullptr)
      start(text);
    else
      gateway_->reload(read(text));
    ask("GET /a");
    EXPECT_TRUE(field(origin_.messages().back(), "traceparent").ends_with(wanted)) << tracing;
    ask("GET /r");
    EXPECT_EQ(origin_.messages().back().field("traceparent"), nullptr) << tracing;
    ask("GET /a", "traceparent: theirs\r\n");
    EXPECT_EQ(field(origin_.messages().back(), "traceparent"), "theirs") << tracing;
  }
}

TEST_F(Routes, fields_are_set_added_and_removed_in_every_spelling) {
  start(R"(routes:
  - match: { path_prefix: / }
    auth: none
    headers:
      request: { set: { X-Team: orders }, add: { X-Also: b }, remove: [X-Secret] }
      response: { set: { X-Frame: deny }, add: { X-Also: d }, remove: [Server] }
    host: inner.test
    upstream: one
)");
  origin_.answer_with({.pieces = {"HTTP/1.1 200 OK\r\nServer: x\r\nx-frame: allow\r\nX-Also: "
                                  "c\r\nContent-Length: 0\r\n\r\n"}});
  const Message answer = ask(
      "POST /a",
      "x-team: forged\r\nX-TEAM: again\r\nX-Also: a\r\nX-Secret: s\r\nx_team: forged\r\n", "body");
  const Message& up = origin_.messages().back();
  EXPECT_EQ(up.values("x-team"), (std::vector<std::string>{"orders"}));
  EXPECT_EQ(up.values("x-also"), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(up.field("x-secret"), nullptr);
  EXPECT_EQ(up.field("x_team"), nullptr);
  EXPECT_EQ(field(up, "host"), "inner.test");
  EXPECT_EQ(field(up, "x-forwarded-host"), "api.test");
  EXPECT_EQ(answer.values("x-frame"), (std::vector<std::string>{"deny"}));
  EXPECT_EQ(answer.values("x-also"), (std::vector<std::string>{"c", "d"}));
  EXPECT_EQ(answer.field("server"), nullptr);
}

TEST_F(Routes, redirect_has_room_for_the_longest_target) {
  start(R"(routes:
  - { match: { path: /old }, auth: none, redirect: { to: /new } }
  - { match: { path_prefix: /moved }, auth: none,
      redirect: { to: "https://new.test/base/", rest: keep } }
)");
  const std::string query(8 * 1024 - 6, 'q');
  EXPECT_EQ(field(ask("GET /old?" + query), "location"), "/new?" + query);
  const std::string rest(8 * 1024 - 8, 'r');
  EXPECT_EQ(field(ask("GET /moved/" + rest), "location"), "https://new.test/base/" + rest);
  EXPECT_EQ(field(ask("GET /old"), "location"), "/new");
}

TEST_F(Routes, redirects_and_fixed_answers_reach_nobody) {
  start(R"(routes:
  - { match: { path: /old }, auth: none, redirect: { to: /new, status: 301 } }
  - { match: { path_prefix: /moved }, auth: none,
      redirect: { to: "https://new.test/base/", rest: keep } }
  - { match: { path: /fixed }, auth: none, redirect: { to: "/new?own=1" } }
  - { match: { path: /robots.txt }, auth: none, respond: { body: "User-agent: *\n" } }
  - { match: { path: /gone }, auth: none, respond: { status: 410 } }
  - { match: { path: /empty }, auth: none, respond: { status: 204 } }
)");
  EXPECT_EQ(field(ask("GET /old?a=b"), "location"), "/new?a=b");
  EXPECT_EQ(last_, "301");
  EXPECT_EQ(field(ask("POST /moved/x/y?q", "", "body"), "location"), "https://new.test/base/x/y?q");
  EXPECT_EQ(last_, "308");
  EXPECT_EQ(field(ask("GET /moved"), "location"), "https://new.test/base/");
  EXPECT_EQ(field(ask("GET /fixed?theirs=2"), "location"), "/new?own=1");
  const Message robots = ask("GET /robots.txt");
  EXPECT_EQ(robots.body, "User-agent: *\n");
  EXPECT_EQ(field(robots, "content-type"), "text/plain; charset=utf-8");
  ask("HEAD /robots.txt");
  EXPECT_EQ(last_, "200");
  ask("GET /gone");
  EXPECT_EQ(last_, "410");
  EXPECT_EQ(field(ask("GET /empty"), "content-length"), "(none)");
  EXPECT_EQ(went_up(), "(nothing)");
}

TEST_F(Routes, conditions_choose_and_methods_that_no_route_has_are_named) {
  start(R"(routes:
  - { match: { path: /v, headers: { X-Version: "2" } }, auth: none, respond: { body: two } }
  - { match: { path: /q, query: { debug: "*" } }, auth: none, respond: { body: debug } }
  - { match: { path: /q, query: { debug: "2" }, headers: { X-Version: "1" } }, auth: none, respond: { body: "no" } }
  - { match: { path: /v, headers: { X-Version: "2" }, query: { debug: "*" } }, auth: none, respond: { body: both } }
  - { match: { path: /v, methods: [GET, PUT] }, auth: none, respond: { body: plain } }
)");
  EXPECT_EQ(ask("GET /v").body, "plain");
  EXPECT_EQ(ask("GET /v", "x-version: 2\r\n").body, "two");
  EXPECT_EQ(ask("GET /q?debug").body, "debug");
  EXPECT_EQ(ask("GET /v?debug=1", "X-Version: 2\r\n").body, "both");
  EXPECT_EQ(field(ask("POST /v"), "allow"), "GET, PUT");
  EXPECT_EQ(last_, "405 http.method");
}

TEST_F(Routes, addresses_are_let_in_and_kept_out) {
  start(R"(trusted: [10.0.0.0/24]
routes:
  - { match: { path: /inner }, auth: none, allow: [192.0.2.0/24], deny: [192.0.2.9], respond: { body: in } }
  - { match: { path: /most }, auth: none, deny: ["2001:db8::/32"], respond: { body: in } }
)");
  const auto from = [](const std::string& address) {
    return "X-Forwarded-For: " + address + "\r\n";
  };
  ask("GET /inner");
  EXPECT_EQ(last_, "403 route.address");
  EXPECT_EQ(ask("GET /inner", from("192.0.2.7")).body, "in");
  ask("GET /inner", from("192.0.2.9"));
  EXPECT_EQ(last_, "403 route.address");
  ask("GET /inner", from("192.0.2.7, 198.51.100.1"));
  EXPECT_EQ(last_, "403 route.address") << "what stands before the last address nobody vouches for";
  EXPECT_EQ(ask("GET /most", from("192.0.2.9")).body, "in");
  ask("GET /most", from("2001:db8::7"));
  EXPECT_EQ(last_, "403 route.address");
}

TEST_F(Routes, bodies_have_the_bound_of_their_route) {
  start(R"(routes:
  - { match: { path_prefix: /small }, auth: none, max_body: 10B, upstream: one }
  - { match: { path_prefix: /any }, auth: none, max_body: 0, upstream: one }
)");
  ask("POST /small", "", "0123456789");
  EXPECT_EQ(last_, "200");
  const std::string refused = ask("POST /small", "", "0123456789a").body;
  EXPECT_EQ(last_, "413 http.body_too_large, closed");
  EXPECT_NE(refused.find("It takes 10 bytes.\",\"max_bytes\":10}"), std::string::npos) << refused;
  RawClient client{world_};
  client.send(
      "POST /small HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n012345\r\n");
  gateway_->run_for(milliseconds{200});
  client.send("6\r\n012345\r\n0\r\n\r\n");
  gateway_->run_for(milliseconds{200});
  EXPECT_EQ(client.answers(), "413 http.body_too_large, closed");
  EXPECT_NE(client.messages().front().body.find("\"max_bytes\":10}"), std::string::npos);
  RawClient large{world_};
  large.send("POST /any HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n" +
             std::string(200'000, 'x'));
  gateway_->run_for(seconds{10});
  EXPECT_EQ(large.answers(), "200");
}

TEST_F(Routes, preflights_are_answered_before_token_and_limits_and_refusals_can_be_read) {
  start(R"(auth: { main: { secret: { env: ROUTES_TEST_SECRET } } }
limits: { tight: { key: address, rate: 1/min, stage: before_auth } }
routes:
  - match: { path_prefix: /api, methods: [GET, DELETE] }
    auth: main
    limits: tight
    cors: { origins: ["https://app.test"], headers: [Authorization], expose: [X-Total], credentials: true, max_age: 10m }
    upstream: one
  - { match: { path_prefix: /open }, auth: none, cors: { origins: "*" }, upstream: one }
  - { match: { path_prefix: /none, methods: [GET] }, auth: none, upstream: one }
)");
  const std::string asks = "Origin: https://app.test\r\nAccess-Control-Request-Method: DELETE\r\n";
  for (int number = 0; number < 3; ++number) {
    const Message preflight = ask("OPTIONS /api/x", asks);
    EXPECT_EQ(last_, "204") << "no limit, no token";
    EXPECT_EQ(field(preflight, "access-control-allow-origin"), "https://app.test");
    EXPECT_EQ(field(preflight, "access-control-allow-methods"), "DELETE");
    EXPECT_EQ(field(preflight, "access-control-allow-headers"), "Authorization");
    EXPECT_EQ(field(preflight, "access-control-allow-credentials"), "true");
    EXPECT_EQ(field(preflight, "access-control-max-age"), "600");
    EXPECT_EQ(field(preflight, "vary"), "Origin");
  }
  EXPECT_EQ(field(ask("OPTIONS /api/x",
                      "Origin: https://evil.test\r\nAccess-Control-Request-Method: GET\r\n"),
                  "access-control-allow-origin"),
            "(none)");
  const Message unauthorized = ask("GET /api/x", "Origin: https://app.test\r\n");
  EXPECT_EQ(last_, "401 jwt.missing");
  EXPECT_EQ(field(unauthorized, "access-control-allow-origin"), "https://app.test");
  const Message limited = ask("GET /api/x", "Origin: https://app.test\r\n");
  EXPECT_EQ(last_, "429 limit.tight");
  EXPECT_EQ(field(limited, "access-control-expose-headers"),
            "Retry-After, RateLimit, RateLimit-Policy, X-Request-Id, X-Total");
  EXPECT_EQ(field(limited, "access-control-allow-origin"), "https://app.test");
  ask("OPTIONS /api/x", "Origin: https://app.test\r\nAccess-Control-Request-Method: PUT\r\n");
  EXPECT_EQ(last_, "405 http.method");
  ask("OPTIONS /none/x", asks);
  EXPECT_EQ(last_, "405 http.method");
  origin_.answer_with({.pieces = {"HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: "
                                  "https://origin.says\r\nContent-Length: 0\r\n\r\n"}});
  const Message open = ask("GET /open", "Origin: https://anybody.test\r\n");
  EXPECT_EQ(open.values("access-control-allow-origin"), (std::vector<std::string>{"*"}));
  EXPECT_EQ(field(open, "vary"), "(none)");
}

TEST_F(Routes, shares_are_kept_and_stick_to_a_key) {
  start(R"(upstreams:
  one: { endpoints: [http://127.0.0.1:9001] }
  next: { endpoints: [http://127.0.0.1:9777], retries: 0 }
routes:
  - { match: { path_prefix: /chance }, auth: none, upstream: [{ one: 80 }, { next: 20 }] }
  - { match: { path_prefix: /sticky }, auth: none, upstream: { split: [{ one: 50 }, { next: 50 }], sticky: "header:X-User" } }
)");
  int next = 0;
  for (int number = 0; number < 200; ++number) {
    ask("GET /chance");
    next += last_.starts_with("502");  // nobody is there
  }
  EXPECT_GT(next, 15);
  EXPECT_LT(next, 70);
  std::set<std::string> kinds;
  for (int user = 0; user < 20; ++user) {
    std::set<std::string> seen;
    for (int number = 0; number < 5; ++number) {
      ask("GET /sticky", "X-User: u" + std::to_string(user) + "\r\n");
      seen.insert(last_);
    }
    EXPECT_EQ(seen.size(), 1U);
    kinds.insert(seen.begin(), seen.end());
  }
  EXPECT_EQ(kinds.size(), 2U);
}

TEST_F(Routes, next_endpoint_is_tried_and_when_all_refuse_it_is_said) {
  start(R"(upstreams:
  two: { endpoints: [http://127.0.0.1:9777, http://127.0.0.1:9001], eject: none }
  dead: { endpoints: [http://127.0.0.1:9777, http://127.0.0.1:9778], retries: 1, eject: none }
  spared: { endpoints: [http://127.0.0.1:9777], circuit: { failures: 50%, requests: 4, open: 5s }, retries: 0 }
routes:
  - { match: { path_prefix: /two }, auth: none, upstream: two }
  - { match: { path_prefix: /dead }, auth: none, upstream: dead }
  - { match: { path_prefix: /spared }, auth: none, upstream: spared }
)");
  for (int number = 0; number < 10; ++number) {
    ask("POST /two", "", "body");
    EXPECT_EQ(last_, "200") << "nothing was written to the first";
  }
  EXPECT_GE(gateway_->worker().counters().retries.get(), 3U);
  ask("GET /dead");
  EXPECT_EQ(last_, "502 upstream.refused");
  for (int number = 0; number < 4; ++number) {
    ask("GET /spared");
    EXPECT_EQ(last_, "502 upstream.refused");
  }
  const Message spared = ask("GET /spared");
  EXPECT_EQ(last_, "503 upstream.circuit_open");
  EXPECT_EQ(field(spared, "retry-after"), "5");
}

TEST_F(Routes, queue_is_bounded_in_length_and_time) {
  start(R"(upstreams:
  narrow: { endpoints: [http://127.0.0.1:9001], connections: 1, queue: { length: 1, wait: 3s } }
routes:
  - { match: { path_prefix: / }, auth: none, upstream: narrow }
)");
  origin_.answer_with({});  // nothing, for ever
  RawClient first{world_}, second{world_}, third{world_};
  for (RawClient* client : {&first, &second, &third}) {
    client->send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    gateway_->run_for(milliseconds{100});
  }
  EXPECT_EQ(third.answers(), "503 upstream.busy");
  gateway_->run_for(seconds{2});
  EXPECT_EQ(second.answers(), "");
  gateway_->run_for(seconds{2});
  EXPECT_EQ(second.answers(), "503 upstream.busy") << "it has waited long enough";
}

TEST_F(Routes, reload_changes_what_begins_and_not_what_is_under_way) {
  start(
      "routes:\n  - { match: { path_prefix: / }, auth: none, headers: { response: { set: { X-Gen: "
      "first } } }, upstream: one }\n");
  origin_.answer_with(
      {.pieces = {"", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", "01234", "56789"}});
  RawClient slow{world_}, kept{world_};
  slow.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
  kept.send("GET /health HTTP/1.1\r\nHost: a\r\n\r\n");
  gateway_->run_for(milliseconds{5});
  gateway_->reload(
      read("routes:\n  - { match: { path_prefix: / }, auth: none, respond: { body: second } }\n"));
  gateway_->run_for(milliseconds{5});
  kept.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(gateway_->control().released(), 0U) << "the first is still in use";
  gateway_->run_for(milliseconds{300});
  EXPECT_EQ(slow.answers(), "200");
  EXPECT_EQ(field(slow.messages().front(), "x-gen"), "first");
  EXPECT_EQ(kept.answers(), "200, 200") << "on one connection";
  EXPECT_EQ(kept.messages().back().body, "second");
  EXPECT_EQ(gateway_->control().released(), 1U);
}

TEST_F(Routes, tunnel_lives_on_through_reloads_and_holds_none_of_them) {
  const std::string text =
      "routes:\n  - { match: { path_prefix: / }, auth: none, upstream: one }\n";
  start(text);
  origin_.answer_with(
      {.pieces = {"HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"}});
  RawClient client{world_};
  client.send("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  gateway_->run_for(milliseconds{200});
  for (size_t number = 1; number <= 20; ++number) {
    gateway_->reload(read(text));
    gateway_->run_for(milliseconds{50});
    EXPECT_EQ(gateway_->control().released(), number);
  }
  EXPECT_FALSE(client.is_closed());
  EXPECT_EQ(gateway_->worker().counters().tunnels_open.get(), 1U);
}

TEST_F(Routes, changed_rate_keeps_what_was_used_and_a_changed_key_does_not) {
  const auto limited = [](const std::string& limit) {
    return "limits: { tight: " + limit +
           " }\nroutes:\n  - { match: { path_prefix: / }, auth: none, limits: tight, respond: { "
           "body: ok } }\n";
  };
  start(limited("{ key: address, rate: 1/min, burst: 9, delay: 9 }"));
  for (int number = 0; number < 10; ++number) EXPECT_EQ(ask("GET /").body, "ok");
  ask("GET /");
  EXPECT_EQ(last_, "429 limit.tight");
  gateway_->reload(read(limited("{ key: address, rate: 1/s, burst: 9, delay: 9 }")));
  gateway_->run_for(milliseconds{10});
  ask("GET /");
  EXPECT_EQ(last_, "429 limit.tight") << "ten requests are still in the bucket";
  gateway_->run_for(milliseconds{1500});
  EXPECT_EQ(ask("GET /").body, "ok") << "which leaks at the new rate";
  gateway_->reload(read(limited("{ key: route, rate: 1/s, burst: 0 }")));
  gateway_->run_for(milliseconds{10});
  EXPECT_EQ(ask("GET /").body, "ok") << "another key is another bucket";
}

// --- drain, stage by stage -------------------------------------------------------------------

TEST_F(Routes, drain_finishes_what_is_held_queued_streaming_and_cuts_at_the_deadline) {
  start(R"(limits: { shaped: { key: address, rate: 1/s, burst: 5, delay: 0 } }
upstreams:
  narrow: { endpoints: [http://127.0.0.1:9001], connections: 1 }
  one: { endpoints: [http://127.0.0.1:9001] }
routes:
  - { match: { path_prefix: /held }, auth: none, limits: shaped, respond: { body: held } }
  - { match: { path_prefix: /queued }, auth: none, upstream: narrow }
  - { match: { path_prefix: /stream }, auth: none, upstream: one }
)");
  origin_.answer_with({.pieces = {"", "", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", "ok"}});
  origin_.answer_with(
      {.pieces = {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", "01234", "", "", "56789"}});
  RawClient busy{world_}, queued{world_}, stream{world_}, first{world_}, held{world_};
  const auto send = [&](RawClient& client, const char* path) {
    client.send(std::string{"GET "} + path + " HTTP/1.1\r\nHost: a\r\n\r\n");
    gateway_->run_for(milliseconds{5});
  };
  send(busy, "/queued/1");
  send(stream, "/stream");
  send(queued, "/queued/2");
  send(first, "/held");
  send(held, "/held");
  EXPECT_EQ(gateway_->worker().counters().exchanges_held.get(), 1U);
  gateway_->drain();
  gateway_->run_for(seconds{5});
  for (RawClient* client : {&busy, &queued, &stream, &held}) {
    EXPECT_EQ(client->answers(), "200, closed");
    // Its head had left when the drain began.
    EXPECT_EQ(field(client->messages().front(), "connection"),
              client == &stream ? "(none)" : "close");
  }
  EXPECT_EQ(stream.messages().front().body, "0123456789");
  EXPECT_TRUE(gateway_->worker().is_drained());
  EXPECT_EQ(gateway_->worker().counters().drain_cut.get(), 0U);
}

TEST_F(Routes, drain_that_is_cut_says_so_to_whoever_waits) {
  start(R"(limits: { shaped: { key: address, rate: 1/min, burst: 5, delay: 0, max_hold: 10min } }
upstreams:
  narrow: { endpoints: [http://127.0.0.1:9001], connections: 1 }
routes:
  - { match: { path_prefix: /held }, auth: none, limits: shaped, respond: { body: held } }
  - { match: { path_prefix: /queued }, auth: none, upstream: narrow }
)");
  origin_.answer_with({});
  RawClient busy{world_}, queued{world_}, first{world_}, held{world_};
  for (auto& [client, path] : {std::pair<RawClient*, const char*>{&busy, "/queued"},
                               {&queued, "/queued"},
                               {&first, "/held"},
                               {&held, "/held"}}) {
    client->send(std::string{"GET "} + path + " HTTP/1.1\r\nHost: a\r\n\r\n");
    gateway_->run_for(milliseconds{5});
  }
  gateway_->drain();
  gateway_->run_for(seconds{1});
  gateway_->cut();
  gateway_->run_for(seconds{5});
  for (RawClient* client : {&busy, &queued, &held})
    EXPECT_EQ(client->answers(), "503 drain, closed");
  EXPECT_TRUE(gateway_->worker().is_drained());
  EXPECT_EQ(gateway_->worker().counters().drain_cut.get(), 3U);
}

TEST_F(Routes, drain_waits_a_moment_for_who_has_only_just_come) {
  start("routes:\n  - { match: { path_prefix: / }, auth: none, upstream: one }\n");
  RawClient newcomer{world_}, silent{world_}, served{world_};
  served.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  gateway_->run_for(milliseconds{100});
  gateway_->drain();
  gateway_->run_for(milliseconds{500});
  EXPECT_EQ(served.answers(), "200, closed") << "it may ask again elsewhere";
  EXPECT_FALSE(newcomer.is_closed());
  newcomer.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  gateway_->run_for(milliseconds{700});
  EXPECT_EQ(newcomer.answers(), "200, closed");
  EXPECT_TRUE(silent.is_closed());
  EXPECT_TRUE(gateway_->worker().is_drained());
}

TEST_F(Routes, announced_drain_fails_health_and_nothing_else) {
  start("routes:\n  - { match: { path_prefix: / }, auth: none, upstream: one }\n");
  gateway_->announce();
  gateway_->run_for(milliseconds{10});
  ask("GET /health");
  EXPECT_EQ(last_, "503 drain, closed");
  EXPECT_EQ(field(ask("GET /x"), "connection"), "(none)");
  EXPECT_EQ(last_, "200");
}

}  // namespace
}  // namespace sluice::conformance
