// Which core owns a key, and the place that the key has inside that core's shard.
//
// Keys that hold a client's address belong to a core by XXH32 over their network, twice, with two
// seeds: a function small enough for the classic BPF program on the listeners to compute
// (steering.h), so that a connection lands where its key is kept. It is no secret function: whoever
// has many networks and learns which core serves each can in time choose networks of one core. That
// core's share of requests grows, and steering by address ends when it is lopsided (SteeringJudge);
// but the place of a key is SipHash with a secret of its own, which the choice of a core tells
// nothing of: no choice of addresses or names makes two keys share a bucket or crowd a group of
// slots. Other keys belong to a core by their SipHash.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/address.h"
#include "core/siphash.h"
#include "limiter/limit.h"

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

// What decides about owners and places: random for the process, the same for all cores, used for
// nothing else. Of the two, `places` is a secret that nothing observable depends on.
struct OwnershipSecrets {
  uint64_t owners = 0;
  core::SipHash::Key places;
};

// The place of a key, part by part. Every part says its kind and length, so that no two keys of a
// limit are confused, whatever they consist of.
class KeyHash {
 public:
  KeyHash(const core::SipHash::Key& secret, uint64_t id);
  void add(const Network& network);
  void add(std::string_view text);
  // The values added since the last part are one list.
  void end_list() { hash_.add(0); }
  [[nodiscard]] Claim claim(uint16_t limit);

 private:
  core::SipHash hash_;
};

class Ownership {
 public:
  Ownership(uint32_t cores, const OwnershipSecrets& secrets, NetworkBits bits = {})
      : cores_(cores), secrets_(secrets), bits_(bits) {}

  [[nodiscard]] uint32_t owner_of(const Network& network) const;
  [[nodiscard]] uint32_t owner_of(uint64_t key_hash) const;
  [[nodiscard]] Network network_of(const core::SocketAddress& address) const {
    return limiter::network_of(address, bits_);
  }
  [[nodiscard]] KeyHash key(uint64_t id) const { return {secrets_.places, id}; }

 private:
  uint32_t cores_;
  OwnershipSecrets secrets_;
  NetworkBits bits_;
};

}  // namespace sluice::limiter
