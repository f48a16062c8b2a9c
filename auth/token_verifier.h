// One token -> Principal or Refusal (RFC 7515, 7519, 8725). Cheap checks come before the signature, the claims are read
// after it; the algorithm is the key's, never the token's.
//
// One a core; allocates at construction only (OpenSSL's own allocations apart).
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "auth/hmac.h"
#include "auth/principal.h"
#include "auth/refusal.h"

namespace sluice::auth {

inline constexpr size_t token_bytes_max = 8 * 1024;

struct VerifierOptions {
  std::string secret;  // HMAC key, any length above 0
  std::vector<HmacAlgorithm> algorithms{HmacAlgorithm::hs256, HmacAlgorithm::hs384, HmacAlgorithm::hs512};
  std::chrono::seconds skew{30};           // clocks may differ by this much
  std::vector<std::string> claims{"sub"};  // names that the principal keeps; at most claims_max, the subject first
};

struct Verification {
  Refusal refusal = Refusal::none;
  Principal principal;   // if not refused
  EpochSeconds expires;  // if not refused: exp, without skew
};

class TokenVerifier {
 public:
  explicit TokenVerifier(const VerifierOptions& options);
  ~TokenVerifier();

  [[nodiscard]] Verification verify(std::string_view token, EpochSeconds now);
  [[nodiscard]] std::chrono::seconds skew() const { return skew_; }

 private:
  struct Json;
  struct Parts {
    std::string_view header, payload, signature, signed_text;
  };
  [[nodiscard]] static bool split(std::string_view token, Parts& parts);
  Refusal check_header(std::string_view header, HmacAlgorithm& algorithm);
  Refusal read_claims(std::string_view payload, EpochSeconds now, Verification& verification);

  std::array<std::unique_ptr<Hmac>, hmac_algorithms> keys_;
  std::chrono::seconds skew_;
  std::vector<std::string> claims_;
  std::unique_ptr<Json> json_;
};

}  // namespace sluice::auth
