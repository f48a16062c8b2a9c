// The code and the status of each refusal.
#include "auth/refusal.h"

#include "core/assert.h"

namespace sluice::auth {

std::string_view reason_code(Refusal refusal) {
  switch (refusal) {
    case Refusal::none: return "-";
    case Refusal::missing: return "jwt.missing";
    case Refusal::duplicate: return "jwt.duplicate";
    case Refusal::several: return "jwt.several";
    case Refusal::scheme: return "jwt.scheme";
    case Refusal::malformed: return "jwt.malformed";
    case Refusal::too_long: return "jwt.too_long";
    case Refusal::bytes: return "jwt.bytes";
    case Refusal::parts: return "jwt.parts";
    case Refusal::encrypted: return "jwt.encrypted";
    case Refusal::encoding: return "jwt.encoding";
    case Refusal::json: return "jwt.json";
    case Refusal::depth: return "jwt.depth";
    case Refusal::duplicate_member: return "jwt.duplicate_member";
    case Refusal::critical: return "jwt.critical";
    case Refusal::algorithm: return "jwt.algorithm";
    case Refusal::type: return "jwt.type";
    case Refusal::unknown_key: return "jwt.unknown_key";
    case Refusal::no_keys: return "jwt.no_keys";
    case Refusal::kid_needed: return "jwt.kid_needed";
    case Refusal::signature_form: return "jwt.signature_form";
    case Refusal::signature: return "jwt.signature";
    case Refusal::claim_type: return "jwt.claim_type";
    case Refusal::claim_bytes: return "jwt.claim_bytes";
    case Refusal::claim_too_long: return "jwt.claim_too_long";
    case Refusal::no_expiry: return "jwt.no_expiry";
    case Refusal::expired: return "jwt.expired";
    case Refusal::not_yet: return "jwt.not_yet";
    case Refusal::issued_later: return "jwt.issued_later";
    case Refusal::lifetime: return "jwt.lifetime";
    case Refusal::issuer: return "jwt.issuer";
    case Refusal::audience: return "jwt.audience";
    case Refusal::revoked: return "jwt.revoked";
    case Refusal::flood: return "jwt.flood";
    case Refusal::busy: return "jwt.busy";
    case Refusal::forbidden: return "auth.forbidden";
    case Refusal::key_missing: return "key.missing";
    case Refusal::key_form: return "key.malformed";
    case Refusal::key_unknown: return "key.unknown";
    case Refusal::password_missing: return "basic.missing";
    case Refusal::password_form: return "basic.malformed";
    case Refusal::password_wrong: return "basic.wrong";
  }
  SLUICE_UNREACHABLE();
}

uint16_t status_of(Refusal refusal) {
  switch (refusal) {
    case Refusal::forbidden: return 403;
    case Refusal::claim_too_long: return 431;  // the token is good (RFC 6585 5)
    case Refusal::flood: return 429;
    case Refusal::no_keys:
    case Refusal::busy: return 503;
    default: return 401;
  }
}

}  // namespace sluice::auth
