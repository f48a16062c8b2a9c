// The worst heads that are known, each through everything that looks at a request's head: scanning,
// parsing, the client's address, the route, hygiene, writing it anew. For valgrind
// --tool=callgrind to count; tests/simulation/heads judges. Run without valgrind it only says which
// heads are refused.
#include <valgrind/callgrind.h>

#include <array>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "config/reader.h"
#include "config/route_table.h"
#include "http/head_scanner.h"
#include "http/hygiene.h"
#include "http/parser.h"
#include "http/path.h"
#include "http/serializer.h"
#include "proxy/client_address.h"

namespace {

using namespace sluice;

constexpr unsigned rounds = 10;

std::string repeated(size_t count, const std::string& text) {
  std::string all;
  for (size_t i = 0; i < count; ++i) all += text;
  return all;
}
std::string get(const std::string& fields, const std::string& target = "/a?b=c",
                const std::string& host = "api.test") {
  return "GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\n" + fields + "\r\n";
}

// The first two are what the others are measured by.
std::vector<std::pair<std::string, std::string>> heads() {
  const std::string field = "X-Some-Name: " + repeated(300, "v") + "\r\n";
  return {
      {"plain_small", get("User-Agent: curl/8\r\nAccept: */*\r\nCookie: a=b\r\n")},
      {"plain_large", get(repeated(99, field))},
      {"options_refused", get("Connection: " + repeated(14'000, "a,") + "\r\n")},
      {"options_of_many_fields",
       get("Connection: " + repeated(31, "name-of-a-field-00, ") + "close\r\n" +
           repeated(98, "name-of-a-field-01: " + repeated(250, "v") + "\r\n"))},
      {"te_refused", get("TE: " + repeated(14'000, "a,") + "\r\n")},
      {"upgrade_refused",
       get("Connection: upgrade\r\nUpgrade: " + repeated(14'000, "a,") + "\r\n")},
      {"hops", get("X-Forwarded-For: " + repeated(3'000, "10.0.0.1,") + "10.0.0.1\r\n")},
      {"hops_of_ipv6",
       get("X-Forwarded-For: " + repeated(1'500, "fd00:1:2:3:4:5:6:7,") + "::1\r\n")},
      {"small_fields", get(repeated(98, "a:b\r\n"))},
      {"underscored", get(repeated(98, "X_Forwarded_Names: " + repeated(280, "v") + "\r\n"))},
      {"forwarded", get(repeated(98, "X-Forwarded-Names: " + repeated(200, "v") + "\r\n"))},
      {"blanks",
       get(repeated(98, "a:" + repeated(150, " \t") + "b" + repeated(8, " \t") + "\r\n"))},
      {"tabs_behind_length",
       "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0" + repeated(15'000, "\t ") + "\r\n\r\n"},
      {"dots", get("", "/" + repeated(2'600, "a/..") + "")},
      {"climbs", get("", repeated(1'300, "/a") + repeated(1'300, "/.."))},
      {"escapes", get("", "/" + repeated(2'700, "%41"))},
      {"kept_escapes", get("", "/" + repeated(2'700, "%7c"))},
      {"slashes", get("", repeated(8'100, "/") + "a")},
      {"parameters", get("", "/a" + repeated(8'100, ";"))},
      {"segments", get("", repeated(4'000, "/a"))},
      {"long_segments", get("", repeated(60, "/" + repeated(130, "a")))},
      {"query", get("", "/q?" + repeated(8'100, "&"))},
      {"query_of_names", get("", "/q?" + repeated(2'700, "qq&"))},
      {"host", get("", "/a", repeated(126, "a.") + "a")},
      {"bad_length",
       "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + repeated(15'000, "1\t") + "\r\n\r\n"},
  };
}

struct Bench {
  config::Config config;
  std::unique_ptr<config::RouteTable> routes;
  std::unique_ptr<http::RequestHead> head = std::make_unique<http::RequestHead>();
  std::vector<std::byte> out = std::vector<std::byte>(core::limits::buffer_send_bytes);
  core::SocketAddress peer = core::SocketAddress::ipv4(0x0a000001, 1);
  http::Parser parser;

  http::Rule run(std::string& bytes) {
    http::HeadScanner scanner;
    scanner.reset(http::HeadKind::request);
    const auto scanned = scanner.scan(bytes);
    if (scanned.state != http::HeadScanner::Outcome::State::complete) return scanned.rule;
    if (const http::Rule rule = parser.parse_request({bytes.data(), bytes.size()}, *head);
        rule != http::Rule::none)
      return rule;
    static_cast<void>(proxy::client_address(config, peer, head->fields));
    std::array<char, http::matched_path_max> memory;
    const auto ask = [&](std::string_view path) {
      static_cast<void>(
          routes->find(head->method, head->authority, path, head->query, head->fields));
    };
    if (head->path_form == http::PathForm::plain) {
      ask(head->path);
    } else {
      const std::string_view path = http::matched_path(head->path, memory);
      ask(path);
      if (path.find(';') != std::string_view::npos) ask(http::cut_parameters(path, memory));
      http::merge_slashes(*head, bytes.data());
    }
    static_cast<void>(http::drop_request_fields(*head, {.trust = http::Trust::peer}));
    http::Writer writer{out};
    http::write_request_head(writer, *head,
                             {.forwarding = {.form = http::ForwardedForm::both,
                                             .trust = http::Trust::peer,
                                             .peer = "10.0.0.1"},
                              .request_id = "0123456789abcdef0123456789abcdef"});
    return http::Rule::none;
  }
};

std::string configuration() {
  return "trusted: [10.0.0.0/8, fd00::/8, 192.168.0.0/16]\n"
         "upstreams: { one: { endpoints: [http://127.0.0.1:1] } }\nroutes:\n"
         "  - { match: { host: \"*.a.test\" }, auth: none, upstream: one }\n"
         "  - { name: deep, match: { path_prefix: \"" +
         repeated(60, "/a") +
         "\" }, auth: none, upstream: one }\n"
         "  - { match: { path_prefix: /q, query: { q: \"*\", r: \"1\" } }, auth: none, upstream: "
         "one }\n"
         "  - { match: { path_prefix: /q, headers: { x-v: \"2\" } }, auth: none, upstream: one }\n"
         "  - { auth: none, upstream: one }\n";
}

}  // namespace

int main() {
  config::ConfigReading reading = config::read_config_text("heads.yaml", configuration());
  for (const std::string& complaint : reading.complaints) std::puts(complaint.c_str());
  if (!reading.config) return 1;
  auto bench = std::make_unique<Bench>();
  bench->config = *reading.config;
  bench->routes = std::make_unique<config::RouteTable>(bench->config.routes);
  for (const auto& [name, text] : heads()) {
    http::Rule rule = http::Rule::none;
    for (unsigned round = 0; round <= rounds; ++round) {
      std::string bytes = text;
      if (round == 1) CALLGRIND_ZERO_STATS;  // the first one warms up
      CALLGRIND_TOGGLE_COLLECT;
      rule = bench->run(bytes);
      CALLGRIND_TOGGLE_COLLECT;
    }
    CALLGRIND_DUMP_STATS_AT(name.c_str());
    std::printf("%s %zu %s\n", name.c_str(), text.size(), std::string{reason_code(rule)}.c_str());
  }
}
