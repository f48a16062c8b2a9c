// Why a caller was refused: one stable code a reason. What the client is told is the code, never
// more.
#pragma once

#include <cstdint>
#include <string_view>

namespace sluice::auth {

enum class Refusal : uint8_t {
  none,
  missing,           // no token where the configuration looks for one
  duplicate,         // more than one Authorization field, or cookie, or parameter of that name
  several,           // tokens in two places at once
  scheme,            // not Bearer
  malformed,         // an Authorization field that is no "Bearer TOKEN" (RFC 6750 2.1)
  too_long,          // longer than its provider allows
  bytes,             // whitespace, control bytes or others that no token has
  parts,             // not exactly three (RFC 7515 7.1)
  encrypted,         // five: a JWE (RFC 7516), which nobody here can read
  encoding,          // not canonical base64url: padding, '+' or '/', trailing bits (RFC 7515 2)
  json,              // header or payload is not one JSON object and nothing else
  depth,             // nested deeper than 8
  duplicate_member,  // a JSON name twice in one object (RFC 8725 2.4)
  critical,          // a "crit" header: extensions that must be understood (RFC 7515 4.1.11)
  algorithm,         // not the one that the key is for; "none" is among them
  type,              // not the typ that is wanted (RFC 8725 3.11)
  unknown_key,       // no key has this kid
  no_keys,           // no key could be fetched yet
  kid_needed,  // the token names no key, more fit it than are tried, and none of these signed it
  signature_form,  // a signature of another length than the algorithm makes; DER is among them
  signature,
  claim_type,      // exp, nbf or iat is no number of seconds, or sub, iss, aud or jti is no text
  claim_bytes,     // a claim that would become a field has outer blanks, controls, or in a list a
                   // comma
  claim_too_long,  // the claims that the configuration asks for have no room, and must not be left
                   // out
  no_expiry,
  expired,
  not_yet,       // nbf
  issued_later,  // iat in the future
  lifetime,      // longer than max_lifetime allows, or of unknown length
  issuer,        // nobody that this route trusts
  audience,      // meant for somebody else
  revoked,
  flood,        // too many wrong tokens from this address
  busy,         // more signatures wait to be checked than there is room for
  forbidden,    // the token is good, and not enough for this route
  key_missing,  // no API key, where nothing else would do
  key_form,     // an API key that is none
  key_unknown,
  password_missing,  // no Basic credentials, where nothing else would do
  password_form,     // Basic credentials that are none (RFC 7617 2)
  password_wrong,    // no such user, or another password
};

[[nodiscard]] std::string_view reason_code(Refusal refusal);  // "jwt.expired"
// 401; 403 for forbidden, 429 for flood, 503 for what is not the caller's fault.
[[nodiscard]] uint16_t status_of(Refusal refusal);

}  // namespace sluice::auth
