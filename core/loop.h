// One core's turn: submit, wait, reap; then run completions, messages and timers; then reclaim what
// was freed.
//
// The Handler (proxy::Worker) is told of
//   on_completion(const Completion&)   on_message(Message&)   on_timer(Timer&)
//   before_wait()   end of the turn's work: buffers are restocked, doorbells rung
//   after_batch()   nothing of the batch is looked at any more: freed slots may be used again
// No handler is entered while another one runs. The loop never waits while messages or local work
// are pending.
#pragma once

#include <algorithm>

#include "core/kernel.h"
#include "core/limits.h"
#include "core/mailbox.h"
#include "core/timer_wheel.h"

namespace sluice::core {

class Loop {
 public:
  Loop(Kernel& kernel, Postbox& postbox)
      : kernel_(kernel), postbox_(postbox), now_(kernel.now()), wheel_(now_) {}

  // The time that this turn runs at, read once a turn.
  [[nodiscard]] Instant now() const { return now_; }
  [[nodiscard]] TimerWheel& wheel() { return wheel_; }
  [[nodiscard]] Kernel& kernel() { return kernel_; }
  // A small batch gains from sending at once, a large one from sending with the next submission.
  [[nodiscard]] bool batch_is_small() const { return batch_size_ <= limits::small_batch; }
  // There is more to do that no completion will announce: the next wait ends at once.
  void stay_awake() { stay_awake_ = true; }

  template <typename Handler>
  void turn(Handler& handler) {
    finish_turn(handler, begin_turn(handler));
  }

  // The two halves of a turn: before the wait, and from the wait on. A test that runs several
  // workers in one thread lets other things happen in between. The first returns how long there is
  // nothing to do.
  template <typename Handler>
  Duration begin_turn(Handler& handler) {
    handler.before_wait();
    Duration timeout = stay_awake_ ? Duration{0} : wheel_.until_next(kernel_.now());
    stay_awake_ = false;
    if (timeout > Duration{0} && !postbox_.begin_sleep()) timeout = Duration{0};
    return timeout;
  }

  template <typename Handler>
  void finish_turn(Handler& handler, Duration timeout) {
    const auto completions = kernel_.submit_and_wait(timeout);
    postbox_.end_sleep();
    now_ = kernel_.now();

    batch_size_ = completions.size();
    for (const Completion& completion : completions) handler.on_completion(completion);
    postbox_.drain([&](Message& message) { handler.on_message(message); });
    wheel_.advance(now_, [&](Timer& timer) { handler.on_timer(timer); });
    handler.after_batch();
    if (batch_size_ == limits::completions_per_turn) stay_awake_ = true;
  }

 private:
  Kernel& kernel_;
  Postbox& postbox_;
  Instant now_;
  TimerWheel wheel_;
  size_t batch_size_ = 0;
  bool stay_awake_ = false;
};

}  // namespace sluice::core
