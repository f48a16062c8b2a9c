// One token -> what it claims, and whether that is signed (RFC 7515, 7519, 8725). All that is cheap
// comes before the signature: length, form, JSON, algorithm, issuer, dates, audience, key. What is
// then claimed is believed only when the signature has been checked: here, or on another thread
// where that takes long.
//
// One a core; allocates at construction and in adopt() only (OpenSSL's own allocations apart).
#pragma once

#include <array>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "auth/key_snapshot.h"
#include "auth/provider.h"
#include "auth/refusal.h"
#include "core/counter.h"

namespace sluice::auth {

class JsonReader;

// Without a kid as many keys are tried; of more, the token has to say which.
inline constexpr unsigned candidate_keys_max = 16;

// A token whose signature is still to be checked. Views point into the token.
struct Examined {
  Refusal refusal = Refusal::none;
  uint16_t provider = 0;
  // Whose routes get this same answer: those that trust one of `holders` and none of `rivals`.
  ProviderSet holders = 0;
  ProviderSet rivals = 0;
  uint32_t epoch = 0;          // of the keys that it was judged by
  uint8_t claims_omitted = 0;  // for want of room
  uint16_t key_count = 0;
  uint16_t keys_left = 0;                           // that fit, too, and are not tried
  std::array<uint16_t, candidate_keys_max> keys{};  // places in the provider's list
  std::string_view signed_text;
  std::string_view payload;                        // base64url
  std::string_view signature;                      // base64url
  EpochSeconds usable_until{EpochSeconds::max()};  // the answer, good or bad
  Principal principal;
};

struct VerifierOptions {
  std::span<const Provider> providers;
  std::span<const std::string> claims;  // that principals keep; the subject first
  std::span<const Requirement> requirements;
};

// Signatures that were checked, by algorithm.
using VerifiedCounters = std::array<core::Counter, algorithms>;

class TokenVerifier {
 public:
  // `counters`, if given, outlive it.
  explicit TokenVerifier(const VerifierOptions& options, VerifiedCounters* counters = nullptr);
  ~TokenVerifier();

  // From here on with these keys; the snapshot outlives its use.
  void adopt(const KeySnapshot& snapshot);

  // Everything but the signature. `providers`: those that the route trusts.
  void examine(std::string_view token, ProviderSet providers, EpochSeconds now, Examined& examined);
  // The name of what a good token lacks for a requirement that it does not meet; empty if it is no
  // token, but an API key. Reads the token again.
  [[nodiscard]] std::string_view unmet(std::string_view token, const Examined& examined,
                                       uint8_t requirement);
  // Whether checking takes so long that another thread should do it.
  [[nodiscard]] bool is_expensive(const Examined& examined) const;
  // Here and now; `examined.refusal` becomes what is wrong with it.
  void check_signature(Examined& examined);

  [[nodiscard]] const Provider& provider(const Examined& examined) const {
    return options_.providers[examined.provider];
  }
  [[nodiscard]] const Key& key(const Examined& examined, unsigned candidate) const;
  // Counts the changes of keys.
  [[nodiscard]] uint32_t epoch() const { return epoch_; }
  void count_verified(Algorithm algorithm) { (*verified_)[static_cast<size_t>(algorithm)].add(); }

 private:
  struct Parts {
    std::string_view header, payload, signature, signed_text;
  };
  struct Header;
  [[nodiscard]] Refusal split(std::string_view token, Parts& parts) const;
  Refusal read_header(std::string_view encoded, Header& header);
  Refusal read_payload(const Header& header, ProviderSet providers, EpochSeconds now,
                       Examined& examined);
  enum class Match : uint8_t { exact, pattern, any, none, unknown_yet };
  [[nodiscard]] Match match(size_t provider, std::string_view issuer) const;
  Refusal choose_provider(std::string_view issuer, ProviderSet providers, Examined& examined) const;
  Refusal choose_keys(const Header& header, Examined& examined) const;

  VerifierOptions options_;
  std::unique_ptr<JsonReader> json_;
  const KeySnapshot* snapshot_ = nullptr;
  uint32_t epoch_ = 0;
  size_t token_bytes_ = 1024;  // of the provider that allows the longest
  std::vector<std::vector<std::unique_ptr<SignatureChecker>>>
      checkers_;  // beside the snapshot's keys
  VerifiedCounters own_;
  VerifiedCounters* verified_;
};

// The second of the three parts; a payload of more than these bytes is too long for a field, and
// empty here.
inline constexpr size_t payload_field_bytes_max = 8 * 1024;
[[nodiscard]] std::string_view payload_of(std::string_view token);

// What it means that none of the keys that were tried made this signature.
[[nodiscard]] inline Refusal unsigned_refusal(const Examined& examined) {
  return examined.refusal == Refusal::signature && examined.keys_left > 0 ? Refusal::kid_needed
                                                                          : examined.refusal;
}

// The signature of base64url against one key, on any thread.
[[nodiscard]] Refusal check_signature(SignatureChecker& checker, const Key& key,
                                      std::string_view text, std::string_view signature);

}  // namespace sluice::auth
