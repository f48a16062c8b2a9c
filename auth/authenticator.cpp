#include "auth/authenticator.h"

#include <algorithm>

namespace sluice::auth {

namespace {

// "Bearer" SP token68 (RFC 6750 2.1, RFC 9110 11.4).
Refusal find_token(const http::Fields& fields, std::string_view& token) {
  const http::Field* authorization = nullptr;
  for (const http::Field& field : fields) {
    if (field.id != http::FieldName::authorization) continue;
    if (authorization != nullptr) return Refusal::duplicate;
    authorization = &field;
  }
  if (authorization == nullptr) return Refusal::missing;
  const std::string_view value = fields.value(*authorization);
  constexpr std::string_view scheme = "Bearer";
  if (!http::equals_ignoring_case(value.substr(0, scheme.size()), scheme)) return Refusal::scheme;
  if (value.size() < scheme.size() + 2 || value[scheme.size()] != ' ') return Refusal::malformed;
  token = value.substr(scheme.size() + 1);
  return Refusal::none;
}

}  // namespace

Authenticator::Outcome Authenticator::authenticate(const http::Fields& fields, EpochSeconds now) {
  std::string_view token;
  if (const Refusal refusal = find_token(fields, token); refusal != Refusal::none) return {.refusal = refusal};
  if (const Principal* known = cache_.find(token, now); known != nullptr) return {.principal = *known};
  const Verification verification = verifier_.verify(token, now);
  if (verification.refusal != Refusal::none) return {.refusal = verification.refusal};
  cache_.remember(token, verification.principal, std::min(verification.expires + verifier_.skew(), now + cache_ttl_), now);
  return {.principal = verification.principal};
}

}  // namespace sluice::auth
