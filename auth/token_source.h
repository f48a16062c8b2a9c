// Where a request carries its token: the Authorization field, another field (of an identity proxy),
// a cookie, a query parameter or a WebSocket's subprotocols (browsers can't set a field when they
// open a WebSocket or an EventSource). Exactly one place, exactly once; a place that holds no
// token, but another scheme's credential or nothing, is none.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "auth/refusal.h"
#include "http/field.h"

namespace sluice::auth {

struct TokenSource {
  enum class Kind : uint8_t {
    header,   // Authorization: Bearer (RFC 6750 2.1)
    cookie,   // of this name
    query,    // a parameter of this name; it is taken off before the request goes on
    api_key,  // a field of this name
    basic,    // Authorization: Basic (RFC 7617); the name is that of the realm
    field,    // a token in a field of this name, alone or as "Bearer TOKEN"
    // The subprotocol behind the one of this name: new WebSocket(url, ["NAME", TOKEN]). It is taken
    // off before the request goes on.
    protocol,
  };
  Kind kind = Kind::header;
  std::string name;
  bool operator==(const TokenSource&) const = default;
};

struct FoundToken {
  Refusal refusal = Refusal::missing;
  std::string_view token;
  const TokenSource* source = nullptr;
};

// Looks in all of `sources`; tokens in two of them are refused, whichever is good. Without a token
// `refusal` says why: missing, or scheme or malformed of the Authorization field.
[[nodiscard]] FoundToken find_token(std::span<const TokenSource> sources,
                                    const http::Fields& fields, std::string_view query);

// Whether there was no token at all, whatever else there was.
[[nodiscard]] inline bool is_absence(Refusal refusal) {
  return refusal == Refusal::missing || refusal == Refusal::scheme || refusal == Refusal::malformed;
}

// The elements of a list of subprotocols without the token behind `name`; the text is written over
// itself, and the part of it that is left is returned. `bytes` is the writable memory of `list`.
[[nodiscard]] std::string_view remove_protocol_token(std::string_view list, char* bytes,
                                                     std::string_view name);

}  // namespace sluice::auth
