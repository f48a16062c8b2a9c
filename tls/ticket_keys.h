// The keys that session tickets are sealed with (RFC 5077, RFC 8446 4.6.1). All cores have the
// same without sharing anything: each derives them from the same chain, a step each period, and
// forgets the steps behind it. A ticket from long ago can't be opened with what is in memory now.
//
// One per core; the chain's place is what a take-over hands on.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "core/clock.h"

namespace sluice::tls {

// Where the chain stands. Secret.
struct TicketSeed {
  std::array<uint8_t, 32> chain{};
  uint64_t period = 0;
};

class TicketKeys {
 public:
  // New keys come each period; a ticket is good for a lifetime, so keys are kept for that long.
  static constexpr auto period = std::chrono::hours{4};
  static constexpr auto lifetime = std::chrono::hours{8};

  struct Key {
    std::array<uint8_t, 16> name{};
    std::array<uint8_t, 32> cipher{};  // AES-256
    std::array<uint8_t, 32> mac{};     // HMAC-SHA256
  };

  explicit TicketKeys(const TicketSeed& seed);
  ~TicketKeys();
  TicketKeys(const TicketKeys&) = delete;
  TicketKeys& operator=(const TicketKeys&) = delete;

  // A seed that begins now. `secret` is fresh from the system.
  [[nodiscard]] static TicketSeed seed(const std::array<uint8_t, 32>& secret, core::WallTime now);

  // Goes on to the period of `now`; time that goes back changes nothing.
  void advance(core::WallTime now);
  [[nodiscard]] const Key& sealing() const { return keys_[current]; }
  // That of the next period as well: another core's clock may be a moment ahead. nullptr: unknown.
  [[nodiscard]] const Key* find(std::span<const uint8_t, 16> name) const;
  [[nodiscard]] const TicketSeed& place() const { return seed_; }

 private:
  // The next one, the one that seals, and those whose tickets still live.
  static constexpr size_t next = 0, current = 1;
  static constexpr size_t count = 2 + static_cast<size_t>(lifetime / period);
  void step();

  TicketSeed seed_;
  std::array<Key, count> keys_{};
};

}  // namespace sluice::tls
