// Question 11: how one core tells another something: a message in its mailbox and, where it sleeps,
// a completion in its ring (MSG_RING) or a byte in its eventfd. `messages` are posted for each
// doorbell; the time is from the first post until the last is answered, by both cores asleep in
// between, as on an idle gateway.
#include <benchmark/benchmark.h>

#include <atomic>
#include <memory>
#include <vector>

#include "bench/engine/loopback.h"
#include "core/kernel.h"
#include "core/mailbox.h"

namespace {

using namespace sluice;

enum class Doorbell : uint8_t { ring, descriptor };

// One core: a ring, a postbox, and the way it rings for the other.
class Core {
 public:
  explicit Core(Doorbell doorbell) : doorbell_(doorbell) {}
  void open() {
    core::KernelUnavailable unavailable;
    kernel_ =
        core::Kernel::open({.submission_entries = 64, .completion_entries = 256}, unavailable);
    if (kernel_ == nullptr) bench::give_up(unavailable.reason);
    is_open.store(true);
    is_open.notify_all();
  }
  void post(Core& to, core::Message& message) { static_cast<void>(to.postbox_.post(0, message)); }
  void ring(Core& sleeper) {
    if (!sleeper.postbox_.claim_doorbell()) return;
    if (doorbell_ == Doorbell::ring) {
      kernel_->ring_doorbell(*sleeper.kernel_);  // goes with the next submission
    } else {
      sleeper.kernel_->wake();
    }
  }
  // Sleeps until there are messages, and hands them over.
  template <typename Deliver>
  uint32_t turn(Deliver&& deliver) {
    const bool sleeps = postbox_.begin_sleep();
    kernel_->submit_and_wait(sleeps ? core::Duration{std::chrono::seconds{1}} : core::Duration{0});
    postbox_.end_sleep();
    return postbox_.drain(deliver);
  }
  void flush() { kernel_->submit_and_wait(core::Duration{0}); }
  std::atomic<bool> is_open{false};

 private:
  Doorbell doorbell_;
  core::Postbox postbox_{1, 256};
  std::unique_ptr<core::Kernel> kernel_;
};

void wake(benchmark::State& state, Doorbell doorbell) {
  constexpr uint16_t stop = 1;
  Core asker{doorbell};
  Core answerer{doorbell};
  asker.open();
  bench::Measured thread{[&] {
    answerer.open();
    for (bool runs = true; runs;) {
      const uint32_t got = answerer.turn([&](core::Message& message) {
        if (message.kind == stop) runs = false;
        answerer.post(asker, message);
      });
      if (got > 0) answerer.ring(asker);
    }
    answerer.flush();
  }};
  answerer.is_open.wait(false);
  std::vector<core::Message> messages(static_cast<size_t>(state.range(0)));
  const auto ask_all = [&] {
    for (core::Message& message : messages) asker.post(answerer, message);
    asker.ring(answerer);
    for (size_t answered = 0; answered < messages.size();)
      answered += asker.turn([](core::Message&) {});
  };
  for (auto _ : state) ask_all();
  messages.resize(1);
  messages[0].kind = stop;
  ask_all();
}
BENCHMARK_CAPTURE(wake, message_to_ring, Doorbell::ring)
    ->ArgName("messages")
    ->Arg(1)
    ->Arg(16)
    ->Arg(64)
    ->UseRealTime();
BENCHMARK_CAPTURE(wake, eventfd, Doorbell::descriptor)
    ->ArgName("messages")
    ->Arg(1)
    ->Arg(16)
    ->Arg(64)
    ->UseRealTime();

}  // namespace
