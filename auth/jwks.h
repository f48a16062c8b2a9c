// JSON Web Key Sets (RFC 7517) -> keys. Read while starting or refreshing, never on the data path.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "auth/key.h"

namespace sluice::auth {

struct KeySetReading {
  std::vector<SharedKey> keys;  // of use for signatures
  std::vector<std::string>
      complaints;  // a line each, with the entry's number; with any, the set is not to be used
};

// Where a set comes from decides whether it may hold secrets: what is fetched may not.
enum class KeySetOrigin : uint8_t { file, url };

// Keys for encryption ("use": "enc") are passed over. A key without "alg" gets the one of `allowed`
// that fits it. A key of a kind or algorithm that is not known here, a private key, and a kid that
// is there twice are complaints.
[[nodiscard]] KeySetReading read_jwks(std::string_view text, std::span<const Algorithm> allowed,
                                      KeySetOrigin origin);

// The public half of a key as a JWK (RFC 7517 4), with its kid, alg and use.
[[nodiscard]] std::string to_jwk(Algorithm algorithm, EVP_PKEY* pkey, std::string_view kid);

}  // namespace sluice::auth
