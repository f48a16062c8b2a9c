// The JSON of tokens, read strictly: one object and nothing else but white space, no member twice,
// not deep.
#include <algorithm>
#include <array>
#include <new>

#include "auth/base64url.h"
#include "auth/claims.h"

namespace sluice::auth {

namespace {

using simdjson::SUCCESS;

constexpr size_t nesting_max = 8;
constexpr size_t members_max = 256;

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

bool is_space(unsigned char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool is_digit(unsigned char c) { return c >= '0' && c <= '9'; }
bool is_of_number(unsigned char c) {
  return is_digit(c) || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

// number = [ minus ] int [ frac ] [ exp ] (RFC 8259 6).
bool is_number(std::span<const unsigned char> text) {
  size_t at = 0;
  const auto take_digits = [&] {
    const size_t begin = at;
    while (at < text.size() && is_digit(text[at])) ++at;
    return at > begin;
  };
  if (at < text.size() && text[at] == '-') ++at;
  const bool has_leading_zero = at + 1 < text.size() && text[at] == '0' && is_digit(text[at + 1]);
  if (has_leading_zero || !take_digits()) return false;
  if (at < text.size() && text[at] == '.') {
    ++at;
    if (!take_digits()) return false;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    if (!take_digits()) return false;
  }
  return at == text.size();
}

// A number that does not fit 64 bits is valid JSON, and nobody's business where nobody reads it. It
// becomes an empty object in place, which is no number, no text and no date to whoever does.
void blank_huge_numbers(std::span<unsigned char> json) {
  bool is_in_text = false;
  for (size_t at = 0; at < json.size(); ++at) {
    if (is_in_text) {
      if (json[at] == '\\')
        ++at;
      else if (json[at] == '"')
        is_in_text = false;
      continue;
    }
    if (json[at] == '"') is_in_text = true;
    if (json[at] != '-' && !is_digit(json[at])) continue;
    size_t end = at;
    while (end < json.size() && is_of_number(json[end])) ++end;
    const auto text = json.subspan(at, end - at);
    const bool has_exponent =
        std::any_of(text.begin(), text.end(), [](unsigned char c) { return c == 'e' || c == 'E'; });
    // Shorter ones fit.
    if ((text.size() >= 19 || (has_exponent && text.size() >= 5)) && is_number(text)) {
      std::fill(text.begin(), text.end(), ' ');
      text[0] = '{';
      text[1] = '}';
    }
    at = end - 1;
  }
}

}  // namespace

JsonReader::JsonReader(size_t token_bytes)
    : size_max_(token_bytes), bytes_(token_bytes + simdjson::SIMDJSON_PADDING) {
  if (parser_.allocate(token_bytes, nesting_max) != SUCCESS) throw std::bad_alloc{};
}

Refusal JsonReader::read(std::string_view encoded, simdjson::dom::object& object) {
  const auto size = base64url_decode(encoded, {bytes_.data(), size_max_});
  if (!size) return Refusal::encoding;
  size_t begin = 0, end = *size;
  while (begin < end && is_space(bytes_[begin])) ++begin;
  while (begin < end && is_space(bytes_[end - 1])) --end;
  if (end - begin < 2 || bytes_[begin] != '{' || bytes_[end - 1] != '}') return Refusal::json;
  simdjson::dom::element root;
  auto failure = parser_.parse(bytes_.data() + begin, end - begin, false).get(root);
  if (failure == simdjson::NUMBER_ERROR) {
    blank_huge_numbers({bytes_.data() + begin, end - begin});
    failure = parser_.parse(bytes_.data() + begin, end - begin, false).get(root);
  }
  if (failure == simdjson::DEPTH_ERROR) return Refusal::depth;
  if (failure != SUCCESS || root.get_object().get(object) != SUCCESS) return Refusal::json;
  return check_members(root);
}

}  // namespace sluice::auth
