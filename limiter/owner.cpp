#include "limiter/owner.h"

#include <xxhash.h>

#include <array>

namespace sluice::limiter {

Network network_of(const core::SocketAddress& address, NetworkBits bits) {
  Network network = address.prefix();
  const unsigned cut = network.is_ipv6 ? 64U - bits.ipv6 : 32U - bits.ipv4;
  network.bits = network.bits >> cut << cut;
  return network;
}

uint64_t limit_id(std::string_view name, std::string_view what) {
  return XXH3_64bits_withSeed(name.data(), name.size(), XXH3_64bits(what.data(), what.size()));
}

KeyHash::KeyHash(uint64_t seed, uint64_t id) : hash_(XXH3_64bits_withSeed(&id, sizeof id, seed)) {}

void KeyHash::add(const Network& network) {
  const std::array<uint64_t, 2> words{network.bits, network.is_ipv6 ? uint64_t{6} : uint64_t{4}};
  hash_ = XXH3_64bits_withSeed(words.data(), sizeof words, hash_);
}

void KeyHash::add(std::string_view part) {
  hash_ = XXH3_64bits_withSeed(part.data(), part.size(), hash_);
}

uint32_t Ownership::owner_of(const Network& network) const {
  if (cores_ == 1) return 0;
  // IPv4: the four bytes of the address; IPv6: the eight of the network. Host order, as BPF loads
  // words.
  const std::array<uint32_t, 2> words{
      static_cast<uint32_t>(network.is_ipv6 ? network.bits >> 32 : network.bits),
      static_cast<uint32_t>(network.bits)};
  return XXH32(words.data(), network.is_ipv6 ? 8 : 4, static_cast<uint32_t>(seed_)) % cores_;
}

uint32_t Ownership::owner_of(uint64_t key_hash) const {
  // Other bits than those that place the key inside its shard.
  return static_cast<uint32_t>((key_hash * 0x9e3779b97f4a7c15 >> 32) * cores_ >> 32);
}

}  // namespace sluice::limiter
