// The JSON of tokens: read strictly, and judged by a provider's conditions. Internal to auth/.
#pragma once

#include <simdjson.h>

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "auth/principal.h"
#include "auth/provider.h"
#include "auth/refusal.h"

namespace sluice::auth {

// The JSON reader and the memory it reads from, sized once for the longest token. An object is
// valid until the next read.
class JsonReader {
 public:
  explicit JsonReader(size_t token_bytes);
  // base64url -> one JSON object and nothing else but white space (RFC 8259 2), in which no object
  // has a member twice. The text is at most `token_bytes` long.
  Refusal read(std::string_view encoded, simdjson::dom::object& object);

 private:
  size_t size_max_;
  simdjson::dom::parser parser_;
  std::vector<unsigned char> bytes_;
};

// A claim by its name, or by the way to it (claim_separator). Null counts as absent.
[[nodiscard]] std::optional<simdjson::dom::element> find_claim(simdjson::dom::object claims,
                                                               std::string_view name);

struct Dates {
  std::optional<EpochSeconds> expires;
  std::optional<EpochSeconds> not_before;
  std::optional<EpochSeconds> issued_at;
};
// exp, nbf and iat: numbers, not negative, with a fraction or an exponent (RFC 7519 2). A part of a
// second is taken against the token, and for whoever revokes it.
[[nodiscard]] Refusal read_dates(simdjson::dom::object claims, Dates& dates);
[[nodiscard]] Refusal check_dates(const Provider& provider, const Dates& dates, EpochSeconds now);
[[nodiscard]] Refusal check_audience(const Provider& provider, simdjson::dom::object claims);

// Whether a text may become the value of a field, and the same text to everybody behind it: no
// controls, no white space at its ends, not that of Unicode either. It is UTF-8.
[[nodiscard]] bool is_field_text(std::string_view text);

// Keeps what a principal may hold, a list as its items with commas between; how many claims were
// left out for want of room. `claims`: names by place, the subject first.
struct Kept {
  Refusal refusal = Refusal::none;
  uint8_t omitted = 0;
};
[[nodiscard]] Kept keep_claims(simdjson::dom::object object, std::span<const std::string> claims,
                               TooLong on_too_long, Principal& principal);
// The place of the first condition that is not met, as Requirement::names has them; nothing if all
// are.
[[nodiscard]] std::optional<size_t> first_unmet(const Requirement& requirement,
                                                const Provider& provider,
                                                simdjson::dom::object claims);
// A claim that must be a text if it is there; empty if it is not, or null.
[[nodiscard]] Refusal read_text(simdjson::dom::object object, const char* name,
                                std::string_view& text);

}  // namespace sluice::auth
