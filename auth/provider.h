// Whom a gateway believes, and under which conditions: the configuration's auth: entries, without
// their keys.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "auth/algorithm.h"
#include "auth/principal.h"

namespace sluice::auth {

inline constexpr unsigned providers_max = 32;
using ProviderSet = uint32_t;  // a bit a provider

enum class Expiry : uint8_t { required, optional };
enum class CredentialKind : uint8_t { token, api_key, password };  // what its callers have

// What "iss" may be: a text, or for a pattern a text in which each '*' stands for some letters,
// digits, '-', '.', '_' and '~': a tenant, never a host and its path.
struct Issuer {
  enum class Kind : uint8_t { exact, pattern };
  std::string text;
  Kind kind = Kind::exact;
  bool operator==(const Issuer&) const = default;
};
[[nodiscard]] bool is_of(const Issuer& issuer, std::string_view text);

// Whether the configuration says who issues, or what is found out with the keys does.
enum class IssuerSource : uint8_t { configured, discovered };

// Whether the whole payload becomes a field, too.
enum class PayloadField : uint8_t { none, sent };

// What becomes of a claim for which the principal has no room.
enum class TooLong : uint8_t { omit, refuse };

inline constexpr size_t token_bytes_default = 16 * 1024;
inline constexpr size_t token_bytes_max = 31 * 1024;  // of a head's 32 KiB

// A claim is known by its name as it stands in the token. The names on the way to a nested one are
// joined by this; a plain name with dots is looked for as it is first, then as such a way.
inline constexpr char claim_separator = '\x1f';
// For people: "realm_access.roles".
[[nodiscard]] std::string claim_in_words(std::string_view claim);

struct Provider {
  std::string name;
  CredentialKind kind = CredentialKind::token;
  IssuerSource issuer_source = IssuerSource::configured;
  std::vector<Issuer> issuers;  // "iss" must be one; none: whatever it is, if no other has it
  std::string audience_claim = "aud";
  std::vector<std::string> audiences;  // it must hold one of them; empty: whatever it is
  size_t token_bytes = token_bytes_default;
  TooLong on_too_long = TooLong::omit;
  PayloadField payload_field = PayloadField::none;
  std::vector<Algorithm> algorithms{Algorithm::hs256, Algorithm::hs384, Algorithm::hs512};
  std::string type;  // "typ" must be this (case-insensitive); empty: whatever it is
  std::string roles_claim = "roles";
  Expiry expiry = Expiry::required;
  std::chrono::seconds skew{30};        // clocks may differ by this much
  std::chrono::seconds max_lifetime{};  // exp - iat at most; 0: any
  std::chrono::seconds cache_ttl{
      300};  // a verified token is believed for this long at most, without another look
};

// What a route wants of a verified token beside its being good. All of it must be there.
struct Requirement {
  std::vector<std::string> scopes;     // all of them, in "scope" (RFC 8693 4.2) or "scp"
  std::vector<std::string> roles_any;  // one of them, in the provider's roles_claim
  // These values, or lists that hold them.
  std::vector<std::pair<std::string, std::string>> claims;
  // What is said of one that is not met: "scope", "role_any", then "claim NAME" of each. Never what
  // it should be; may stand in quotes.
  std::vector<std::string> names;
  bool operator==(const Requirement&) const = default;
};

}  // namespace sluice::auth
