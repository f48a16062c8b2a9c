// HMAC signatures (RFC 7518 3.2) by OpenSSL's EVP_MAC, with the key schedule done once.
#pragma once

#include <openssl/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace sluice::auth {

enum class HmacAlgorithm : uint8_t { hs256, hs384, hs512 };
inline constexpr size_t hmac_algorithms = 3;
inline constexpr size_t signature_bytes_max = 64;

[[nodiscard]] std::string_view to_string(HmacAlgorithm algorithm);  // "HS256"
[[nodiscard]] std::optional<HmacAlgorithm> parse_hmac_algorithm(std::string_view text);
[[nodiscard]] size_t signature_bytes(HmacAlgorithm algorithm);

// One a core; not thread-safe. Throws std::runtime_error if OpenSSL lacks the algorithm.
class Hmac {
 public:
  Hmac(HmacAlgorithm algorithm, std::string_view secret);

  // Writes signature_bytes(algorithm) bytes.
  bool sign(std::string_view text, std::span<unsigned char, signature_bytes_max> out);
  // In constant time for a signature of the right length.
  [[nodiscard]] bool verify(std::string_view text, std::span<const unsigned char> signature);

 private:
  struct Free {
    void operator()(EVP_MAC_CTX* context) const;
  };
  HmacAlgorithm algorithm_;
  std::unique_ptr<EVP_MAC_CTX, Free> context_;
};

}  // namespace sluice::auth
