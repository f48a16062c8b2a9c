// A fixed trace of requests through one worker over the simulated kernel, for valgrind
// --tool=callgrind to count: small GETs with four fields, a token that is remembered and a limit,
// eight connections. Only production code is counted, not the simulated kernel. Run without
// valgrind it does nothing but pass. With --other-names every name and path that the harness of
// bench/ uses is another one of the same length: nothing may be faster because it is what is
// measured.
//
//   valgrind --tool=callgrind --collect-atstart=no instructions_trace [--other-names]
//       prints "REQUESTS n"; tests/simulation/instructions judges
#include <valgrind/callgrind.h>

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

#include "auth/mint.h"
#include "proxy/worker.h"
#include "tests/simulation/actors.h"
#include "tests/simulation/control.h"
#include "tests/simulation/kernel_simulated.h"
#include "tests/simulation/world.h"

namespace {

using namespace sluice;
using simulation::Asker;
using simulation::Responder;
using simulation::World;

constexpr uint64_t warm_requests = 500;
constexpr uint64_t counted_requests = 2000;

struct Names {
  std::string upstream, endpoint, auth, limit, route, secret, subject, target, host, agent, body;
};
const Names of_the_harness{.upstream = "origin",
                           .endpoint = "127.0.0.1:9001",
                           .auth = "main",
                           .limit = "all",
                           .route = "default",
                           .secret = "a-secret-for-measuring-and-nothing-else",
                           .subject = "user0",
                           .target = "/bytes?n=16384",
                           .host = "127.0.0.1:18000",
                           .agent = "load",
                           .body = "Hello, world\n"};
const Names others{.upstream = "murmur",
                   .endpoint = "10.0.0.71:8417",
                   .auth = "pale",
                   .limit = "few",
                   .route = "another",
                   .secret = "some-words-of-no-consequence-whatsoever",
                   .subject = "zelda",
                   .target = "/lemon?q=zebra",
                   .host = "www.example.org",
                   .agent = "curl",
                   .body = "Good morning!"};

}  // namespace

int main(int argc, char** argv) {
  const Names& names =
      argc > 1 && std::string_view{argv[1]} == "--other-names" ? others : of_the_harness;
  World world{1, {}};
  Responder responder{world};
  Asker asker{world};
  world.listen(9001, &responder);
  config::Config config;
  config::add_upstream(config, names.upstream, core::SocketAddress::ipv4(0x7f000001, 9001),
                       names.endpoint);
  config.cores = {-1};
  config.bounds.limiter_keys = 1000;
  config::add_secret_auth(config, names.auth, names.secret);
  const uint16_t limit = config.add_limit({.name = names.limit, .key = {config::KeyPart{}}},
                                          {.policy = {{1, 1}, 1'000'000, 1'000'000}});
  config.routes.push_back({.name = names.route, .providers = 1, .limits_after = {limit}});
  config::complete(config);
  core::KernelUnavailable unavailable;
  auto kernel = core::Kernel::open({}, unavailable);
  core::Postbox postbox{4, 64};
  metrics::LogRing log{1 << 20};
  simulation::Control control{1};
  control.make(config);
  proxy::WorkerOptions options = simulation::worker_options(
      control, 0, *kernel, simulation::adopt(*kernel, world.listen(8000, nullptr)));
  options.peers.push_back({&postbox, kernel.get()});
  options.log = &log;
  proxy::Worker worker{std::move(options)};
  static_cast<void>(worker.prepare());
  const auto now = std::chrono::floor<std::chrono::seconds>(kernel->wall_now());
  asker.request = "GET " + names.target + " HTTP/1.1\r\nHost: " + names.host +
                  "\r\nUser-Agent: " + names.agent + "\r\nAccept: */*\r\nAuthorization: Bearer " +
                  auth::mint({.secret = names.secret,
                              .subject = names.subject,
                              .issued_at = now,
                              .expires = now + std::chrono::hours{1}}) +
                  "\r\n\r\n";
  asker.expected = responder.body = names.body;
  for (int i = 0; i < 8; ++i)
    world.send(world.connect_actor(&asker, 8000, 0x0a000001 + static_cast<uint32_t>(i)),
               asker.request);

  core::Duration timeout = worker.begin_turn();
  uint64_t first = 0;
  while (asker.answers < warm_requests + counted_requests) {
    simulation::submit(*kernel, timeout);
    simulation::pump(*kernel, true);
    while (!simulation::is_runnable(*kernel)) {
      world.advance_to(std::min(world.next_event(), simulation::wakes_at(*kernel)));
      world.run_due();
      simulation::pump(*kernel, true);
    }
    if (asker.answers >= warm_requests && first == 0) {
      first = asker.answers;
      simulation::on_enter_kernel = [] { CALLGRIND_TOGGLE_COLLECT; };
      simulation::on_leave_kernel = [] { CALLGRIND_TOGGLE_COLLECT; };
    }
    if (first != 0) CALLGRIND_TOGGLE_COLLECT;
    worker.finish_turn(timeout);
    timeout = worker.begin_turn();
    if (first != 0) CALLGRIND_TOGGLE_COLLECT;
    for (const auto piece : log.readable()) log.consume(piece.size());
  }
  std::printf("REQUESTS %llu\n", static_cast<unsigned long long>(asker.answers - first));
  return 0;
}
