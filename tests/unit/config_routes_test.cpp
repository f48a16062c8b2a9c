// Upstreams, routes, includes of the configuration file: every mistake has its own complaint, in
// its place.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "config/reader.h"
#include "tests/unit/broken_config.h"

namespace sluice::config {
namespace {

using tests::with;

constexpr const char* good = R"(
listen: ["127.0.0.1:8000", { address: "unix:/run/sluice.sock", proxy_protocol: true }]
trusted: [10.0.0.0/8, unix]
workers: { cores: 1, connections: 1000 }
timeouts: { head: 5s, idle: 30s }
drain: { announce: 5s, deadline: 20s }
resolver: { servers: [127.0.0.1], ttl_min: 2s, ttl_max: 1m }
control: /run/sluice/control.sock
upstreams:
  orders:
    endpoints: [http://10.0.0.1:9001, { url: http://10.0.0.2:9001, weight: 2 }, { url: http://orders.internal:9001, drain: true }, "unix:/run/orders.sock"]
    balance: least_requests
    health: { path: /health, interval: 2s, status: 200-204 }
    eject: { after: 3, time: 10s }
    circuit: { failures: 50% }
    slow_start: 10s
    connections: 100
    queue: { length: 10, wait: 2s }
    retries: { most: 2, budget: 10% }
    timeouts: { connect: 1s }
  next: { endpoints: [http://10.0.0.9:9001], balance: { hash: "header:X-User" }, send_proxy: v2, retries: 0, eject: none }
routes:
  - { match: { path_prefix: /a, headers: { X-V: "2" }, query: { q: "*" } }, auth: none, rewrite: { strip_prefix: /a }, upstream: orders }
  - { match: { path: /split }, auth: none, upstream: { split: [{ orders: 95 }, { next: 5 }], sticky: address } }
  - { match: { path: /old }, auth: none, redirect: { to: /new, status: 307 } }
  - { match: { path: /robots.txt }, auth: none, respond: { body: hello } }
  - { match: { path_prefix: /inner }, auth: none, allow: [10.0.0.0/8], deny: [10.0.0.1], max_body: 1MiB, upstream: next }
  - { match: { path_prefix: /cors }, auth: none, cors: { origins: ["https://a.test"] }, headers: { request: { set: { X-A: b } } }, host: endpoint, upstream: next }
log: none
)";

TEST(ConfigRoutes, good_file_becomes_what_it_describes) {
  const ConfigReading reading = read_config_text("sluice.yaml", good);
  for (const auto& complaint : reading.complaints) ADD_FAILURE() << complaint;
  for (const auto& warning : reading.warnings) ADD_FAILURE() << warning;
  ASSERT_TRUE(reading.config);
  const Config& config = *reading.config;
  ASSERT_EQ(config.listeners.size(), 2U);
  EXPECT_EQ(config.listeners[1].address.text(), "unix:/run/sluice.sock");
  EXPECT_EQ(config.listeners[1].proxy_protocol, ProxyProtocol::required);
  EXPECT_EQ(config.trust_unix, TrustUnix::yes);
  EXPECT_EQ(config.timeouts.head, std::chrono::seconds{5});
  EXPECT_EQ(config.timeouts.drain_announce, std::chrono::seconds{5});
  ASSERT_EQ(config.upstreams.size(), 2U);
  const UpstreamConfig& orders = config.upstreams[0];
  ASSERT_EQ(orders.endpoints.size(), 4U);
  EXPECT_EQ(orders.endpoints[1].weight, 2U);
  EXPECT_EQ(orders.endpoints[2].host, "orders.internal");
  EXPECT_EQ(orders.endpoints[2].use, EndpointUse::draining);
  EXPECT_TRUE(orders.endpoints[3].destination.is_unix());
  EXPECT_EQ(orders.health.status_max, 204);
  EXPECT_EQ(orders.ejection.failures, 3U);
  EXPECT_EQ(orders.circuit.failure_percent, 50U);
  EXPECT_EQ(orders.connections, 100U);
  EXPECT_EQ(orders.queue_wait, std::chrono::seconds{2});
  EXPECT_EQ(orders.retries, 2U);
  EXPECT_EQ(orders.retry_percent, 10U);
  EXPECT_EQ(config.upstreams[1].balance, Balance::hash);
  EXPECT_EQ(config.upstreams[1].send_proxy, SendProxy::v2);
  EXPECT_EQ(config.upstreams[1].ejection.failures, 0U);
}

TEST(ConfigRoutes, every_mistake_is_said_with_its_place_and_what_is_accepted) {
  const tests::Broken table[] = {
      {"\"127.0.0.1:8000\", ", "\"127.0.0.1:8000\", \"127.0.0.1:8000\", ",
       "another listener has the address 127.0.0.1:8000 too"},
      {"listen: [\"127.0.0.1:8000\"", "listen: [\"unix:run/x\"",
       "or a path like unix:/run/sluice.sock"},
      {"trusted: [10.0.0.0/8, unix]", "trusted: []", "nobody is trusted to speak it"},
      {"trusted: [10.0.0.0/8, unix]", "trusted: [10.0.0.0/33]", "\"10.0.0.0/33\" is no network"},
      {"connections: 1000 }", "connections: 3 }", "is not a whole number from 64 to 1000000"},
      {"announce: 5s", "announce: 5", "is not a number with a unit"},
      {"servers: [127.0.0.1]", "servers: [dns.test]", "is no address of a name server"},
      {"ttl_max: 1m", "ttl_max: 1s", "ttl_max is less than ttl_min"},
      {"control: /run/sluice/control.sock", "control: control.sock",
       "is no path of a socket; it begins with /"},
      {"http://10.0.0.1:9001, {", "ftp://10.0.0.1:9001, {",
       "is not a URL like http://127.0.0.1:9001 or https://api.example, or unix:/run/app.sock"},
      {"http://10.0.0.1:9001, {", "http://10.0.0.1:9001/path, {", "is not a URL like"},
      {"http://10.0.0.1:9001, {", "http://10.0.0.1:99999, {", "is not a URL like"},
      {"http://10.0.0.1:9001, {", "http://10.0.0.2:9001, {", "this endpoint is here twice"},
      {"weight: 2", "weight: 0", "is not a whole number from 1 to 1000"},
      {"weight: 2", "wieght: 2", "unknown key \"wieght\" in an endpoint; did you mean weight?"},
      {"url: http://10.0.0.2:9001, ", "", "an endpoint without url"},
      {"drain: true", "drain: maybe", "\"maybe\" is not true or false"},
      {"balance: least_requests", "balance: least_request", "did you mean least_requests?"},
      {"balance: least_requests", "balance: hash",
       "hash needs a key: write balance: { hash: address }"},
      {"hash: \"header:X-User\"", "hash: \"cookie:X\"", "\"cookie:X\" is no key"},
      {"path: /health, ", "", "health without path"},
      {"path: /health", "path: health", "\"health\" is no path"},
      {"status: 200-204", "status: 204-200", "is no status like 200, and no range like 200-399"},
      {"interval: 2s", "interval: 2", "is not a number with a unit"},
      {"after: 3", "after: 0", "is not a whole number from 1 to 1000"},
      {"failures: 50%", "failures: 50", "\"50\" is no share from 1% to 100%"},
      {"failures: 50%", "failures: 101%", "is no share from 1% to 100%"},
      {"circuit: { failures: 50% }", "circuit: { open: 5s }", "circuit without failures"},
      {"connections: 100\n", "connections: 0\n", "is not a whole number from 1 to 1000000"},
      {"most: 2", "most: 6", "is not a whole number from 0 to 5"},
      {"send_proxy: v2", "send_proxy: v3", "\"v3\" is not v1, v2 or none"},
      {"slow_start: 10s", "slow_start: fast", "is not a number with a unit"},
      {"upstream: orders }", "upstream: order }",
       "there is no upstream called \"order\"; did you mean orders?"},
      {"{ next: 5 }", "{ nxet: 5 }", "there is no upstream called \"nxet\"; did you mean next?"},
      {"{ next: 5 }", "{ next: many }", "is not a whole number"},
      {"{ next: 5 }", "{ next: 5, orders: 2 }",
       "write the name of an upstream, or shares of several"},
      {"[{ orders: 95 }, { next: 5 }]", "[{ orders: 0 }]", "all shares are 0"},
      {"sticky: address", "sticky: adress", "did you mean address?"},
      {"redirect: { to: /new, status: 307 }", "redirect: { status: 307 }", "redirect without to"},
      {"to: /new", "to: new", "\"new\" is no destination; write a path like /orders"},
      {"to: /new", "to: \"ftp://x/\"", "is no destination"},
      {"to: /new", "to: \"//evil.test/\"", "is no destination"},
      {"to: /new", "to: /old", "these redirects lead in a circle: /old -> /old"},
      {"status: 307", "status: 200", "\"200\" is not 301, 302, 303, 307 or 308"},
      {"redirect: { to: /new, status: 307 }", "redirect: { to: /new, rest: keep }",
       "an exact path leaves no rest to keep"},
      {"respond: { body: hello }", "respond: { body: hello, status: 204 }", "has no body"},
      {"respond: { body: hello }", "respond: { status: 99 }",
       "is not a whole number from 200 to 599"},
      {"respond: { body: hello }", "respond: { file: /no/such/file }",
       "the file /no/such/file: this file can't be read"},
      {"respond: { body: hello }", "respond: { body: a, upstream: next }",
       "unknown key \"upstream\" in respond"},
      {"respond: { body: hello }", "respond: { body: a }, upstream: next",
       "upstream, redirect and respond exclude each other"},
      {"respond: { body: hello }", "respond: { body: a, content_type: text }",
       "\"text\" is no media type"},
      {"respond: { body: hello }", "respond: { body: a }, rewrite: { path: /x }",
       "rewrite means nothing where no upstream gets the request"},
      {"strip_prefix: /a", "strip_prefix: /b",
       "requests of this route need not begin with /b; its path is /a"},
      {"strip_prefix: /a", "strip_prefix: a", "\"a\" is no path"},
      {"strip_prefix: /a", "strip_prefix: /a, path: /b", "path replaces the whole path"},
      {"headers: { X-V: \"2\" }", "headers: { \"X V\": \"2\" }", "\"X V\" is no name of a field"},
      {"query: { q: \"*\" }", "query: [q]", "a mapping from names to values is accepted"},
      {"allow: [10.0.0.0/8]", "allow: [inside]", "\"inside\" is no network"},
      {"max_body: 1MiB", "max_body: 1", "size \"1\" is not a number with a unit"},
      {"max_body: 1MiB", "max_body: 1XB", "write for example 16MiB, 64KiB or 100B"},
      {"origins: [\"https://a.test\"]", "origins: [a.test]", "\"a.test\" is no origin"},
      {"origins: [\"https://a.test\"]", "origins: [\"https://a.test/path\"]", "is no origin"},
      {"origins: [\"https://a.test\"]", "origins: \"*\", credentials: true",
       "credentials for every origin would let any page act as its visitor"},
      {"cors: { origins: [\"https://a.test\"] }", "cors: { max_age: 1h }", "cors without origins"},
      {"set: { X-A: b }", "set: { X_A: b }", "has a '_'"},
      {"set: { X-A: b }", "set: { Content-Length: \"3\" }",
       "carries the message or is set by Sluice"},
      {"set: { X-A: b }", "set: { Host: b }", "write host: endpoint or host: NAME in the route"},
      {"set: { X-A: b }", "set: { X-A: \"b\\r\\nX-Evil: c\" }",
       "a field's value has no control characters"},
      {"set: { X-A: b }", "sets: { X-A: b }",
       "unknown key \"sets\" in headers.request; did you mean set?"},
      {"host: endpoint", "host: \"a b\"", "\"a b\" is no host; write preserve, endpoint or a name"},
      {"path_prefix: /inner }", "path_prefix: /inner }, path: { encoded_slash: yes }",
       "\"yes\" is not refuse or keep"},
      {"path_prefix: /inner }", "path_prefix: /inner }, path: { merge_slash: true }",
       "did you mean merge_slashes?"},
      {"path_prefix: /inner }", "path_prefix: /inner }, underscores: keep",
       "\"keep\" is not drop, pass or refuse"},
      {"path_prefix: /inner }", "path_prefix: /inner }, forwarded: rfc",
       "is not x, rfc7239, both or none"},
      {"path_prefix: /inner }", "path_prefix: /inner }, via: 1.1", "is not true or false"},
      {"log: none", "log: none\ntracing: { sampled: 101% }", "is no share from 0% to 100%"},
      {"path_prefix: /inner", "path_prefix: /in%40ner", "write /in@ner"},
      {"path_prefix: /inner", "path_prefix: //inner", "write /inner"},
      {"match: { path: /old }", "match: { path_prefix: /inner }",
       "nothing says which of them wins"},
      {"respond: { body: hello }", "respond: { file: /dev/zero }",
       "the file /dev/zero: this file can't be read"},
      {"log: none", "include: /dev/zero", "/dev/zero: this file can't be read"},
      {"log: none", "include: /no/such/file.yaml", "/no/such/file.yaml: this file can't be read"},
      {"log: none", "log: none\nreload_on_change: 1s", "\"1s\" is not true or false"},
  };
  tests::expect_complaints(
      good, table,
      "a secret of the tests that is long enough even for HS512, as the warning would say");
}

TEST(ConfigRoutes, what_is_right_and_odd_is_a_warning) {
  const std::pair<std::string, std::string> table[] = {
      {"match: { path: /old }", "this route is never reached: Sluice answers /health itself"},
      {"{ url: http://10.0.0.2:9001, weight: 2 }", ""},
  };
  const auto warnings = [](const std::string& text) {
    std::string all;
    const ConfigReading reading = read_config_text("sluice.yaml", text);
    for (const auto& complaint : reading.complaints) ADD_FAILURE() << complaint;
    for (const auto& warning : reading.warnings) all += warning + "\n";
    return all;
  };
  EXPECT_NE(warnings(with(good, table[0].first, "match: { path: /health }")).find(table[0].second),
            std::string::npos);
  EXPECT_NE(warnings(with(good, "endpoints: [http://10.0.0.9:9001]",
                          "endpoints: [{ url: http://10.0.0.9:9001, drain: true }]"))
                .find("all endpoints drain"),
            std::string::npos);
  EXPECT_NE(
      warnings(with(good, "    health: { path: /health, interval: 2s, status: 200-204 }\n", ""))
          .find("slow_start means nothing without health"),
      std::string::npos);
  EXPECT_NE(warnings(with(good, "routes:", "  spare: { endpoints: [http://10.0.0.7:1] }\nroutes:"))
                .find("no route uses the upstream spare"),
            std::string::npos);
}

// A route that keeps what endpoints may decode stands above one that asks for more.
TEST(ConfigRoutes, paths_that_may_reach_a_stricter_route_are_a_warning) {
  const auto warned = [](const std::string& routes) {
    const ConfigReading reading = read_config_text(
        "sluice.yaml",
        "upstreams: { one: { endpoints: [http://127.0.0.1:1] } }\nroutes:\n" + routes);
    for (const auto& complaint : reading.complaints) ADD_FAILURE() << complaint;
    std::string all;
    for (const auto& warning : reading.warnings) all += warning;
    return all.find("may take requests of") != std::string::npos;
  };
  const std::string keeps = "path: { encoded_slash: keep }, auth: none, upstream: one }\n";
  const std::string strict =
      "  - { match: { path_prefix: /a/b }, auth: none, allow: [10.0.0.0/8], upstream: one }\n";
  EXPECT_TRUE(warned("  - { match: { path_prefix: /a }, " + keeps + strict));
  EXPECT_TRUE(
      warned("  - { match: { path_prefix: /a }, path: { merge_slashes: false }, auth: none, "
             "upstream: one }\n" +
             strict));
  EXPECT_TRUE(warned("  - { " + keeps + strict));
  EXPECT_FALSE(warned("  - { match: { path_prefix: /ab }, " + keeps + strict));
  EXPECT_FALSE(warned("  - { match: { host: x.test, path_prefix: /a }, " + keeps +
                      "  - { match: { host: y.test, path_prefix: /a/b }, auth: none, allow: "
                      "[10.0.0.0/8], upstream: one }\n"));
  EXPECT_FALSE(warned("  - { match: { path_prefix: /a }, allow: [10.0.0.0/8], " + keeps + strict));
}

class ConfigIncludes : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "sluice-includes-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    std::filesystem::create_directory(folder_ / "conf.d");
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void write(const std::string& name, const std::string& text) {
    std::ofstream{folder_ / name} << text;
  }
  ConfigReading read() { return read_config((folder_ / "main.yaml").string()); }
  static std::string all(const ConfigReading& reading) {
    std::string text;
    for (const auto& complaint : reading.complaints) text += complaint + "\n";
    return text;
  }
  std::filesystem::path folder_;
};

TEST_F(ConfigIncludes, files_add_to_each_other_and_complaints_name_the_right_one) {
  write("main.yaml",
        "include: conf.d/*.yaml\nupstreams: { one: { endpoints: [http://127.0.0.1:1] } "
        "}\nroutes:\n  - { auth: none, upstream: two }\n");
  write("conf.d/a.yaml", "upstreams: { two: { endpoints: [http://127.0.0.1:2] } }\n");
  write("conf.d/b.yaml", "routes:\n  - { match: { path: /b }, auth: none, upstream: one }\n");
  const ConfigReading reading = read();
  ASSERT_TRUE(reading.config) << all(reading);
  EXPECT_EQ(reading.config->upstreams.size(), 2U);
  EXPECT_EQ(reading.config->routes.size(), 4U);
  write("conf.d/b.yaml", "routes:\n  - { match: { path: /b }, auth: none, upstream: three }\n");
  EXPECT_NE(all(read()).find("conf.d/b.yaml:2:50: there is no upstream called \"three\""),
            std::string::npos)
      << all(read());
  write("conf.d/b.yaml", "upstreams: { two: { endpoints: [http://127.0.0.1:3] } }\n");
  EXPECT_NE(all(read()).find("another file has an upstream called \"two\" too"), std::string::npos)
      << all(read());
  write("conf.d/b.yaml", "routes:\n  - { auth: none, upstream: one }\n");
  EXPECT_NE(all(read()).find("this route is for the same requests as"), std::string::npos)
      << all(read());
  write("conf.d/b.yaml", "log: none\n");
  EXPECT_NE(all(read()).find("conf.d/b.yaml:1:1: unknown key \"log\" in an included file"),
            std::string::npos)
      << all(read());
}

TEST_F(ConfigIncludes, circles_and_files_that_are_named_twice_are_found) {
  write("main.yaml",
        "include: a.yaml\nupstreams: { one: { endpoints: [http://127.0.0.1:1] } }\nroutes:\n  - { "
        "auth: none, upstream: one }\n");
  write("a.yaml", "include: b.yaml\n");
  write("b.yaml", "include: a.yaml\n");
  EXPECT_NE(all(read()).find("b.yaml:1:10: files include each other in a circle"),
            std::string::npos)
      << all(read());
  write("b.yaml", "include: main.yaml\n");
  EXPECT_NE(all(read()).find("files include each other in a circle"), std::string::npos)
      << all(read());
  write("b.yaml", "");
  write("a.yaml", "");
  write("main.yaml",
        "include: [a.yaml, ./a.yaml]\nupstreams: { one: { endpoints: [http://127.0.0.1:1] } "
        "}\nroutes:\n  - { auth: none, upstream: one }\n");
  EXPECT_NE(all(read()).find("is included twice"), std::string::npos) << all(read());
  write("a.yaml", "\troutes: 1\n");
  write("main.yaml", "include: a.yaml\nroutes: []\n");
  EXPECT_NE(all(read()).find("a.yaml:1:8: this is no YAML"), std::string::npos) << all(read());
}

}  // namespace
}  // namespace sluice::config
