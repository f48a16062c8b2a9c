// What a limit check costs that another core answers: two pinned threads, each with a ring and a
// loop as a worker has, and nothing else to do. With `window` checks out at a time: 1 is the worst
// case, both cores asleep in between; many are what a busy gateway sees, where one doorbell wakes
// for all. Prints CPU of both cores together and the time to the answer.
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <thread>
#include <vector>

#include "core/affinity.h"
#include "core/loop.h"
#include "limiter/owner.h"
#include "limiter/shard.h"
#include "proxy/limit_check.h"

namespace {

using namespace sluice;

constexpr uint32_t keys = 100'000;
unsigned checks = 200'000;

struct Check : core::Message {
  proxy::LimitVisit visit;
  core::Instant asked_at{};
};
constexpr uint16_t question = 1, answer = 2, stop = 3;

double thread_cpu_us() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) / 1e3;
}

// One side: asks and is answered, or answers.
class Side {
 public:
  Side(uint32_t index, Side*& other) : index_(index), postbox_(2, 4096), other_(other) {}

  void open() {
    core::KernelUnavailable unavailable;
    kernel_ =
        core::Kernel::open({.submission_entries = 256, .completion_entries = 1024}, unavailable);
    if (kernel_ == nullptr) std::fprintf(stderr, "%s\n", unavailable.reason.c_str()), std::exit(4);
    loop_ = std::make_unique<core::Loop>(*kernel_, postbox_);
  }
  void post(core::Message& message) {
    static_cast<void>(other_->postbox_.post(index_, message));
    posted_ = true;
  }
  void ask(Check& check) {
    check.kind = question;
    random_ = random_ * 6364136223846793005 + 1442695040888963407;
    check.visit.claims[0].hash = ((random_ >> 32) % keys + 1) * 0x9e3779b97f4a7c15;
    check.visit.count = 1;
    check.asked_at = kernel_->now();
    post(check);
  }
  void run_owner(limiter::Shard& shard) {
    shard_ = &shard;
    while (!stopped_) loop_->turn(*this);
  }
  void run_asker(std::vector<Check>& out) {
    left_ = checks;
    for (Check& check : out) ask(check);
    left_ -= static_cast<unsigned>(out.size());
    unanswered_ = checks;
    while (unanswered_ > 0) loop_->turn(*this);
    stop_message_.kind = stop;
    post(stop_message_);
    before_wait();
    static_cast<void>(kernel_->submit_and_wait(core::Duration{0}));
  }
  std::vector<int64_t> latencies_ns;

  // The loop's handler.
  void on_completion(const core::Completion&) {}
  void on_timer(core::Timer&) {}
  void after_batch() {}
  void before_wait() {
    if (posted_ && other_->postbox_.claim_doorbell()) kernel_->ring_doorbell(*other_->kernel_);
    posted_ = false;
  }
  void on_message(core::Message& message) {
    if (message.kind == stop) {
      stopped_ = true;
      return;
    }
    auto& check = static_cast<Check&>(message);
    if (check.kind == question) {
      check.visit.verdict = shard_->visit(check.visit.visit, {check.visit.claims.data(), 1},
                                          check.visit.hold, loop_->now());
      check.kind = answer;
      post(check);
      return;
    }
    latencies_ns.push_back((kernel_->now() - check.asked_at).count());
    --unanswered_;
    if (left_ > 0) {
      --left_;
      ask(check);
    }
  }

 private:
  uint32_t index_;
  core::Postbox postbox_;
  Side*& other_;
  std::unique_ptr<core::Kernel> kernel_;
  std::unique_ptr<core::Loop> loop_;
  limiter::Shard* shard_ = nullptr;
  Check stop_message_;
  uint64_t random_ = 1;
  unsigned left_ = 0, unanswered_ = 0;
  bool posted_ = false, stopped_ = false;
};

void measure(unsigned window) {
  const limiter::Limit limit{.policy = {.rate = {1, 1}, .burst = 1'000'000, .delay = 1'000'000}};
  limiter::Shard shard{keys, {&limit, 1}};
  Side* asker_side = nullptr;
  Side* owner_side = nullptr;
  Side asker{0, owner_side}, owner{1, asker_side};
  asker_side = &asker;
  owner_side = &owner;
  asker.latencies_ns.reserve(checks);
  std::barrier ready{2};
  double cpu[2] = {};
  std::vector<Check> out(window);
  const auto cores = core::available_cores();
  const auto side = [&](Side& of, unsigned index, auto&& run) {
    core::enter_thread("remote", cores[index % cores.size()]);
    of.open();
    ready.arrive_and_wait();
    const double before = thread_cpu_us();
    run();
    cpu[index] = thread_cpu_us() - before;
  };
  std::thread answering{[&] { side(owner, 1, [&] { owner.run_owner(shard); }); }};
  std::thread asking{[&] { side(asker, 0, [&] { asker.run_asker(out); }); }};
  asking.join();
  answering.join();
  std::sort(asker.latencies_ns.begin(), asker.latencies_ns.end());
  const auto at = [&](double share) {
    return static_cast<double>(asker.latencies_ns[static_cast<size_t>(share * (checks - 1))]) / 1e3;
  };
  std::printf(
      "%6u out: %6.2f us CPU a check (%5.2f asker, %5.2f owner), answer after %6.1f us (p50), "
      "%6.1f us (p99)\n",
      window, (cpu[0] + cpu[1]) / checks, cpu[0] / checks, cpu[1] / checks, at(0.5), at(0.99));
}

// The floor: two rings that do nothing but wake each other.
void measure_doorbells() {
  const unsigned rounds = checks / 4;
  std::unique_ptr<core::Kernel> kernels[2];
  std::atomic<unsigned> rung[2] = {0, 0};
  std::barrier ready{2};
  double cpu[2] = {};
  const auto cores = core::available_cores();
  const auto side = [&](unsigned index) {
    core::enter_thread("doorbell", cores[index % cores.size()]);
    core::KernelUnavailable unavailable;
    kernels[index] =
        core::Kernel::open({.submission_entries = 64, .completion_entries = 256}, unavailable);
    ready.arrive_and_wait();
    const double before = thread_cpu_us();
    for (unsigned round = 0; round < rounds; ++round) {
      if (index == 0) {
        rung[1].store(round + 1);
        kernels[0]->ring_doorbell(*kernels[1]);
      }
      while (rung[index].load() <= round)
        static_cast<void>(kernels[index]->submit_and_wait(core::forever));
      if (index == 1) {
        rung[0].store(round + 1);
        kernels[1]->ring_doorbell(*kernels[0]);
      }
    }
    static_cast<void>(kernels[index]->submit_and_wait(core::Duration{0}));
    cpu[index] = thread_cpu_us() - before;
    ready.arrive_and_wait();
  };
  std::thread second{side, 1};
  std::thread first{side, 0};
  first.join();
  second.join();
  std::printf("the floor: %5.2f us CPU for a doorbell there and one back, with nothing to say\n",
              (cpu[0] + cpu[1]) / rounds);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) checks = static_cast<unsigned>(std::strtoul(argv[1], nullptr, 10));
  measure_doorbells();
  for (const unsigned window : {1U, 8U, 64U, 256U}) measure(window);
  return 0;
}
