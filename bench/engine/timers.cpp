// Question 10: what a deadline costs that is set and nearly always taken back: on the wheel among
// so many others, as an operation of the ring, moved in the ring, and linked to the operation that
// it limits.
#include <benchmark/benchmark.h>
#include <liburing.h>

#include <memory>

#include "bench/engine/loopback.h"
#include "core/timer_wheel.h"

namespace {

using namespace sluice;

void wheel_armed_and_disarmed(benchmark::State& state) {
  const auto others = static_cast<size_t>(state.range(0));
  core::TimerWheel wheel{core::Instant{}};
  const auto timers = std::make_unique<core::Timer[]>(others);
  for (size_t number = 0; number < others; ++number)
    wheel.arm(timers[number], core::Instant{std::chrono::milliseconds{1 + number % 120'000}});
  size_t at = 0;
  for (auto _ : state) {
    core::Timer& timer = timers[at++ * 7919 % others];
    wheel.disarm(timer);
    wheel.arm(timer, core::Instant{std::chrono::seconds{60}});
  }
  for (size_t number = 0; number < others; ++number) wheel.disarm(timers[number]);
}
BENCHMARK(wheel_armed_and_disarmed)->ArgName("others")->Arg(10'000)->Arg(1'000'000);

// Progress was made: the deadline moves later, and the wheel need not know yet.
void wheel_moved(benchmark::State& state) {
  core::TimerWheel wheel{core::Instant{}};
  core::Timer timer;
  core::Instant deadline{std::chrono::seconds{60}};
  for (auto _ : state) {
    deadline += core::Duration{1000};
    wheel.arm(timer, deadline);
  }
  wheel.disarm(timer);
}
BENCHMARK(wheel_moved);

class Ring {
 public:
  Ring() {
    io_uring_params parameters{};
    parameters.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
    if (io_uring_queue_init_params(64, &ring_, &parameters) != 0) bench::give_up("no ring");
  }
  ~Ring() { io_uring_queue_exit(&ring_); }
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;
  io_uring_sqe* entry() { return io_uring_get_sqe(&ring_); }
  void complete(unsigned count) {
    io_uring_submit_and_wait(&ring_, count);
    io_uring_cq_advance(&ring_, count);
  }

 private:
  io_uring ring_{};
};

__kernel_timespec in_a_minute{.tv_sec = 60, .tv_nsec = 0};

// The base of the three that follow: one operation that does nothing.
void ring_without_deadline(benchmark::State& state) {
  Ring ring;
  for (auto _ : state) {
    io_uring_prep_nop(ring.entry());
    ring.complete(1);
  }
}
BENCHMARK(ring_without_deadline);

void ring_timeout_added_and_removed(benchmark::State& state) {
  Ring ring;
  for (auto _ : state) {
    io_uring_sqe* sqe = ring.entry();
    io_uring_prep_timeout(sqe, &in_a_minute, 0, 0);
    sqe->user_data = 1;
    io_uring_prep_nop(ring.entry());
    io_uring_prep_timeout_remove(ring.entry(), 1, 0);
    ring.complete(3);
  }
}
BENCHMARK(ring_timeout_added_and_removed);

void ring_timeout_moved(benchmark::State& state) {
  Ring ring;
  io_uring_sqe* sqe = ring.entry();
  io_uring_prep_timeout(sqe, &in_a_minute, 0, 0);
  sqe->user_data = 1;
  for (auto _ : state) {
    io_uring_prep_nop(ring.entry());
    io_uring_prep_timeout_update(ring.entry(), &in_a_minute, 1, 0);
    ring.complete(2);
  }
}
BENCHMARK(ring_timeout_moved);

void ring_timeout_linked(benchmark::State& state) {
  Ring ring;
  for (auto _ : state) {
    io_uring_sqe* sqe = ring.entry();
    io_uring_prep_nop(sqe);
    sqe->flags |= IOSQE_IO_LINK;
    io_uring_prep_link_timeout(ring.entry(), &in_a_minute, 0);
    ring.complete(2);
  }
}
BENCHMARK(ring_timeout_linked);

}  // namespace
