// Whom a gateway believes, and under which conditions: the configuration's auth: entries, without
// their keys.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "auth/algorithm.h"
#include "auth/principal.h"

namespace sluice::auth {

inline constexpr unsigned providers_max = 32;
using ProviderSet = uint32_t;  // a bit a provider

enum class Expiry : uint8_t { required, optional };
enum class CredentialKind : uint8_t { token, api_key };  // what its callers have

struct Provider {
  std::string name;
  CredentialKind kind = CredentialKind::token;
  std::string issuer;  // "iss" must be this; empty: whatever it is, if no other provider has it
  std::vector<std::string> audiences;  // "aud" must hold one of them; empty: whatever it is
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
  std::vector<std::pair<std::string, std::string>> claims;  // these values
  bool operator==(const Requirement&) const = default;
};

}  // namespace sluice::auth
