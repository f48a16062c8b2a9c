// Who posts to a worker, each by the number of its own mailbox in the worker's postbox.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/limits.h"

namespace sluice::proxy {

class Senders {
 public:
  explicit Senders(size_t workers) : workers_(static_cast<uint32_t>(workers)) {}

  [[nodiscard]] static uint32_t worker(uint32_t index) { return index; }
  [[nodiscard]] uint32_t control() const { return workers_; }
  // A thread of the offload pool.
  [[nodiscard]] uint32_t offload(uint32_t thread) const { return workers_ + 1 + thread; }
  // Keepers of several generations are one sender.
  [[nodiscard]] uint32_t key_keeper() const { return offload(core::limits::offload_threads); }
  [[nodiscard]] uint32_t count() const { return key_keeper() + 1; }

 private:
  uint32_t workers_;
};

}  // namespace sluice::proxy
