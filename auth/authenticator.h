// A request -> Principal or Refusal: its token is found, remembered or verified. One a core.
//
//   look_up()  finds the token, and what is remembered of it
//   verify()   judges it otherwise; may leave the signature to another thread (then settle()
//   follows), or wait for keys
#pragma once

#include <string_view>

#include "auth/token_cache.h"
#include "auth/token_source.h"
#include "auth/token_verifier.h"

namespace sluice::auth {

// They outlive authenticators: a new configuration brings a new one.
struct AuthCounters {
  TokenCacheCounters good;
  TokenCacheCounters refused;
  VerifiedCounters verified;
  core::Counter claims_omitted;  // of good tokens, for want of room
  [[nodiscard]] const core::Counter& of(Algorithm algorithm) const {
    return verified[static_cast<size_t>(algorithm)];
  }
};

struct AuthenticatorOptions {
  VerifierOptions verifier;
  uint32_t cache_entries = 4096;
  uint32_t refused_entries = 512;  // of the cache of refused tokens
  uint64_t seed = 0;
  AuthCounters* counters = nullptr;  // nullptr: its own
};

// How long a refused token is refused without another look.
inline constexpr std::chrono::seconds refused_ttl{10};

// What a route accepts. Lives as long as the configuration.
struct Acceptance {
  ProviderSet providers = 0;
  std::span<const TokenSource> sources;
};

// One request's way through; embedded in its exchange. Views point into the request.
struct Attempt {
  std::string_view token;
  const TokenSource* source = nullptr;
  // Of Basic credentials: whose hash is to be checked; somebody's, where nobody has the name, so
  // that it takes as long.
  const PasswordUser* user = nullptr;
  Examined examined;  // its principal is believed once the attempt is settled and not refused
};

class Authenticator {
 public:
  explicit Authenticator(const AuthenticatorOptions& options)
      : counters_(options.counters != nullptr ? *options.counters : own_),
        verifier_(options.verifier, &counters_.verified),
        good_(options.cache_entries, options.seed, counters_.good),
        refused_(options.refused_entries, options.seed, counters_.refused) {}

  // From here on with these keys; what is remembered is forgotten.
  void adopt(const KeySnapshot& snapshot);

  enum class Progress : uint8_t {
    settled,    // examined.refusal says how
    unknown,    // of look_up(): nothing is remembered; verify() is next
    elsewhere,  // of verify(): another thread checks the signature, then settle()
    waiting,    // of verify(): no key has its kid; new ones may come
  };
  Progress look_up(const Acceptance& acceptance, const http::Fields& fields, std::string_view query,
                   EpochSeconds now, Attempt& attempt);
  Progress verify(const Acceptance& acceptance, EpochSeconds now, Attempt& attempt);
  void settle(EpochSeconds now, Attempt& attempt);

  [[nodiscard]] TokenVerifier& verifier() { return verifier_; }
  [[nodiscard]] const TokenVerifier& verifier() const { return verifier_; }
  [[nodiscard]] const AuthCounters& counters() const { return counters_; }

 private:
  Progress find_password(const Acceptance& acceptance, EpochSeconds now, Attempt& attempt);
  Refusal check_api_key(const Acceptance& acceptance, Attempt& attempt) const;

  AuthCounters own_;
  AuthCounters& counters_;
  TokenVerifier verifier_;
  TokenCache good_;
  TokenCache refused_;
  const KeySnapshot* snapshot_ = nullptr;
};

// "ID.SECRET": the secret's hash with a salt, as it is kept (SHA-256: the secret has 256 bits of
// its own).
[[nodiscard]] std::array<unsigned char, 32> hash_api_secret(std::span<const unsigned char> salt,
                                                            std::string_view secret);

}  // namespace sluice::auth
