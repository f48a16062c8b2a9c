// What one worker hands over to the offload pool: jobs, and a wake-up. The worker posts and never
// waits; the pool's threads take, one at a time.
#pragma once

#include <semaphore>

#include "core/mailbox.h"
#include "proxy/message.h"

namespace sluice::proxy {

class OffloadQueue {
 public:
  // `available` counts the jobs of all queues; it outlives them.
  OffloadQueue(uint32_t jobs_max, std::counting_semaphore<>& available)
      : jobs_(jobs_max), available_(available) {}

  // The worker. False when the queue is full.
  [[nodiscard]] bool submit(ExchangeMessage& job) {
    if (!jobs_.post(job)) return false;
    available_.release();
    return true;
  }
  // A thread of the pool, while no other takes. nullptr if there is none.
  [[nodiscard]] ExchangeMessage* take() { return static_cast<ExchangeMessage*>(jobs_.take()); }

 private:
  core::Mailbox jobs_;
  std::counting_semaphore<>& available_;
};

}  // namespace sluice::proxy
