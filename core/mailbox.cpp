// When a receiver may sleep, and when a sender has to wake it.
#include "core/mailbox.h"

#include <algorithm>
#include <bit>

namespace sluice::core {

Mailbox::Mailbox(uint32_t capacity)
    : mask_(std::bit_ceil(capacity) - 1), slots_(new Message*[mask_ + 1]) {}

Postbox::Postbox(uint32_t senders, uint32_t capacity) {
  boxes_.reserve(senders);
  for (uint32_t index = 0; index < senders; ++index)
    boxes_.push_back(std::make_unique<Mailbox>(capacity));
}

bool Postbox::has_mail() const {
  return std::any_of(boxes_.begin(), boxes_.end(), [](const auto& box) { return !box->empty(); });
}

bool Postbox::begin_sleep() {
  sleeping_.store(true, std::memory_order_seq_cst);
  const bool quiet = !has_mail();
  if (!quiet) end_sleep();
  return quiet;
}

}  // namespace sluice::core
