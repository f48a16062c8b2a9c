#include "auth/refusal.h"

#include "core/assert.h"

namespace sluice::auth {

std::string_view reason_code(Refusal refusal) {
  switch (refusal) {
    case Refusal::none: return "-";
    case Refusal::missing: return "jwt.missing";
    case Refusal::duplicate: return "jwt.duplicate";
    case Refusal::scheme: return "jwt.scheme";
    case Refusal::malformed: return "jwt.malformed";
    case Refusal::too_long: return "jwt.too_long";
    case Refusal::algorithm: return "jwt.algorithm";
    case Refusal::critical: return "jwt.critical";
    case Refusal::duplicate_member: return "jwt.duplicate_member";
    case Refusal::signature: return "jwt.signature";
    case Refusal::claim_too_long: return "jwt.claim_too_long";
    case Refusal::claim_type: return "jwt.claim_type";
    case Refusal::no_expiry: return "jwt.no_expiry";
    case Refusal::expired: return "jwt.expired";
    case Refusal::not_yet: return "jwt.not_yet";
  }
  SLUICE_UNREACHABLE();
}

}  // namespace sluice::auth
