// The signature algorithms of JSON Web Tokens (RFC 7518 3.1, RFC 8037 3.1). "none" is not among
// them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace sluice::auth {

enum class Algorithm : uint8_t {
  hs256,
  hs384,
  hs512,
  rs256,
  rs384,
  rs512,
  ps256,
  ps384,
  ps512,
  es256,
  es384,
  es512,
  eddsa
};
inline constexpr unsigned algorithms = 13;

enum class Family : uint8_t { hmac, rsa, rsa_pss, ecdsa, eddsa };

struct AlgorithmTraits {
  Algorithm algorithm;
  std::string_view name;  // as tokens say it
  Family family;
  const char* digest;  // OpenSSL's name; nullptr for EdDSA
  size_t digest_bytes;
  const char* curve;  // OpenSSL's name of the curve that belongs to it, else nullptr
  std::string_view jwk_curve;
  size_t coordinate_bytes;  // of ECDSA: r and s are that long each
};

[[nodiscard]] const AlgorithmTraits& traits(Algorithm algorithm);
[[nodiscard]] inline std::string_view to_string(Algorithm algorithm) {
  return traits(algorithm).name;
}
[[nodiscard]] inline Family family(Algorithm algorithm) { return traits(algorithm).family; }
// Exactly as written: "hs256" is none. "Ed25519" is EdDSA with the one curve that there is here
// (RFC 9864 2.2).
[[nodiscard]] std::optional<Algorithm> parse_algorithm(std::string_view text);
[[nodiscard]] const std::array<AlgorithmTraits, algorithms>& all_algorithms();

}  // namespace sluice::auth
