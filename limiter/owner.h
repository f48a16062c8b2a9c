// Which core owns a key, and what the key is inside that core's shard.
//
// The owner of an address is XXH32(prefix, seed) mod cores: a function small enough for a classic BPF program on the
// listeners to compute as well. Inside the shard XXH3 with another random seed places the key.
#pragma once

#include <cstdint>

#include "core/address.h"
#include "limiter/shard.h"

namespace sluice::limiter {

class Ownership {
 public:
  Ownership(uint32_t cores, uint64_t seed) : cores_(cores), seed_(seed) {}

  [[nodiscard]] uint32_t owner_of(const core::SocketAddress::Prefix& prefix) const;
  [[nodiscard]] Key key_of(const core::SocketAddress::Prefix& prefix) const;

 private:
  uint32_t cores_;
  uint64_t seed_;
};

}  // namespace sluice::limiter
