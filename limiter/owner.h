// Which core owns a key, and the hash that the key has inside that core's shard.
//
// Keys that hold a client's address belong to XXH32(network, seed) mod cores: a function small
// enough for the classic BPF program on the listeners to compute as well (steering.h), so that a
// connection lands where its key is kept. Other keys belong to a core by their hash.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/address.h"

namespace sluice::limiter {

// How much of an address is one client. IPv6: at most 64 bits, since those are what one host is
// given whole.
struct NetworkBits {
  uint8_t ipv4 = 32;  // 8 to 32
  uint8_t ipv6 = 64;  // 16 to 64
  bool operator==(const NetworkBits&) const = default;
};

using Network = core::SocketAddress::Prefix;

[[nodiscard]] Network network_of(const core::SocketAddress& address, NetworkBits bits);

// The same for every process: what a limit is known by.
[[nodiscard]] uint64_t limit_id(std::string_view name, std::string_view what);

// The hash of a key, part by part. Which parts a key has is fixed by its limit, so no two keys of a
// limit are confused.
class KeyHash {
 public:
  KeyHash(uint64_t seed, uint64_t id);
  void add(const Network& network);
  void add(std::string_view part);
  [[nodiscard]] uint64_t value() const { return hash_ == 0 ? 1 : hash_; }  // never 0

 private:
  uint64_t hash_;
};

class Ownership {
 public:
  // `seed` is random for the process and the same for all cores.
  Ownership(uint32_t cores, uint64_t seed, NetworkBits bits = {})
      : cores_(cores), seed_(seed), bits_(bits) {}

  [[nodiscard]] uint32_t owner_of(const Network& network) const;
  [[nodiscard]] uint32_t owner_of(uint64_t key_hash) const;
  [[nodiscard]] Network network_of(const core::SocketAddress& address) const {
    return limiter::network_of(address, bits_);
  }
  [[nodiscard]] KeyHash key(uint64_t id) const { return {~seed_, id}; }

 private:
  uint32_t cores_;
  uint64_t seed_;
  NetworkBits bits_;
};

}  // namespace sluice::limiter
