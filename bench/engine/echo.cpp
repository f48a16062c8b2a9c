// Questions 1 to 3 and part of 12: which set-up of the ring, which way to receive, and from which
// batch on to send with the ring. Each iteration is 256 requests of 100 bytes, the connections by
// turns; the time is the server's CPU.
#include <benchmark/benchmark.h>
#include <sys/socket.h>

#include <algorithm>
#include <string>

#include "bench/engine/echo_server.h"
#include "bench/engine/loopback.h"

namespace {

using namespace sluice::bench;

constexpr size_t requests_each_time = 256;
constexpr size_t message_bytes = 100;

void echo(benchmark::State& state, const EchoOptions& options) {
  const auto connections = static_cast<size_t>(state.range(0));
  const size_t rounds = std::max<size_t>(1, requests_each_time / connections);
  Pairs pairs{connections};
  EchoServer server{options, pairs.far};
  Measured thread{[&] { server.run(); }};
  const std::string message(message_bytes, 'x');
  char answer[message_bytes];
  const uint64_t enters_before = server.enters();
  double total = 0;
  for (auto _ : state) {
    const double before = thread.cpu_seconds();
    for (size_t round = 0; round < rounds; ++round) {
      for (const int socket : pairs.near) write_all(socket, message.data(), message.size());
      for (const int socket : pairs.near) {
        if (!read_all(socket, answer, sizeof answer)) state.SkipWithError("closed");
      }
    }
    const double taken = thread.cpu_seconds() - before;
    total += taken;
    state.SetIterationTime(taken);
  }
  for (const int socket : pairs.near) ::shutdown(socket, SHUT_WR);
  const auto requests = static_cast<double>(state.iterations() * rounds * connections);
  state.counters["us/request"] = total * 1e6 / requests;
  state.counters["enters/request"] =
      static_cast<double>(server.enters() - enters_before) / requests;
  state.counters["kernel_workers"] = kernel_workers();
}

void ask(const std::string& name, const EchoOptions& options,
         std::initializer_list<int64_t> connections) {
  auto* one = benchmark::RegisterBenchmark(
      name.c_str(), [options](benchmark::State& state) { echo(state, options); });
  one->ArgName("connections")->UseManualTime()->Unit(benchmark::kMicrosecond);
  for (const int64_t count : connections) one->Arg(count);
}

const bool registered = [] {
  const auto connections = {int64_t{1}, int64_t{16}, int64_t{128}, int64_t{1024}};
  ask("ring/epoll", {.setup = Setup::epoll}, connections);
  ask("ring/plain", {.setup = Setup::plain}, connections);
  ask("ring/cooperative", {.setup = Setup::cooperative}, connections);
  ask("ring/deferred", {.setup = Setup::deferred}, connections);
  ask("ring/deferred_without_registered_descriptor", {.setup = Setup::deferred_bare}, connections);
  const auto batches = {int64_t{1}, int64_t{8}, int64_t{64}};
  ask("receive/single", {.receive = Receive::single}, batches);
  ask("receive/poll_first", {.receive = Receive::poll_first}, batches);
  ask("receive/pooled", {.receive = Receive::pooled}, batches);
  ask("receive/multishot", {.receive = Receive::multishot}, batches);
  for (const unsigned up_to : {0U, 1U, 2U, 4U, 8U, 16U, 1U << 20}) {
    ask("send/inline_up_to:" + std::to_string(up_to), {.inline_up_to = up_to}, batches);
  }
  return true;
}();

}  // namespace
