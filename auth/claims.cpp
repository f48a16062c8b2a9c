// Reads a token's payload with simdjson and holds its claims against the conditions.
#include "auth/claims.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace sluice::auth {

namespace {

using simdjson::SUCCESS;
using simdjson::dom::element;
using simdjson::dom::object;

// Whole numbers that every JSON reader agrees on (RFC 8259 6).
constexpr double exact_max = 9007199254740992.0;

enum class Rounding : uint8_t { down, up };

// Nothing if the member is absent or null.
Refusal read_date(object claims, const char* name, Rounding rounding,
                  std::optional<EpochSeconds>& out) {
  const auto found = find_claim(claims, name);
  if (!found) return Refusal::none;
  uint64_t whole = 0;
  double seconds = 0;
  if (found->get_uint64().get(whole) == SUCCESS) {
    if (whole > static_cast<uint64_t>(exact_max)) return Refusal::claim_type;
    out = EpochSeconds{std::chrono::seconds{whole}};
    return Refusal::none;
  }
  if (!found->is_double() || found->get_double().get(seconds) != SUCCESS || !(seconds >= 0) ||
      seconds > exact_max)
    return Refusal::claim_type;
  seconds = rounding == Rounding::up ? std::ceil(seconds) : std::floor(seconds);
  out = EpochSeconds{std::chrono::seconds{static_cast<int64_t>(seconds)}};
  return Refusal::none;
}

using Digits = std::array<char, 24>;

// Texts, whole numbers and truth values have a text of their own; anything else counts as absent.
std::optional<std::string_view> text_of(element value, Digits& digits) {
  std::string_view text;
  int64_t number = 0;
  bool truth = false;
  if (value.get_string().get(text) == SUCCESS) return text;
  if (value.get_int64().get(number) == SUCCESS) {
    return std::string_view{
        digits.data(), static_cast<size_t>(
                           std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr -
                           digits.data())};
  }
  if (value.get_bool().get(truth) == SUCCESS) return truth ? "true" : "false";
  return std::nullopt;
}

// Whether each item of a list has a text: one that has none makes the list none of ours.
bool is_list_of_texts(simdjson::dom::array list) {
  Digits digits;
  return std::all_of(list.begin(), list.end(),
                     [&](const auto item) { return text_of(item, digits).has_value(); });
}

// Whether a claim that is this text, or a list, holds it.
bool holds(object claims, std::string_view name, std::string_view wanted) {
  const auto found = find_claim(claims, name);
  if (!found) return false;
  Digits digits;
  if (const auto text = text_of(*found, digits)) return *text == wanted;
  simdjson::dom::array list;
  if (found->get_array().get(list) != SUCCESS || !is_list_of_texts(list)) return false;
  return std::any_of(list.begin(), list.end(),
                     [&](const auto item) { return text_of(item, digits) == wanted; });
}

// The same, and a text is a list of words (RFC 8693 4.2).
bool holds_word(object claims, std::string_view name, std::string_view wanted) {
  const auto found = find_claim(claims, name);
  std::string_view text;
  if (!found || found->get_string().get(text) != SUCCESS) return holds(claims, name, wanted);
  while (!text.empty()) {
    const size_t end = std::min(text.find(' '), text.size());
    if (text.substr(0, end) == wanted) return true;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return false;
}

// The white space of Unicode that is not ASCII's, and what nobody sees at an end (U+FEFF).
constexpr std::string_view unicode_blanks[] = {"\u00a0", "\u1680", "\u2000", "\u2001", "\u2002",
                                               "\u2003", "\u2004", "\u2005", "\u2006", "\u2007",
                                               "\u2008", "\u2009", "\u200a", "\u200b", "\u2028",
                                               "\u2029", "\u202f", "\u205f", "\u3000", "\ufeff"};

// The text of a claim in `memory`, which outlives it; a list's items with commas between.
struct ClaimText {
  Refusal refusal = Refusal::none;
  bool fits = true;
  std::string_view text;
};
using ClaimMemory = std::array<char, Principal::bytes_max>;

ClaimText join(simdjson::dom::array list, ClaimMemory& memory) {
  ClaimText joined;
  size_t used = 0;
  for (const auto item : list) {
    Digits digits;
    const auto text = text_of(item, digits);
    if (!text) return {.refusal = Refusal::claim_type};
    // An item with a comma would be two to whoever reads the field.
    if (text->empty() || !is_field_text(*text) || text->find(',') != std::string_view::npos)
      return {.refusal = Refusal::claim_bytes};
    if (!joined.fits || text->size() + 1 > memory.size() - used) {
      joined.fits = false;  // all are looked at all the same
      continue;
    }
    if (used > 0) memory[used++] = ',';
    used += text->copy(memory.data() + used, text->size());
  }
  joined.text = {memory.data(), used};
  return joined;
}

ClaimText claim_text(element value, ClaimMemory& memory, Digits& digits) {
  simdjson::dom::array list;
  if (value.get_array().get(list) == SUCCESS) return join(list, memory);
  const auto text = text_of(value, digits);
  if (!text) return {};
  if (!is_field_text(*text)) return {.refusal = Refusal::claim_bytes};
  return {.text = *text};
}

}  // namespace

std::optional<element> find_claim(object claims, std::string_view name) {
  element found;
  if (claims.at_key(name).get(found) == SUCCESS)
    return found.is_null() ? std::nullopt : std::optional{found};
  const bool is_way = name.find(claim_separator) != std::string_view::npos;
  const char separator = is_way ? claim_separator : '.';
  if (!is_way && name.find(separator) == std::string_view::npos) return std::nullopt;
  object from = claims;
  for (;;) {
    const size_t end = std::min(name.find(separator), name.size());
    if (from.at_key(name.substr(0, end)).get(found) != SUCCESS) return std::nullopt;
    if (end == name.size()) return found.is_null() ? std::nullopt : std::optional{found};
    name.remove_prefix(end + 1);
    if (found.get_object().get(from) != SUCCESS) return std::nullopt;
  }
}

Refusal read_dates(object claims, Dates& dates) {
  if (const Refusal refusal = read_date(claims, "exp", Rounding::down, dates.expires);
      refusal != Refusal::none)
    return refusal;
  if (const Refusal refusal = read_date(claims, "nbf", Rounding::up, dates.not_before);
      refusal != Refusal::none)
    return refusal;
  return read_date(claims, "iat", Rounding::down, dates.issued_at);
}

Refusal check_dates(const Provider& provider, const Dates& dates, EpochSeconds now) {
  if (!dates.expires && provider.expiry == Expiry::required) return Refusal::no_expiry;
  if (dates.expires && now >= *dates.expires + provider.skew) return Refusal::expired;
  if (dates.not_before && now + provider.skew < *dates.not_before) return Refusal::not_yet;
  if (dates.issued_at && now + provider.skew < *dates.issued_at) return Refusal::issued_later;
  if (provider.max_lifetime.count() > 0 &&
      (!dates.issued_at || !dates.expires ||
       *dates.expires - *dates.issued_at > provider.max_lifetime)) {
    return Refusal::lifetime;
  }
  return Refusal::none;
}

// A list is looked at in whole: one that holds what is no text is no audience.
Refusal check_audience(const Provider& provider, object claims) {
  const auto audience = find_claim(claims, provider.audience_claim);
  if (!audience) return provider.audiences.empty() ? Refusal::none : Refusal::audience;
  bool is_ours = provider.audiences.empty();
  const auto look_at = [&](element item) {
    std::string_view text;
    if (item.get_string().get(text) != SUCCESS) return false;
    is_ours = is_ours || std::find(provider.audiences.begin(), provider.audiences.end(), text) !=
                             provider.audiences.end();
    return true;
  };
  simdjson::dom::array list;
  if (audience->get_array().get(list) == SUCCESS) {
    for (const auto item : list) {
      if (!look_at(item)) return Refusal::claim_type;
    }
  } else if (!look_at(*audience)) {
    return Refusal::claim_type;
  }
  return is_ours ? Refusal::none : Refusal::audience;
}

bool is_field_text(std::string_view text) {
  for (size_t at = 0; at < text.size(); ++at) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte < 0x20 || byte == 0x7f) return false;
    // U+0080 to U+009f: the controls above ASCII.
    if (byte == 0xc2 && at + 1 < text.size() && static_cast<unsigned char>(text[at + 1]) < 0xa0)
      return false;
  }
  if (text.starts_with(' ') || text.ends_with(' ')) return false;
  return std::none_of(
      std::begin(unicode_blanks), std::end(unicode_blanks),
      [&](std::string_view blank) { return text.starts_with(blank) || text.ends_with(blank); });
}

Kept keep_claims(object claims, std::span<const std::string> names, TooLong on_too_long,
                 Principal& principal) {
  Kept kept;
  for (unsigned claim = 0; claim < names.size(); ++claim) {
    const auto found = find_claim(claims, names[claim]);
    if (!found) continue;
    if (claim == subject_claim && !found->is_string()) return {Refusal::claim_type};
    ClaimMemory memory;
    Digits digits;
    const ClaimText value = claim_text(*found, memory, digits);
    if (value.refusal != Refusal::none) return {value.refusal};
    const bool is_subject_too_long =
        claim == subject_claim && value.text.size() > subject_bytes_max;
    if (!is_subject_too_long && value.fits && principal.set(claim, value.text)) continue;
    if (claim == subject_claim || on_too_long == TooLong::refuse) return {Refusal::claim_too_long};
    ++kept.omitted;
  }
  return kept;
}

std::optional<size_t> first_unmet(const Requirement& requirement, const Provider& provider,
                                  object claims) {
  for (const std::string& scope : requirement.scopes) {
    if (!holds_word(claims, "scope", scope) && !holds_word(claims, "scp", scope)) return 0;
  }
  const auto has_role = [&](const std::string& role) {
    return holds_word(claims, provider.roles_claim, role);
  };
  if (!requirement.roles_any.empty() &&
      std::none_of(requirement.roles_any.begin(), requirement.roles_any.end(), has_role))
    return 1;
  for (size_t index = 0; index < requirement.claims.size(); ++index) {
    const auto& [name, wanted] = requirement.claims[index];
    if (!holds(claims, name, wanted)) return 2 + index;
  }
  return std::nullopt;
}

Refusal read_text(object claims, const char* name, std::string_view& text) {
  text = {};
  element found;
  if (claims.at_key(name).get(found) != SUCCESS || found.is_null()) return Refusal::none;
  return found.get_string().get(text) == SUCCESS ? Refusal::none : Refusal::claim_type;
}

}  // namespace sluice::auth
