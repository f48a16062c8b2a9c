// Question 12: what a turn of the ring costs with and without its registered descriptor and
// NO_IOWAIT, and whether threads that share a table of descriptors stand in each other's way.
#include <benchmark/benchmark.h>
#include <liburing.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/engine/loopback.h"

namespace {

using namespace sluice::bench;

constexpr unsigned enter_no_iowait = 1U << 7;  // Linux 6.15, newer than liburing 2.9

enum class RingDescriptor : uint8_t { plain, registered };

void turn(benchmark::State& state, RingDescriptor descriptor, unsigned flags) {
  io_uring ring{};
  io_uring_params parameters{};
  parameters.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
  if (io_uring_queue_init_params(64, &ring, &parameters) != 0) give_up("no ring");
  if (descriptor == RingDescriptor::registered && io_uring_register_ring_fd(&ring) == 1)
    flags |= IORING_ENTER_REGISTERED_RING;
  for (auto _ : state) {
    io_uring_prep_nop(io_uring_get_sqe(&ring));
    // What io_uring_submit() does before it enters, without its own choice of flags.
    *ring.sq.ktail = ring.sq.sqe_head = ring.sq.sqe_tail;
    if (io_uring_enter(static_cast<unsigned>(ring.enter_ring_fd), 1, 1,
                       IORING_ENTER_GETEVENTS | flags, nullptr) != 1) {
      state.SkipWithError("the kernel does not know these flags");
      break;
    }
    io_uring_cq_advance(&ring, 1);
  }
  io_uring_queue_exit(&ring);
}
BENCHMARK_CAPTURE(turn, bare, RingDescriptor::plain, 0);
BENCHMARK_CAPTURE(turn, registered_descriptor, RingDescriptor::registered, 0);
BENCHMARK_CAPTURE(turn, registered_descriptor_no_iowait, RingDescriptor::registered,
                  enter_no_iowait);

enum class Table : uint8_t { shared, own };

// A socket opened and closed: each thread on its own, in one table or in a copy of it.
void socket_opened_and_closed(benchmark::State& state, Table table) {
  const Measured thread{[&] {
                          if (table == Table::own && ::unshare(CLONE_FILES) != 0)
                            give_up("unshare");
                          for (auto _ : state)
                            ::close(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
                        },
                        static_cast<size_t>(state.thread_index())};
}
BENCHMARK_CAPTURE(socket_opened_and_closed, shared_table, Table::shared)
    ->Threads(1)
    ->Threads(2)
    ->UseRealTime();
BENCHMARK_CAPTURE(socket_opened_and_closed, own_table, Table::own)
    ->Threads(1)
    ->Threads(2)
    ->UseRealTime();

}  // namespace
