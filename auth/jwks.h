// JSON Web Key Sets (RFC 7517) -> keys. Read while starting or refreshing, never on the data path.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "auth/key.h"

namespace sluice::auth {

struct KeySetReading {
  std::vector<SharedKey> keys;  // of use for signatures; one for each algorithm of an entry
  size_t usable = 0;            // entries that gave one
  std::vector<std::string> passed_over;  // a line each, with the entry's number and the reason
  std::vector<std::string> warnings;     // of keys that are used all the same
  bool holds_secrets = false;            // whoever reads the set could sign
  std::string complaint;                 // not empty: the set is not to be used
};

// Where a set comes from decides whether it may hold secrets: what is fetched may not.
enum class KeySetOrigin : uint8_t { file, url };

// Judges a set key by key (RFC 7517 5). A key without "alg" is for every one of `allowed` that fits
// it. What can't be used is passed over: a kind, curve or algorithm that is not known or not
// allowed here, a key for encryption, a private key, one that is too short, and the second of one
// kid and algorithm. A text that is no set, or without one key of use, is a complaint.
[[nodiscard]] KeySetReading read_jwks(std::string_view text, std::span<const Algorithm> allowed,
                                      KeySetOrigin origin,
                                      KeyStrength strength = KeyStrength::lenient);

// The public half of a key as a JWK (RFC 7517 4), with its kid, alg and use.
[[nodiscard]] std::string to_jwk(Algorithm algorithm, EVP_PKEY* pkey, std::string_view kid);

}  // namespace sluice::auth
