// Where a request carries its token: the Authorization field, a cookie, or a query parameter
// (browsers can't set a field when they open a WebSocket or an EventSource). Exactly one place,
// exactly once.
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

// Looks in all of `sources`; tokens in two of them are refused, whichever is good.
[[nodiscard]] FoundToken find_token(std::span<const TokenSource> sources,
                                    const http::Fields& fields, std::string_view query);

}  // namespace sluice::auth
