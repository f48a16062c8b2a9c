#include "limiter/owner.h"

#include <xxhash.h>

#include <array>

namespace sluice::limiter {

uint32_t Ownership::owner_of(const core::SocketAddress::Prefix& prefix) const {
  if (cores_ == 1) return 0;
  // IPv4: the four bytes of the address; IPv6: the eight of the network. Host order, as BPF loads words.
  const std::array<uint32_t, 2> words{static_cast<uint32_t>(prefix.is_ipv6 ? prefix.bits >> 32 : prefix.bits),
                                      static_cast<uint32_t>(prefix.bits)};
  return XXH32(words.data(), prefix.is_ipv6 ? 8 : 4, static_cast<uint32_t>(seed_)) % cores_;
}

Key Ownership::key_of(const core::SocketAddress::Prefix& prefix) const {
  const std::array<uint64_t, 2> words{prefix.bits, prefix.is_ipv6 ? uint64_t{6} : uint64_t{4}};
  const uint64_t hash = XXH3_64bits_withSeed(words.data(), sizeof words, ~seed_);
  return {hash == 0 ? 1 : hash};
}

}  // namespace sluice::limiter
