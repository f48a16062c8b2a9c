// A key: what it verifies, and with which algorithm, which is the key's to say and never the
// token's (RFC 8725 3.1). Immutable once made; any thread may use it. Made while starting or
// reloading, never on the data path.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "auth/algorithm.h"
#include "auth/openssl.h"

namespace sluice::auth {

inline constexpr size_t kid_bytes_max = 256;

// What is wrong with a key, for people; never any part of a secret one.
struct KeyComplaint {
  std::string text;
};

struct Key {
  Algorithm algorithm = Algorithm::hs256;
  std::string kid;     // empty: it is not told apart by name, and any kid will do
  std::string secret;  // hmac
  Pkey pkey;           // all others
  std::chrono::nanoseconds
      cost{};  // what one verification takes on this machine, as measured when it was made
};

using SharedKey = std::shared_ptr<const Key>;
template <typename T>
using KeyResult = std::variant<T, KeyComplaint>;

// Any secret but an empty one; whether it is long enough, is_long_enough() says.
[[nodiscard]] SharedKey make_secret_key(Algorithm algorithm, std::string secret,
                                        std::string kid = {});
// RFC 7518 3.2: at least as long as the digest.
[[nodiscard]] bool is_long_enough(const Key& key);
// What is wrong with a secret of these bytes, wherever it comes from; nothing if it is long enough.
[[nodiscard]] std::optional<std::string> weakness(const Key& key);
// Whether a weak secret is used all the same, with a warning, or not at all.
enum class KeyStrength : uint8_t { lenient, strict };

// One for each algorithm that it may be used with.
using SharedKeys = std::vector<SharedKey>;

// From a PEM text: a public key or a certificate, for those of `allowed` that fit the kind of key:
// for RSA every RSA algorithm, for a curve the one that belongs to it.
[[nodiscard]] KeyResult<SharedKeys> make_pem_keys(const std::string& pem,
                                                  std::span<const Algorithm> allowed,
                                                  const std::string& kid = {});
// For the first of them.
[[nodiscard]] KeyResult<SharedKey> make_pem_key(const std::string& pem,
                                                std::span<const Algorithm> allowed,
                                                const std::string& kid = {});

// From its parts, as a JWK has them (RFC 7518 6.2, 6.3, RFC 8037 2): big-endian bytes. `for_use`
// are algorithms that fit; at least one.
[[nodiscard]] KeyResult<SharedKeys> make_rsa_keys(std::span<const Algorithm> for_use,
                                                  std::span<const unsigned char> modulus,
                                                  std::span<const unsigned char> exponent,
                                                  const std::string& kid);
[[nodiscard]] KeyResult<SharedKeys> make_ec_keys(Algorithm algorithm,
                                                 std::span<const unsigned char> x,
                                                 std::span<const unsigned char> y,
                                                 const std::string& kid);
[[nodiscard]] KeyResult<SharedKeys> make_ed25519_keys(std::span<const unsigned char> x,
                                                      const std::string& kid);

// Verifies with one key, again and again: what can be prepared once is. One thread at a time; the
// key outlives it. Throws std::runtime_error if OpenSSL lacks the algorithm.
class SignatureChecker {
 public:
  explicit SignatureChecker(const Key& key);
  // Constant-time for HMAC. A signature of the wrong form is a wrong signature; has_form() tells
  // them apart.
  [[nodiscard]] bool verify(std::string_view text, std::span<const unsigned char> signature);

 private:
  bool verify_hmac(std::string_view text, std::span<const unsigned char> signature);
  bool verify_ecdsa(std::span<const unsigned char> hash, std::span<const unsigned char> signature);

  const Key& key_;
  MacContext mac_;
  PkeyContext context_;
  Digest digest_;
  DigestContext digest_context_;
};

// The right length for the key: r and s side by side for ECDSA (RFC 7518 3.4), so that a DER
// signature has none.
[[nodiscard]] bool has_signature_form(const Key& key, size_t signature_bytes);

inline constexpr size_t signature_bytes_max = 1024;  // RSA of 8192 bits

}  // namespace sluice::auth
