// The text of one /metrics answer: rendered by the offload pool, lent to the exchange that sends
// it.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>

namespace sluice::proxy {

struct Report {
  std::atomic<bool> is_lent{false};
  size_t size = 0;
  std::array<char, 512 * 1024> text;
  void give_back() { is_lent.store(false, std::memory_order_release); }
};

}  // namespace sluice::proxy
