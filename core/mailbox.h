// Messages between threads. A Message is embedded in its sender, which must not go away while it is
// out: a message that is out counts as in flight. Each Mailbox has one sending and one receiving
// thread.
//
// A Postbox is what one receiver has: one mailbox for each possible sender, and the flag that says
// whether the receiver sleeps, so that a doorbell rings only for a sleeper. The receiver raises the
// flag, looks once more, and only then waits; the sender posts, and only then looks at the flag:
// one of the two sees the other.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/assert.h"

namespace sluice::core {

// What travels. The meaning of `kind` belongs to whoever runs the loop; derived types carry the
// contents.
struct Message {
  uint16_t kind = 0;
  uint16_t sender = 0;  // index of the sending side, so that an answer finds its way
};

class Mailbox {
 public:
  // `capacity` is rounded up to a power of two; size it by what can be out at once, then it is
  // never full.
  explicit Mailbox(uint32_t capacity);

  // Sender only. False when full: the message stays with its sender, to be posted later.
  [[nodiscard]] bool post(Message& message) {
    const uint64_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - seen_head_ > mask_) {
      seen_head_ = head_.load(std::memory_order_acquire);
      if (tail - seen_head_ > mask_) return false;
    }
    slots_[tail & mask_] = &message;
    tail_.store(tail + 1, std::memory_order_release);
    return true;
  }

  // Receiver only. Nullptr when empty.
  [[nodiscard]] Message* take() {
    const uint64_t head = head_.load(std::memory_order_relaxed);
    if (head == tail_.load(std::memory_order_acquire)) return nullptr;
    Message* message = slots_[head & mask_];
    head_.store(head + 1, std::memory_order_release);
    return message;
  }

  [[nodiscard]] bool empty() const {
    return head_.load(std::memory_order_relaxed) == tail_.load(std::memory_order_seq_cst);
  }

 private:
  uint64_t mask_;
  std::unique_ptr<Message*[]> slots_;
  alignas(64) std::atomic<uint64_t> head_{0};
  alignas(64) std::atomic<uint64_t> tail_{0};
  uint64_t seen_head_ = 0;  // the sender's last look at head_
};

class Postbox {
 public:
  Postbox(uint32_t senders, uint32_t capacity);

  // Sender `from`. False when its mailbox is full.
  [[nodiscard]] bool post(uint32_t from, Message& message) { return boxes_[from]->post(message); }
  // The same where no more can be out than there is room for; anything else is our mistake.
  void post_within_bound(uint32_t from, Message& message) {
    const bool has_room = post(from, message);
    SLUICE_ASSERT(has_room);
  }
  // Sender, after posting: whether the receiver sleeps and this caller is the one who must ring.
  [[nodiscard]] bool claim_doorbell() {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    return sleeping_.load(std::memory_order_relaxed) &&
           sleeping_.exchange(false, std::memory_order_seq_cst);
  }

  // Receiver: hands every waiting message to deliver(Message&); returns how many.
  template <typename Deliver>
  uint32_t drain(Deliver&& deliver) {
    uint32_t count = 0;
    for (auto& box : boxes_) {
      while (Message* message = box->take()) {
        ++count;
        deliver(*message);
      }
    }
    return count;
  }

  // Whether something waits to be taken. For tests; the receiver finds out by drain().
  [[nodiscard]] bool has_mail() const;

  // Receiver: whether it may wait now. If so, whoever posts from here on rings.
  [[nodiscard]] bool begin_sleep();
  void end_sleep() { sleeping_.store(false, std::memory_order_relaxed); }

 private:
  std::vector<std::unique_ptr<Mailbox>> boxes_;
  alignas(64) std::atomic<bool> sleeping_{false};
};

}  // namespace sluice::core
