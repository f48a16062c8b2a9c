#include "auth/token_verifier.h"

#include <simdjson.h>

#include <array>
#include <charconv>
#include <new>

#include "auth/base64url.h"

namespace sluice::auth {

namespace {

constexpr size_t nesting_max = 8;
constexpr size_t members_max = 256;
// Whole numbers that every JSON reader agrees on (RFC 8259 6).
constexpr uint64_t exact_max = uint64_t{1} << 53;

}  // namespace

// The JSON reader and the memory it reads from, sized once for the longest token.
struct TokenVerifier::Json {
  simdjson::dom::parser parser;
  std::array<unsigned char, token_bytes_max + simdjson::SIMDJSON_PADDING> bytes{};

  Json() {
    if (parser.allocate(token_bytes_max, nesting_max) != simdjson::SUCCESS) throw std::bad_alloc{};
  }

  // base64url -> a JSON object, of which no object has a member twice.
  Refusal read(std::string_view encoded, simdjson::dom::object& object) {
    const auto size = base64url_decode(encoded, {bytes.data(), token_bytes_max});
    if (!size) return Refusal::malformed;
    simdjson::dom::element root;
    if (parser.parse(bytes.data(), *size, false).get(root) != simdjson::SUCCESS) return Refusal::malformed;
    if (root.get_object().get(object) != simdjson::SUCCESS) return Refusal::malformed;
    return check_members(root);
  }

  // Two readers that each take another of two equal names would see two different tokens (RFC 8725 2.4, RFC 8259 4).
  static Refusal check_members(simdjson::dom::element element) {
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
      if (count == names.size()) return Refusal::malformed;
      for (size_t i = 0; i < count; ++i) {
        if (names[i] == field.key) return Refusal::duplicate_member;
      }
      names[count++] = field.key;
      if (const Refusal refusal = check_members(field.value); refusal != Refusal::none) return refusal;
    }
    return Refusal::none;
  }
};

namespace {

// A NumericDate: a whole number, not negative. Nothing if the member is absent.
Refusal read_date(simdjson::dom::object object, const char* name, std::optional<EpochSeconds>& out) {
  simdjson::dom::element element;
  if (object.at_key(name).get(element) != simdjson::SUCCESS) return Refusal::none;
  uint64_t seconds = 0;
  if (element.get_uint64().get(seconds) != simdjson::SUCCESS || seconds > exact_max) return Refusal::claim_type;
  out = EpochSeconds{std::chrono::seconds{seconds}};
  return Refusal::none;
}

// Texts, whole numbers and truth values have a text of their own; anything else counts as absent, but a subject is a text.
Refusal keep_claim(simdjson::dom::object claims, const std::string& name, unsigned claim, Principal& principal) {
  simdjson::dom::element element;
  if (claims.at_key(name).get(element) != simdjson::SUCCESS) return Refusal::none;
  std::array<char, 24> digits;
  std::string_view text;
  bool truth = false;
  if (element.get_string().get(text) == simdjson::SUCCESS) {
  } else if (claim == subject_claim) {
    return Refusal::claim_type;
  } else if (int64_t number = 0; element.get_int64().get(number) == simdjson::SUCCESS) {
    text = {digits.data(), static_cast<size_t>(std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr - digits.data())};
  } else if (element.get_bool().get(truth) == simdjson::SUCCESS) {
    text = truth ? "true" : "false";
  }
  return principal.set(claim, text) ? Refusal::none : Refusal::claim_too_long;
}

}  // namespace

TokenVerifier::TokenVerifier(const VerifierOptions& options)
    : skew_(options.skew), claims_(options.claims), json_(std::make_unique<Json>()) {
  for (const HmacAlgorithm algorithm : options.algorithms) {
    keys_[static_cast<size_t>(algorithm)] = std::make_unique<Hmac>(algorithm, options.secret);
  }
}

TokenVerifier::~TokenVerifier() = default;

// Exactly three non-empty parts.
bool TokenVerifier::split(std::string_view token, Parts& parts) {
  const auto first = token.find('.');
  if (first == std::string_view::npos) return false;
  const auto second = token.find('.', first + 1);
  if (second == std::string_view::npos || token.find('.', second + 1) != std::string_view::npos) return false;
  parts.header = token.substr(0, first);
  parts.payload = token.substr(first + 1, second - first - 1);
  parts.signature = token.substr(second + 1);
  parts.signed_text = token.substr(0, second);
  return !parts.header.empty() && !parts.payload.empty() && !parts.signature.empty();
}

Refusal TokenVerifier::check_header(std::string_view header, HmacAlgorithm& algorithm) {
  simdjson::dom::object object;
  if (const Refusal refusal = json_->read(header, object); refusal != Refusal::none) return refusal;
  simdjson::dom::element ignored;
  if (object.at_key("crit").get(ignored) == simdjson::SUCCESS) return Refusal::critical;
  std::string_view name;
  if (object.at_key("alg").get_string().get(name) != simdjson::SUCCESS) return Refusal::algorithm;
  const auto parsed = parse_hmac_algorithm(name);
  if (!parsed || keys_[static_cast<size_t>(*parsed)] == nullptr) return Refusal::algorithm;
  algorithm = *parsed;
  return Refusal::none;
}

Refusal TokenVerifier::read_claims(std::string_view payload, EpochSeconds now, Verification& verification) {
  simdjson::dom::object claims;
  if (const Refusal refusal = json_->read(payload, claims); refusal != Refusal::none) return refusal;
  std::optional<EpochSeconds> expires;
  std::optional<EpochSeconds> not_before;
  if (const Refusal refusal = read_date(claims, "exp", expires); refusal != Refusal::none) return refusal;
  if (const Refusal refusal = read_date(claims, "nbf", not_before); refusal != Refusal::none) return refusal;
  if (!expires) return Refusal::no_expiry;
  if (now >= *expires + skew_) return Refusal::expired;
  if (not_before && now + skew_ < *not_before) return Refusal::not_yet;
  for (unsigned claim = 0; claim < claims_.size(); ++claim) {
    if (const Refusal refusal = keep_claim(claims, claims_[claim], claim, verification.principal); refusal != Refusal::none) return refusal;
  }
  verification.expires = *expires;
  return Refusal::none;
}

Verification TokenVerifier::verify(std::string_view token, EpochSeconds now) {
  Verification verification;
  const auto refuse = [&](Refusal refusal) {
    verification.refusal = refusal;
    return verification;
  };
  if (token.size() > token_bytes_max) return refuse(Refusal::too_long);
  Parts parts;
  if (!split(token, parts)) return refuse(Refusal::malformed);
  HmacAlgorithm algorithm{};
  if (const Refusal refusal = check_header(parts.header, algorithm); refusal != Refusal::none) return refuse(refusal);
  std::array<unsigned char, signature_bytes_max> signature;
  const auto size = base64url_decode(parts.signature, signature);
  if (!size) return refuse(Refusal::malformed);
  if (!keys_[static_cast<size_t>(algorithm)]->verify(parts.signed_text, {signature.data(), *size})) return refuse(Refusal::signature);
  return refuse(read_claims(parts.payload, now, verification));
}

}  // namespace sluice::auth
