// The JSON of tokens: read strictly, and judged by a provider's conditions. Internal to auth/.
#pragma once

#include <simdjson.h>

#include <array>
#include <optional>
#include <string_view>

#include "auth/principal.h"
#include "auth/provider.h"
#include "auth/refusal.h"

namespace sluice::auth {

inline constexpr size_t token_bytes_max = 8 * 1024;

// The JSON reader and the memory it reads from, sized once for the longest token. An object is
// valid until the next read.
class JsonReader {
 public:
  JsonReader();
  // base64url -> one JSON object and nothing else, in which no object has a member twice.
  Refusal read(std::string_view encoded, simdjson::dom::object& object);

 private:
  simdjson::dom::parser parser_;
  std::array<unsigned char, token_bytes_max + simdjson::SIMDJSON_PADDING> bytes_{};
};

struct Dates {
  std::optional<EpochSeconds> expires;
  std::optional<EpochSeconds> not_before;
  std::optional<EpochSeconds> issued_at;
};
// exp, nbf and iat: whole numbers, not negative (RFC 7519 2).
[[nodiscard]] Refusal read_dates(simdjson::dom::object claims, Dates& dates);
[[nodiscard]] Refusal check_dates(const Provider& provider, const Dates& dates, EpochSeconds now);
[[nodiscard]] Refusal check_audience(const Provider& provider, simdjson::dom::object claims);
// Keeps what a principal may hold. `claims`: names by place, the subject first.
[[nodiscard]] Refusal keep_claims(simdjson::dom::object object, std::span<const std::string> claims,
                                  Principal& principal);
[[nodiscard]] bool meets(const Requirement& requirement, const Provider& provider,
                         simdjson::dom::object claims);
// A claim that must be a text if it is there; empty if it is not.
[[nodiscard]] Refusal read_text(simdjson::dom::object object, const char* name,
                                std::string_view& text);

}  // namespace sluice::auth
