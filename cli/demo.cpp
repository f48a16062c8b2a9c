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

void print_commands(uint16_t port, const std::string& token) {
  const std::string url = fmt::format("http://127.0.0.1:{}", port);
  fmt::print(
      "\nSluice is running. Try these in another terminal:\n\n"
      "  TOKEN={}\n\n"
      "  # 1. Is it well? (no token needed)\n"
      "  curl -i {url}/health\n\n"
      "  # 2. A request without a token is refused, with one it is forwarded\n"
      "  curl -i {url}/api/hello\n"
      "  curl -i -H \"Authorization: Bearer $TOKEN\" {url}/api/hello\n\n"
      "  # 3. A burst of 20 at once: 10 a second pass, 5 more wait for their turn, the rest get "
      "429\n"
      "  seq 20 | xargs -P 20 -I{{}} curl -s -o /dev/null -w '%{{http_code}} ' -H \"Authorization: "
      "Bearer $TOKEN\" {url}/api/hello; "
      "echo\n\n"
      "  # 4. An endpoint that takes its time\n"
      "  curl -i -H \"Authorization: Bearer $TOKEN\" '{url}/slow?ms=1500'\n\n"
      "  # 5. What it counted\n"
      "  curl -s {url}/metrics | grep gateway_requests_total\n\n"
      "The access log follows, one JSON object a request. Ctrl-C drains and stops.\n\n",
      token, fmt::arg("url", url));
  std::fflush(stdout);
}

}  // namespace

int demo_command(const RunFlags& given) {
  gateway::block_signals();
  RunFlags flags = given;
  flags.demo_routes = true;
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
  return gateway::serve(std::move(std::get<config::Config>(config)),
                        {.when_ready = [&](uint16_t port) { print_commands(port, token); }});
}

}  // namespace sluice::cli
