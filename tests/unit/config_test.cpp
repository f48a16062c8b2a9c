// The configuration file: what is right becomes the config it describes, and every mistake its own
// complaint, in its place.
#include <gtest/gtest.h>

#include <cstdlib>

#include "config/reader.h"
#include "config/route_table.h"
#include "tests/unit/broken_config.h"

namespace sluice::config {
namespace {

using tests::with;

constexpr const char* good = R"(
listen:
  - address: 127.0.0.1:8000
workers: { cores: 1, steering: spread }
trusted: [10.0.0.0/8, "2001:db8::/32"]
auth:
  main: { secret: { env: CONFIG_TEST_SECRET } }
limits:
  per_address: { key: address, rate: 100/s, burst: 50, delay: 10, max_hold: 3s, stage: before_auth }
  per_tenant: { key: ["claim:tenant", route], rate: 6000/min, burst: 9, concurrent: 4, on_missing: skip }
  trial: { key: "header:X-Client", rate: 1/day, dry_run: true }
limiter: { keys: 5000, on_full: admit, ipv4_prefix: 24, ipv6_prefix: 56, held_max: 10 }
upstreams:
  orders: { endpoints: [http://127.0.0.1:9001], timeouts: { connect: 1s, head: 1500ms, body: 0, deadline: 0, tunnel: 5m } }
routes:
  - { match: { path_prefix: / }, auth: none, upstream: orders }
  - { match: { host: API.example, path_prefix: /orders/, methods: [GET, POST] }, auth: main, limits: [per_address, per_tenant], upstream: orders }
  - { match: { host: "*.example", path: /exact }, auth: { optional: main }, limits: trial, upstream: orders }
log: none
)";

class ConfigTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ::setenv("CONFIG_TEST_SECRET",
             "a secret of the tests that is long enough even for HS512, as the warning would say",
             1);
  }
};

TEST_F(ConfigTest, good_file_becomes_what_it_describes) {
  const ConfigReading reading = read_config_text("sluice.yaml", good);
  for (const auto& complaint : reading.complaints) ADD_FAILURE() << complaint;
  ASSERT_TRUE(reading.config);
  const Config& config = *reading.config;
  EXPECT_EQ(config.listeners.front().address.text(), "127.0.0.1:8000");
  EXPECT_EQ(config.cores.size(), 1U);
  EXPECT_EQ(config.steering, limiter::Steering::spread);
  ASSERT_EQ(config.auth.size(), 1U);
  EXPECT_EQ(config.auth[0].fixed_keys.size(), 3U);
  EXPECT_EQ(config.auth[0].fixed_keys[0]->secret,
            "a secret of the tests that is long enough even for HS512, as the warning would say");
  EXPECT_EQ(config.upstreams.front().timeouts.head, std::chrono::milliseconds{1500});
  EXPECT_EQ(config.bounds.limiter_keys, 5000U);
  EXPECT_EQ(config.network_bits, (limiter::NetworkBits{24, 56}));
  ASSERT_EQ(config.limits.size(), 4U) << "a rate and a concurrency of one name are two";
  EXPECT_EQ(config.limits[0].stage, LimitStage::before_auth);
  EXPECT_EQ(config.limit_rules[0].policy.max_hold, std::chrono::seconds{3});
  EXPECT_EQ(config.limit_rules[1].policy.rate.period_ns, 10'000'000U);
  EXPECT_EQ(config.limit_rules[2].concurrent, 4U);
  EXPECT_EQ(config.limits[2].reason, "limit.per_tenant");
  EXPECT_NE(config.limits[1].id, config.limits[2].id);
  EXPECT_EQ(config.limit_rules[3].enforcement, limiter::Enforcement::dry_run);
  EXPECT_EQ(config.claims, (std::vector<std::string>{"sub", "tenant"}));
  // The most specific first, what Sluice answers itself before all.
  std::vector<std::string> names;
  for (const Route& route : config.routes) names.push_back(route.name);
  EXPECT_EQ(names, (std::vector<std::string>{"health", "metrics", "api.example/orders/* GET,POST",
                                             "*.example/exact", "/*"}));
  EXPECT_EQ(config.routes[2].limits_before.size(), 1U);
  EXPECT_EQ(config.routes[2].limits_after.size(), 2U);
}

// Limits of one line each, and what is warned of them.
ConfigReading read_limit(const std::string& limit) {
  return read_config_text("l.yaml", "limits: { a: { key: address, " + limit +
                                        " } }\n"
                                        "upstreams: { u: { endpoints: [http://127.0.0.1:9001] } }\n"
                                        "routes: [ { auth: none, limits: a, upstream: u } ]\n");
}

TEST_F(ConfigTest, burst_passes_at_once_unless_it_is_to_be_shaped) {
  const auto delay_of = [](const char* limit) {
    const ConfigReading reading = read_limit(limit);
    EXPECT_TRUE(reading.config) << limit;
    EXPECT_TRUE(reading.warnings.empty()) << limit << ": " << reading.warnings.front();
    return reading.config ? reading.config->limit_rules.front().policy.delay : UINT32_MAX;
  };
  EXPECT_EQ(delay_of("rate: 10/s, burst: 7"), 7U);
  EXPECT_EQ(delay_of("rate: 10/s"), 0U);
  EXPECT_EQ(delay_of("rate: 10/s, burst: 7, shape: false"), 7U);
  EXPECT_EQ(delay_of("rate: 10/s, burst: 7, shape: true"), 0U);
  EXPECT_EQ(delay_of("rate: 10/s, burst: 7, delay: 3"), 3U);
  EXPECT_EQ(delay_of("rate: 10/s, burst: 7, delay: 3, shape: true"), 3U);
  EXPECT_EQ(delay_of("rate: 10/s, burst: 7, delay: 0, max_hold: 700ms"), 0U);
}

TEST_F(ConfigTest, hold_that_max_hold_makes_impossible_is_warned_of_with_the_arithmetic) {
  const auto warning = [](const char* limit) {
    const ConfigReading reading = read_limit(limit);
    return reading.warnings.size() == 1 ? reading.warnings.front() : std::string{"none, or many"};
  };
  EXPECT_EQ(warning("rate: 60/min, burst: 20, delay: 0"),
            "l.yaml:1:51: burst 20 is never reached: 0 pass at once and the other 20 leave one by "
            "one, the last after 20s, but max_hold is 10s, in which only 10 leave; the rest get "
            "429. Write max_hold: 20s, delay: 10 or burst: 10");
  // Each of the three is good advice.
  for (const char* advised :
       {"rate: 60/min, burst: 20, delay: 0, max_hold: 20s", "rate: 60/min, burst: 20, delay: 10",
        "rate: 60/min, burst: 10, delay: 0"})
    EXPECT_TRUE(read_limit(advised).warnings.empty()) << advised;
  EXPECT_NE(warning("rate: 3/s, burst: 5, delay: 1, max_hold: 1s")
                .find("the other 4 leave one by one, the last after 1334ms, but max_hold is 1s, in "
                      "which only 3 leave; the rest get 429. Write max_hold: 1334ms, delay: 2 or "
                      "burst: 4"),
            std::string::npos);
  EXPECT_NE(warning("rate: 1/s, burst: 5, max_hold: 3s").find("max_hold has no effect: nothing is"),
            std::string::npos);
  EXPECT_NE(warning("rate: 1/s, shape: true").find("shape has no effect"), std::string::npos);
}

TEST_F(ConfigTest, hold_beyond_the_deadline_of_an_upstream_is_warned_of) {
  const std::string text =
      "limits: { a: { key: address, rate: 1/s, burst: 50, shape: true, max_hold: 1min } }\n"
      "upstreams:\n"
      "  u: { endpoints: [http://127.0.0.1:9001], timeouts: { deadline: 30s } }\n"
      "  v: { endpoints: [http://127.0.0.1:9001], timeouts: { deadline: 0 } }\n"
      "routes: [ { auth: none, limits: a, upstream: [{ u: 1 }, { v: 1 }] } ]\n";
  const ConfigReading reading = read_config_text("l.yaml", text);
  ASSERT_EQ(reading.warnings.size(), 1U);
  EXPECT_EQ(reading.warnings.front(),
            "l.yaml:5:11: limit a may hold a request for 50s, and the deadline of upstream u is "
            "30s: who would be held beyond it gets 429 at once");
  ASSERT_TRUE(reading.config);
  EXPECT_EQ(reading.config->routes.back().deadline, std::chrono::seconds{30});
  EXPECT_TRUE(
      read_config_text("l.yaml", with(text, "deadline: 30s", "deadline: 50s")).warnings.empty());
}

TEST_F(ConfigTest, requests_find_the_most_specific_route) {
  const Config config = *read_config_text("sluice.yaml", good).config;
  const auto name = [&](http::Method method, const char* host, const char* path) {
    const Found found = RouteTable{config.routes}.find(method, host, path, "", http::Fields{});
    return found.route == no_route ? std::string{"none"} : config.routes[found.route].name;
  };
  EXPECT_EQ(name(http::Method::get, "api.example", "/orders"), "api.example/orders/* GET,POST");
  EXPECT_EQ(name(http::Method::get, "Api.Example:8000", "/orders/7"),
            "api.example/orders/* GET,POST");
  EXPECT_EQ(name(http::Method::put, "api.example", "/orders/7"), "/*");
  EXPECT_EQ(name(http::Method::get, "api.example", "/ordersx"), "/*");
  EXPECT_EQ(name(http::Method::get, "a.b.example", "/exact"), "*.example/exact");
  EXPECT_EQ(name(http::Method::get, "a.b.example", "/exact/"), "/*");
  EXPECT_EQ(name(http::Method::get, "example", "/exact"), "/*");
  EXPECT_EQ(name(http::Method::get, "[::1]:80", "/x"), "/*");
  EXPECT_EQ(name(http::Method::get, "api.example", "/health"), "health");
  EXPECT_EQ(
      RouteTable{config.routes}.find(http::Method::post, "", "/metrics", "", http::Fields{}).route,
      no_route);
}

struct Broken {
  const char* from;
  const char* to;
  const char* complaint;
};

TEST_F(ConfigTest, every_mistake_is_said_with_its_place_and_what_is_accepted) {
  const tests::Broken table[] = {
      {"rate: 100/s", "rate: 100",
       "sluice.yaml:9:38: rate \"100\" has no unit; write for example 10/s"},
      {"rate: 100/s", "rate: 100/fortnight", "has an unknown unit; write for example 10/s"},
      {"rate: 100/s", "rate: 0/s", "lets nothing through"},
      {"rate: 100/s", "rate: 10000001/s", "is above 10000000/s"},
      {"burst: 50", "burst: -1",
       "sluice.yaml:9:52: \"-1\" is not a whole number from 0 to 1000000"},
      {"burst: 50", "burst: 1000001", "is not a whole number from 0 to 1000000"},
      {"delay: 10", "delay: 51",
       "sluice.yaml:9:63: delay 51 is above burst 50; it says how much of the burst passes at "
       "once"},
      {"rate: 1/day", "rate: 1/day, burst: 1000000",
       "would take over 100 years to drain at this rate"},
      {"max_hold: 3s", "max_hold: 3", "is not a number with a unit"},
      {"stage: before_auth", "stage: before_oath", "did you mean before_auth?"},
      {"key: address", "key: adress",
       "\"adress\" is no key; accepted are address, route, claim:NAME or header:NAME; did you mean "
       "address?"},
      {"key: address", "key: \"claim:\"", "is no key; accepted are"},
      {"key: address, rate", "rate", "limit per_address has no key"},
      {"key: address", "key: \"claim:sub\"", "before_auth no claim is verified; write after_auth"},
      {"concurrent: 4", "concurrent: 0", "is not a whole number from 1 to 1000000"},
      {"concurrent: 4", "concurrently: 4",
       "unknown key \"concurrently\" in limits.per_tenant; did you mean concurrent?"},
      {"rate: 1/day, ", "",
       "limit trial limits nothing; write a rate like 10/s, concurrent: N, or both"},
      {"rate: 1/day", "concurrent: 1, burst: 3", "burst means nothing without a rate"},
      {"rate: 1/day", "concurrent: 1, shape: true", "shape means nothing without a rate"},
      {"delay: 10", "delay: 10, shape: false", "a delay below burst shapes; write one of the two"},
      {"delay: 10", "shape: often", "\"often\" is not true or false"},
      {"on_missing: skip", "on_missing: ignore", "\"ignore\" is not refuse or skip"},
      {"dry_run: true", "dry_run: yes", "\"yes\" is not true or false"},
      {"keys: 5000", "keys: 1000000000000", "keys need"},
      {"on_full: admit", "on_full: drop", "is not refuse or admit"},
      {"ipv4_prefix: 24", "ipv4_prefix: 33", "is not a whole number from 8 to 32"},
      {"ipv6_prefix: 56", "ipv6_prefix: 128", "is not a whole number from 16 to 64"},
      {"cores: 1", "cores: 0", "is not a whole number from 1 to"},
      {"steering: spread", "steering: adress", "did you mean address?"},
      {"10.0.0.0/8", "10.0.0.1/8", "is no network; write for example 10.0.0.0/8"},
      {"127.0.0.1:8000", "8000", "is not an address like 0.0.0.0:8000"},
      {"- address:", "- adress:", "unknown key \"adress\" in listen; did you mean address?"},
      {"{ env: CONFIG_TEST_SECRET }", "{ env: NO_SUCH_VARIABLE }",
       "sluice.yaml:7:26: the variable NO_SUCH_VARIABLE is not set, or empty"},
      {"{ env: CONFIG_TEST_SECRET }", "{ file: /no/such/file }",
       "the file /no/such/file: this file can't be read"},
      {"{ env: CONFIG_TEST_SECRET }", "hunter2",
       "a secret does not stand in this file; write { env: NAME } or { file: PATH }"},
      {"endpoints: [http://127.0.0.1:9001]", "endpoints: [127.0.0.1:9001]",
       "is not a URL like http://127.0.0.1:9001"},
      {"endpoints: [http://127.0.0.1:9001]", "endpoints: []", "upstream orders has no endpoints"},
      {"connect: 1s", "connect: soon", "is not a number with a unit"},
      {"path_prefix: / ", "path_prefix: orders ", "is no path; write for example /orders"},
      {"path: /exact", "path: /a/../exact",
       "would never match: requests are matched by their normal form; write /exact"},
      {"path: /exact", "path: /exact, path_prefix: /x", "path and path_prefix exclude each other"},
      {"methods: [GET, POST]", "methods: [get]",
       "\"get\" is not GET, HEAD, POST, PUT, DELETE, PATCH or OPTIONS"},
      {"host: API.example", "host: API.example:80", "is no host; write a name like api.example"},
      {"auth: main, limits", "limits",
       "this route does not say who may call; write auth: NAME, auth: { optional: NAME } or auth: "
       "none"},
      {"auth: main, limits", "auth: mian, limits",
       "there is no auth called \"mian\"; did you mean main?"},
      {"auth: main, limits", "auth: [main, maim], limits",
       "there is no auth called \"maim\"; did you mean main?"},
      {"main: { secret", "main: { algorithms: [HS257], secret", "\"HS257\" is none of HS256"},
      {"main: { secret", "main: { algorithms: [ES256], secret",
       "a secret is for HS256, HS384 or HS512"},
      {"{ env: CONFIG_TEST_SECRET } }", "{ env: CONFIG_TEST_SECRET }, token_from: [body] }",
       "\"body\" is not header"},
      {"{ env: CONFIG_TEST_SECRET } }", "{ env: CONFIG_TEST_SECRET }, headers: { X_User: sub } }",
       "has a '_'"},
      {"{ env: CONFIG_TEST_SECRET } }", "{ env: CONFIG_TEST_SECRET }, expiry: never }",
       "is not required or optional"},
      {"secret: { env: CONFIG_TEST_SECRET }", "jwks: { file: a, url: b }, algorithms: [ES256]",
       "write one of { file: PATH }, { url: URL } or { discovery: URL }"},
      {"secret: { env: CONFIG_TEST_SECRET }", "jwks: { url: \"ftp://a\" }, algorithms: [ES256]",
       "is not a URL like https://id.example/keys"},
      {"secret: { env: CONFIG_TEST_SECRET }", "jwks: { file: a }",
       "does not say which algorithms its keys are for"},
      {"secret: { env: CONFIG_TEST_SECRET }", "skew: 3s", "auth main has no keys"},
      {"auth: main, limits", "auth: main, require: {}, limits",
       "this requires nothing; write scope: [..], role_any: [..] or claim: { NAME: VALUE }"},
      {"auth: { optional: main }", "auth: { optional: main }, require: { scope: a }",
       "require needs a token on every request"},
      {"auth: main, limits", "auth: none, limits",
       "counts by a claim, and this route asks for no token"},
      {"limits: trial", "limits: trail", "there is no limit called \"trail\"; did you mean trial?"},
      {"limits: trial", "limits: [trial, trial]", "limit trial is here twice"},
      {"upstream: orders }\nlog", "upstream: order }\nlog",
       "there is no upstream called \"order\"; did you mean orders?"},
      {"upstream: orders }\nlog", "}\nlog", "this route leads nowhere; write upstream: NAME"},
      {"host: \"*.example\", path: /exact", "path_prefix: /",
       "this route is for the same requests as /*; nothing says which of them wins"},
      {"log: none", "logs: none", "unknown key \"logs\" in the configuration; did you mean log?"},
      {"log: none", "log: none\nlog: none", "key \"log\" is here twice"},
      {"body: 0", "body: 5", "duration \"5\" is not a number with a unit"},
      {"tunnel: 5m", "tunnel: 0", "duration \"0\" is not a number with a unit"},
      {"- address: 127.0.0.1:8000", "- { address: 127.0.0.1:8000, proxy_protocol: maybe }",
       "\"maybe\" is not true or false"},
      {"- address: 127.0.0.1:8000", "- { address: 127.0.0.1:8000, h2c: maybe }",
       "\"maybe\" is not true or false"},
      {"log: none", "http2: { streams: 0 }\nlog: none", "a whole number"},
      {"log: none", "http2: { stream_window: 1KiB }\nlog: none",
       "stream_window lies between 16KiB and 16MiB"},
      {"log: none", "http2: { connection_window: 32KiB }\nlog: none",
       "connection_window is at least 64KiB"},
      {"log: none", "http2: { memory: 1KiB }\nlog: none", "memory lies between 1MiB and 64GiB"},
      {"log: none", "user: no-such-user",
       "this system has no user \"no-such-user\"; write NAME or NAME:GROUP"},
      {"log: none", "sandbox: maybe", "\"maybe\" is not on or off"},
      {"auth: none, upstream: orders", "auth: none, upgrade: [h2c], upstream: orders",
       "\"h2c\" can't be tunnelled"},
      {"auth: none, upstream: orders", "auth: none, upgrade: [a b], upstream: orders",
       "\"a b\" can't be tunnelled"},
      {"auth: none, upstream: orders", "auth: none, upgrade: { a: b }, upstream: orders",
       "where protocols like [websocket], or none is accepted"},
      {"log: none", "log: none\n---\nlog: none", "a second document"},
      {"log: none", "\tlog: none", "this is no YAML"},
      {"  per_tenant:", "  per tenant!:",
       "\"per tenant!\" is no name; letters, digits, _ and - are accepted"},
      {"routes:", "routes: []\nroutes_:",
       "unknown key \"routes_\" in the configuration; did you mean routes?"},
  };
  tests::expect_complaints(
      good, table,
      "a secret of the tests that is long enough even for HS512, as the warning would say");
}

TEST_F(ConfigTest, all_mistakes_are_said_at_once) {
  std::string text = with(good, "rate: 100/s", "rate: 100");
  text = with(text, "on_full: admit", "on_full: drop");
  text = with(text, "log: none", "logs: none");
  EXPECT_EQ(read_config_text("sluice.yaml", text).complaints.size(), 3U);
}

TEST_F(ConfigTest, limit_that_no_route_uses_is_a_warning) {
  const ConfigReading reading = read_config_text("sluice.yaml", with(good, "limits: trial, ", ""));
  EXPECT_TRUE(reading.config);
  ASSERT_EQ(reading.warnings.size(), 1U);
  EXPECT_NE(reading.warnings.front().find("no route uses the limit trial"), std::string::npos);
}

TEST_F(ConfigTest, file_that_is_none_or_deep_or_huge_is_refused_in_a_line) {
  EXPECT_NE(read_config("/no/such/file").complaints.at(0).find("can't be read"), std::string::npos);
  EXPECT_NE(read_config("/").complaints.at(0).find("can't be read"), std::string::npos);
  EXPECT_FALSE(read_config_text("x", std::string(500'000, '[')).config);
  EXPECT_FALSE(read_config_text("x", std::string(900'000, '-')).config);
  EXPECT_FALSE(read_config_text("x", "").config);
}

}  // namespace
}  // namespace sluice::config
