// sluice demo: the example service, the gateway in front of it, a token, and commands to copy.
#include <fmt/core.h>

#include <chrono>
#include <cstdlib>

#include "auth/mint.h"
#include "cli/commands.h"
#include "cli/example_service.h"
#include "gateway/gateway.h"
#include "gateway/service.h"

namespace sluice::cli {

namespace {

// The limit as it is by default, and the same one as it shapes; nothing where a file says others.
std::string limits_in_words(const std::string& url, const config::Config& config) {
  const bool shows_both = config.limits.size() == 2 && config.limits.back().name == "shaped";
  if (!shows_both) return "";
  const std::string flood =
      "seq 20 | xargs -P 20 -I{} curl -s -o /dev/null -w '%{http_code} after %{time_total} s\\n' "
      "-H "
      "\"Authorization: Bearer $TOKEN\" ";
  const uint32_t burst = config.limit_rules.back().policy.burst;
  return fmt::format(
      "  # 3. 20 requests at once: burst + 1 = {} pass, the rest get 429\n"
      "  {}{}/api/hello\n\n"
      "  #    The same limit with shape: true: 1 passes, {} wait for their turn, the rest get 429\n"
      "  {}{}/shaped/api/hello\n\n",
      burst + 1, flood, url, burst, flood, url);
}

void print_commands(uint16_t port, const std::string& token, const config::Config& config) {
  const std::string url = fmt::format("http://127.0.0.1:{}", port);
  fmt::print(
      "\nSluice is running. Try these in another terminal:\n\n"
      "  TOKEN={}\n\n"
      "  # 1. Is it well? (no token needed)\n"
      "  curl -i {url}/health\n\n"
      "  # 2. A request without a token is refused, with one it is forwarded\n"
      "  curl -i {url}/api/hello\n"
      "  curl -i -H \"Authorization: Bearer $TOKEN\" {url}/api/hello\n\n"
      "{limits}"
      "  # 4. An endpoint that takes its time\n"
      "  curl -i -H \"Authorization: Bearer $TOKEN\" '{url}/slow?ms=1500'\n\n"
      "  # 5. What it counted\n"
      "  curl -s {url}/metrics | grep gateway_requests_total\n\n"
      "The access log follows, one JSON object a request. Ctrl-C drains and stops.\n\n",
      token, fmt::arg("url", url), fmt::arg("limits", limits_in_words(url, config)));
  std::fflush(stdout);
}

}  // namespace

int demo_command(const RunFlags& given) {
  gateway::block_signals();
  RunFlags flags = given;
  flags.demo_routes = true;
  flags.shows_shaping = true;
  if (flags.upstream_timeout.empty()) flags.upstream_timeout = "5s";
  constexpr int keep_what_is_set = 0;
  ::setenv("JWT_SECRET", "a secret for the demo, and for nothing else", keep_what_is_set);

  ExampleService service;
  if (flags.upstream.empty()) {
    if (const auto complaint = service.listen(core::SocketAddress::ipv4(0x7f000001, 9001))) {
      gateway::say("the example service " + *complaint);
      return gateway::exit_cannot_bind;
    }
    service.start();
  }
  auto config = make_config(flags);
  if (const auto* complaint = std::get_if<Complaint>(&config)) {
    gateway::say(complaint->text);
    return gateway::exit_usage;
  }
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  const std::string secret = std::get<std::string>(read_secret());
  const std::string token = auth::mint({.secret = secret,
                                        .subject = "demo",
                                        .issued_at = now,
                                        .expires = now + std::chrono::hours{12}});
  const config::Config shown = std::get<config::Config>(config);
  return gateway::serve(std::move(std::get<config::Config>(config)),
                        {.when_ready = [&](uint16_t port) { print_commands(port, token, shown); }});
}

}  // namespace sluice::cli
