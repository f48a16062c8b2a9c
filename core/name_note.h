// The name of something that one thread meets again and again, at most once a minute, for another
// thread to say: no lock, and nothing is waited for.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/clock.h"

namespace sluice::core {

class NameNote {
 public:
  static constexpr size_t bytes_max = 64;
  static constexpr Duration interval = std::chrono::minutes{1};

  // The writer's.
  void note(std::string_view name, Instant now) {
    if (count_.load(std::memory_order_relaxed) != 0 && now - noted_at_ < interval) return;
    noted_at_ = now;
    for (size_t at = 0; at < bytes_max; ++at)
      bytes_[at].store(at < name.size() ? name[at] : '\0', std::memory_order_relaxed);
    count_.store(count_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }

  // The reader's: what it has not read yet.
  [[nodiscard]] std::optional<std::string> take() {
    const uint32_t count = count_.load(std::memory_order_acquire);
    if (count == taken_) return std::nullopt;
    taken_ = count;
    std::string name;
    for (const auto& byte : bytes_) {
      const char c = byte.load(std::memory_order_relaxed);
      if (c == '\0') break;
      name += c;
    }
    return name;
  }

 private:
  std::atomic<uint32_t> count_{0};
  std::array<std::atomic<char>, bytes_max> bytes_{};
  Instant noted_at_{};  // the writer's
  uint32_t taken_ = 0;  // the reader's
};

}  // namespace sluice::core
