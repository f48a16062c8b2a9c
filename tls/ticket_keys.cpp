// Derives the keys of tickets, a step of the chain each period.
#include "tls/ticket_keys.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <string_view>

#include "core/assert.h"

namespace sluice::tls {

namespace {

using Chain = std::array<uint8_t, 32>;

Chain derive(const Chain& chain, std::string_view purpose) {
  Chain derived{};
  size_t size = 0;
  const unsigned char* made =
      EVP_Q_mac(nullptr, "HMAC", nullptr, "SHA256", nullptr, chain.data(), chain.size(),
                reinterpret_cast<const unsigned char*>(purpose.data()), purpose.size(),
                derived.data(), derived.size(), &size);
  SLUICE_ASSERT(made != nullptr && size == derived.size());
  return derived;
}

TicketKeys::Key key_of(const Chain& chain) {
  const Chain name = derive(chain, "name");
  TicketKeys::Key key{.cipher = derive(chain, "cipher"), .mac = derive(chain, "mac")};
  std::copy_n(name.begin(), key.name.size(), key.name.begin());
  return key;
}

uint64_t period_of(core::WallTime now) {
  return static_cast<uint64_t>(now.time_since_epoch() / TicketKeys::period);
}

}  // namespace

TicketSeed TicketKeys::seed(const std::array<uint8_t, 32>& secret, core::WallTime now) {
  return {.chain = secret, .period = period_of(now)};
}

TicketKeys::TicketKeys(const TicketSeed& seed) : seed_(seed) {
  keys_[current] = key_of(seed_.chain);
  keys_[next] = key_of(derive(seed_.chain, "next"));
  // Nothing came before; slots that are empty must not match a name of zeros.
  for (size_t old = current + 1; old < count; ++old) keys_[old] = keys_[current];
}

TicketKeys::~TicketKeys() {
  OPENSSL_cleanse(&seed_, sizeof seed_);
  OPENSSL_cleanse(keys_.data(), sizeof keys_);
}

void TicketKeys::advance(core::WallTime now) {
  for (const uint64_t target = period_of(now); seed_.period < target; ++seed_.period) step();
}

void TicketKeys::step() {
  seed_.chain = derive(seed_.chain, "next");
  std::copy_backward(keys_.begin(), keys_.end() - 1, keys_.end());
  keys_[next] = key_of(derive(seed_.chain, "next"));
}

const TicketKeys::Key* TicketKeys::find(std::span<const uint8_t, 16> name) const {
  const auto found = std::find_if(keys_.begin(), keys_.end(), [&](const Key& key) {
    return std::equal(name.begin(), name.end(), key.name.begin());
  });
  return found == keys_.end() ? nullptr : &*found;
}

}  // namespace sluice::tls
