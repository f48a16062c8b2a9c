// The table of algorithms: the name, family, digest and key size of each.
#include "auth/algorithm.h"

namespace sluice::auth {

const std::array<AlgorithmTraits, algorithms>& all_algorithms() {
  using A = Algorithm;
  using F = Family;
  static constexpr std::array<AlgorithmTraits, algorithms> table{{
      {A::hs256, "HS256", F::hmac, "SHA256", 32, nullptr, {}, 0},
      {A::hs384, "HS384", F::hmac, "SHA384", 48, nullptr, {}, 0},
      {A::hs512, "HS512", F::hmac, "SHA512", 64, nullptr, {}, 0},
      {A::rs256, "RS256", F::rsa, "SHA256", 32, nullptr, {}, 0},
      {A::rs384, "RS384", F::rsa, "SHA384", 48, nullptr, {}, 0},
      {A::rs512, "RS512", F::rsa, "SHA512", 64, nullptr, {}, 0},
      {A::ps256, "PS256", F::rsa_pss, "SHA256", 32, nullptr, {}, 0},
      {A::ps384, "PS384", F::rsa_pss, "SHA384", 48, nullptr, {}, 0},
      {A::ps512, "PS512", F::rsa_pss, "SHA512", 64, nullptr, {}, 0},
      {A::es256, "ES256", F::ecdsa, "SHA256", 32, "prime256v1", "P-256", 32},
      {A::es384, "ES384", F::ecdsa, "SHA384", 48, "secp384r1", "P-384", 48},
      {A::es512, "ES512", F::ecdsa, "SHA512", 64, "secp521r1", "P-521", 66},
      {A::eddsa, "EdDSA", F::eddsa, nullptr, 0, nullptr, "Ed25519", 0},
  }};
  return table;
}

const AlgorithmTraits& traits(Algorithm algorithm) {
  return all_algorithms()[static_cast<size_t>(algorithm)];
}

std::optional<Algorithm> parse_algorithm(std::string_view text) {
  for (const AlgorithmTraits& each : all_algorithms()) {
    if (each.name == text) return each.algorithm;
  }
  if (text == "Ed25519") return Algorithm::eddsa;
  return std::nullopt;
}

}  // namespace sluice::auth
