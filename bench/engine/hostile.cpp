// Questions 5 and 6: what a client costs that reads slowly, by how it is sent to; and what the end
// of a connection costs in which things are in flight, by the one way in which this engine ends
// them.
#include <benchmark/benchmark.h>
#include <liburing.h>
#include <sys/socket.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "bench/engine/loopback.h"
#include "core/kernel.h"

namespace {

using namespace sluice;
using namespace sluice::bench;

constexpr size_t answer_bytes = 32 << 20;

// `flags`: MSG_WAITALL lets the kernel go on by itself until all is sent.
void send_answer(int socket, int flags) {
  io_uring ring{};
  io_uring_params parameters{};
  parameters.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
  if (io_uring_queue_init_params(8, &ring, &parameters) != 0) give_up("no ring");
  const std::string answer(answer_bytes, 'x');
  for (size_t left = answer_bytes; left > 0;) {
    io_uring_prep_send(io_uring_get_sqe(&ring), socket, answer.data(), left, MSG_NOSIGNAL | flags);
    io_uring_submit_and_wait(&ring, 1);
    io_uring_cqe* cqe = nullptr;
    io_uring_wait_cqe(&ring, &cqe);
    if (cqe->res <= 0) give_up("can't send");
    left -= static_cast<size_t>(cqe->res);
    io_uring_cqe_seen(&ring, cqe);
  }
  io_uring_queue_exit(&ring);
}

// The client takes 1 KiB at a time out of a window of 4 KiB. kernel_workers tells of a thread that
// the kernel blocks for it.
void slow_reader(benchmark::State& state, int flags) {
  unsigned workers = 0;
  double total = 0;
  for (auto _ : state) {
    Pairs pairs{1, Pairs::Room::little};
    double taken = 0;
    {
      Measured thread{[&] { send_answer(pairs.far[0], flags); }};
      char piece[1024];
      for (size_t left = answer_bytes; left > 0; left -= sizeof piece) {
        if (!read_all(pairs.near[0], piece, sizeof piece)) state.SkipWithError("closed");
        if (left == answer_bytes / 8) workers = kernel_workers();
      }
      taken = thread.cpu_seconds();
    }
    total += taken;
    state.SetIterationTime(taken);
  }
  state.counters["kernel_workers"] = workers;
  state.counters["ms/MiB"] =
      total * 1e3 / (static_cast<double>(state.iterations()) * answer_bytes / (1 << 20));
}
BENCHMARK_CAPTURE(slow_reader, sent_piece_by_piece, 0)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(slow_reader, sent_with_waitall, MSG_WAITALL)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

// 256 connections, each with a receive, a blocked send and a watch in flight: shut down, awaited,
// closed. The iteration fails if one operation did not complete exactly once.
void teardown(benchmark::State& state) {
  constexpr size_t connections = 256;
  constexpr uint32_t operations = 3;
  core::KernelUnavailable unavailable;
  const auto kernel =
      core::Kernel::open({.submission_entries = 512, .completion_entries = 4096}, unavailable);
  if (kernel == nullptr) give_up(unavailable.reason);
  const std::vector<std::byte> much(8 << 20);
  std::vector<std::byte> into(connections);
  for (auto _ : state) {
    state.PauseTiming();
    auto pairs = std::make_unique<Pairs>(connections, Pairs::Room::little);
    std::vector<uint8_t> completed(connections * operations);
    for (uint32_t at = 0; at < connections; ++at) {
      const int socket = pairs->far[at];
      while (kernel->send_now(socket, much, core::Continuation::none)) continue;
      kernel->receive({1, 0, at * operations}, socket, std::span{into}.subspan(at, 1),
                      core::Readiness::unexpected);
      kernel->send({1, 0, at * operations + 1}, socket, much, core::Continuation::none);
      kernel->watch_hangup({1, 0, at * operations + 2}, socket);
    }
    size_t left = completed.size();
    const auto reap = [&](core::Duration timeout) {
      for (const core::Completion& completion : kernel->submit_and_wait(timeout)) {
        if (completed[completion.token.slot]++ == 0) --left;
      }
    };
    reap(core::Duration{0});
    state.ResumeTiming();
    for (const int socket : pairs->far) kernel->shutdown_both(socket);
    while (left > 0) reap(core::Duration{std::chrono::seconds{1}});
    state.PauseTiming();
    reap(core::Duration{0});
    if (std::any_of(completed.begin(), completed.end(), [](uint8_t times) { return times != 1; }))
      state.SkipWithError("completed twice");
    pairs.reset();
    state.ResumeTiming();
  }
}
BENCHMARK(teardown)->Unit(benchmark::kMicrosecond);

}  // namespace
