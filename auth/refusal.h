// Why a token was refused: one stable code a reason. What the client is told is the code, never more.
#pragma once

#include <cstdint>
#include <string_view>

namespace sluice::auth {

enum class Refusal : uint8_t {
  none,
  missing,           // no Authorization field
  duplicate,         // more than one
  scheme,            // not Bearer
  malformed,         // not three parts of canonical base64url around JSON objects, or bytes that no token has
  too_long,          // over 8 KiB
  algorithm,         // not the one that the key is for; "none" is among them
  critical,          // a "crit" header: extensions that must be understood (RFC 7515 4.1.11)
  duplicate_member,  // a JSON name twice in one object
  signature,
  claim_type,      // exp or nbf is not a whole number of seconds, sub is no text
  claim_too_long,  // the claims that the configuration asks for do not fit Principal::bytes_max
  no_expiry,
  expired,
  not_yet,
};

[[nodiscard]] std::string_view reason_code(Refusal refusal);  // "jwt.expired"

}  // namespace sluice::auth
