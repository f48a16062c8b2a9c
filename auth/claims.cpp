#include "auth/claims.h"

#include <algorithm>
#include <charconv>
#include <new>

#include "auth/base64url.h"
#include "http/field.h"

namespace sluice::auth {

namespace {

using simdjson::SUCCESS;

constexpr size_t nesting_max = 8;
constexpr size_t members_max = 256;
// Whole numbers that every JSON reader agrees on (RFC 8259 6).
constexpr uint64_t exact_max = uint64_t{1} << 53;

// Two readers that each take another of two equal names would see two different tokens (RFC
// 8725 2.4, RFC 8259 4).
Refusal check_members(simdjson::dom::element element) {
  if (element.is_array()) {
    for (const auto child : simdjson::dom::array(element)) {
      if (const Refusal refusal = check_members(child); refusal != Refusal::none) return refusal;
    }
    return Refusal::none;
  }
  if (!element.is_object()) return Refusal::none;
  std::array<std::string_view, members_max> names;
  size_t count = 0;
  for (const auto field : simdjson::dom::object(element)) {
    if (count == names.size()) return Refusal::json;
    for (size_t i = 0; i < count; ++i) {
      if (names[i] == field.key) return Refusal::duplicate_member;
    }
    names[count++] = field.key;
    if (const Refusal refusal = check_members(field.value); refusal != Refusal::none)
      return refusal;
  }
  return Refusal::none;
}

// A NumericDate (RFC 7519 2): a whole number, not negative. Nothing if the member is absent.
Refusal read_date(simdjson::dom::object object, const char* name,
                  std::optional<EpochSeconds>& out) {
  simdjson::dom::element element;
  if (object.at_key(name).get(element) != SUCCESS) return Refusal::none;
  uint64_t seconds = 0;
  if (element.get_uint64().get(seconds) != SUCCESS || seconds > exact_max)
    return Refusal::claim_type;
  out = EpochSeconds{std::chrono::seconds{seconds}};
  return Refusal::none;
}

// Whether a claim that is a text of words, or a list of texts, holds this one.
bool holds(simdjson::dom::object claims, const char* name, std::string_view wanted) {
  simdjson::dom::element element;
  if (claims.at_key(name).get(element) != SUCCESS) return false;
  std::string_view text;
  if (element.get_string().get(text) == SUCCESS) {
    while (!text.empty()) {
      const size_t end = std::min(text.find(' '), text.size());
      if (text.substr(0, end) == wanted) return true;
      text.remove_prefix(std::min(end + 1, text.size()));
    }
    return false;
  }
  simdjson::dom::array list;
  if (element.get_array().get(list) != SUCCESS) return false;
  return std::any_of(list.begin(), list.end(), [&](const auto item) {
    return item.get_string().get(text) == SUCCESS && text == wanted;
  });
}

using Digits = std::array<char, 24>;

// Texts, whole numbers and truth values have a text of their own; anything else counts as absent.
std::string_view text_of(simdjson::dom::element element, Digits& digits) {
  std::string_view text;
  int64_t number = 0;
  bool truth = false;
  if (element.get_string().get(text) == SUCCESS) return text;
  if (element.get_int64().get(number) == SUCCESS) {
    return {digits.data(),
            static_cast<size_t>(
                std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr -
                digits.data())};
  }
  if (element.get_bool().get(truth) == SUCCESS) return truth ? "true" : "false";
  return {};
}

}  // namespace

JsonReader::JsonReader() {
  if (parser_.allocate(token_bytes_max, nesting_max) != SUCCESS) throw std::bad_alloc{};
}

Refusal JsonReader::read(std::string_view encoded, simdjson::dom::object& object) {
  const auto size = base64url_decode(encoded, {bytes_.data(), token_bytes_max});
  if (!size) return Refusal::encoding;
  if (*size < 2 || bytes_[0] != '{' || bytes_[*size - 1] != '}') return Refusal::json;
  simdjson::dom::element root;
  const auto failure = parser_.parse(bytes_.data(), *size, false).get(root);
  if (failure == simdjson::DEPTH_ERROR) return Refusal::depth;
  if (failure != SUCCESS || root.get_object().get(object) != SUCCESS) return Refusal::json;
  return check_members(root);
}

Refusal read_dates(simdjson::dom::object claims, Dates& dates) {
  if (const Refusal refusal = read_date(claims, "exp", dates.expires); refusal != Refusal::none)
    return refusal;
  if (const Refusal refusal = read_date(claims, "nbf", dates.not_before); refusal != Refusal::none)
    return refusal;
  return read_date(claims, "iat", dates.issued_at);
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

Refusal check_audience(const Provider& provider, simdjson::dom::object claims) {
  simdjson::dom::element audience;
  const bool is_there = claims.at_key("aud").get(audience) == SUCCESS;
  if (is_there && !audience.is_string() && !audience.is_array()) return Refusal::claim_type;
  if (provider.audiences.empty()) return Refusal::none;
  if (!is_there) return Refusal::audience;
  const auto is_ours = [&](std::string_view text) {
    return std::find(provider.audiences.begin(), provider.audiences.end(), text) !=
           provider.audiences.end();
  };
  std::string_view text;
  if (audience.get_string().get(text) == SUCCESS)
    return is_ours(text) ? Refusal::none : Refusal::audience;
  for (const auto item : simdjson::dom::array(audience)) {
    if (item.get_string().get(text) != SUCCESS) return Refusal::claim_type;
    if (is_ours(text)) return Refusal::none;
  }
  return Refusal::audience;
}

Refusal keep_claims(simdjson::dom::object object, std::span<const std::string> claims,
                    Principal& principal) {
  for (unsigned claim = 0; claim < claims.size(); ++claim) {
    simdjson::dom::element element;
    if (object.at_key(claims[claim]).get(element) != SUCCESS) continue;
    if (claim == subject_claim && !element.is_string()) return Refusal::claim_type;
    Digits digits;
    const std::string_view text = text_of(element, digits);
    // They become header fields and keys; one that could end a field would forge the next.
    if (std::any_of(text.begin(), text.end(),
                    [](unsigned char c) { return c < 0x20 || c == 0x7f; }))
      return Refusal::claim_type;
    if (!principal.set(claim, text)) return Refusal::claim_too_long;
  }
  return Refusal::none;
}

bool meets(const Requirement& requirement, const Provider& provider, simdjson::dom::object claims) {
  for (const std::string& scope : requirement.scopes) {
    if (!holds(claims, "scope", scope) && !holds(claims, "scp", scope)) return false;
  }
  const auto has_role = [&](const std::string& role) {
    return holds(claims, provider.roles_claim.c_str(), role);
  };
  if (!requirement.roles_any.empty() &&
      std::none_of(requirement.roles_any.begin(), requirement.roles_any.end(), has_role))
    return false;
  for (const auto& [name, value] : requirement.claims) {
    simdjson::dom::element element;
    Digits digits;
    if (claims.at_key(name).get(element) != SUCCESS || text_of(element, digits) != value)
      return false;
  }
  return true;
}

Refusal read_text(simdjson::dom::object object, const char* name, std::string_view& text) {
  simdjson::dom::element element;
  text = {};
  if (object.at_key(name).get(element) != SUCCESS) return Refusal::none;
  return element.get_string().get(text) == SUCCESS ? Refusal::none : Refusal::claim_type;
}

}  // namespace sluice::auth
