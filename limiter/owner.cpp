// Hashes keys and tells which core owns each.
#include "limiter/owner.h"

#include <xxhash.h>

#include <array>
#include <cstring>

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

namespace {
// In front of each part; the end of a list is 0.
constexpr uint64_t network_mark = uint64_t{1} << 62;
constexpr uint64_t text_mark = uint64_t{1} << 63;
}  // namespace

KeyHash::KeyHash(const core::SipHash::Key& secret, uint64_t id) : hash_(secret) { hash_.add(id); }

void KeyHash::add(const Network& network) {
  hash_.add(network_mark | (network.is_ipv6 ? 6 : 4));
  hash_.add(network.bits);
}

void KeyHash::add(std::string_view text) {
  hash_.add(text_mark | text.size());
  uint64_t word = 0;
  for (; text.size() >= sizeof word; text.remove_prefix(sizeof word)) {
    std::memcpy(&word, text.data(), sizeof word);
    hash_.add(word);
  }
  if (text.empty()) return;
  word = 0;
  std::memcpy(&word, text.data(), text.size());
  hash_.add(word);
}

Claim KeyHash::claim(uint16_t limit) {
  const auto [place, check] = hash_.finish();
  return {.hash = place == 0 ? 1 : place,
          .limit = limit,
          .check = static_cast<uint32_t>(check >> (64 - check_bits))};
}

uint32_t Ownership::owner_of(const Network& network) const {
  if (cores_ == 1) return 0;
  // IPv4: the four bytes of the address; IPv6: the eight of the network. Host order, as BPF loads
  // words.
  const std::array<uint32_t, 2> words{
      static_cast<uint32_t>(network.is_ipv6 ? network.bits >> 32 : network.bits),
      static_cast<uint32_t>(network.bits)};
  const uint32_t first =
      XXH32(words.data(), network.is_ipv6 ? 8 : 4, static_cast<uint32_t>(secrets_.owners));
  return XXH32(&first, sizeof first, static_cast<uint32_t>(secrets_.owners >> 32)) % cores_;
}

uint32_t Ownership::owner_of(uint64_t key_hash) const {
  // Other bits than those that place the key inside its shard.
  return static_cast<uint32_t>((key_hash * 0x9e3779b97f4a7c15 >> 32) * cores_ >> 32);
}

}  // namespace sluice::limiter
