// The Authorization field -> Principal or Refusal: exactly one field, scheme Bearer (RFC 6750 2.1), the token verified or
// remembered. One a core.
#pragma once

#include <string_view>

#include "auth/token_cache.h"
#include "auth/token_verifier.h"
#include "http/field.h"

namespace sluice::auth {

struct AuthenticatorOptions {
  VerifierOptions verifier;
  uint32_t cache_entries = 4096;
  std::chrono::seconds cache_ttl{300};
  uint64_t seed = 0;
};

class Authenticator {
 public:
  explicit Authenticator(const AuthenticatorOptions& options)
      : verifier_(options.verifier), cache_(options.cache_entries, options.seed), cache_ttl_(options.cache_ttl) {}

  struct Outcome {
    Refusal refusal = Refusal::none;
    Principal principal;
  };
  [[nodiscard]] Outcome authenticate(const http::Fields& fields, EpochSeconds now);

  [[nodiscard]] const TokenCacheCounters& cache_counters() const { return cache_.counters(); }

 private:
  TokenVerifier verifier_;
  TokenCache cache_;
  std::chrono::seconds cache_ttl_;
};

}  // namespace sluice::auth
