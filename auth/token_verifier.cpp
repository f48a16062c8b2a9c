// The cheap checks of a token in order, and then the signature.
#include "auth/token_verifier.h"

#include <algorithm>
#include <cstring>

#include "auth/base64url.h"
#include "auth/claims.h"
#include "core/assert.h"
#include "core/bounded_string.h"
#include "http/field.h"

namespace sluice::auth {

namespace {

// Above this a check would hold up everybody else on the core.
constexpr std::chrono::microseconds expensive{100};

// base64url, and the dots between: what a token may be made of (RFC 7515 7.1).
bool has_token_bytes(std::string_view token) {
  constexpr uint64_t each = 0x0101010101010101;
  uint64_t bad = 0;  // the high bit of each byte that is none
  for (; token.size() >= sizeof bad; token.remove_prefix(sizeof bad)) {
    uint64_t bytes = 0;
    std::memcpy(&bytes, token.data(), sizeof bytes);
    bad |= bytes | (bytes - 0x21 * each) |
           (bytes + each);  // a carry into the next byte comes from a bad one only
  }
  return (bad & 0x80 * each) == 0 && std::all_of(token.begin(), token.end(), [](unsigned char c) {
           return c > 0x20 && c < 0x7f;
         });
}

// "JWT" and "application/jwt" mean the same (RFC 7515 4.1.9).
bool is_type(std::string_view type, std::string_view wanted) {
  constexpr std::string_view prefix = "application/";
  if (type.size() > prefix.size() &&
      http::equals_ignoring_case(type.substr(0, prefix.size()), prefix))
    type.remove_prefix(prefix.size());
  return http::equals_ignoring_case(type, wanted);
}

}  // namespace

struct TokenVerifier::Header {
  Algorithm algorithm = Algorithm::hs256;
  core::BoundedString<kid_bytes_max> kid;
  core::BoundedString<kid_bytes_max> type;
};

TokenVerifier::TokenVerifier(const VerifierOptions& options, VerifiedCounters* counters)
    : options_(options), verified_(counters != nullptr ? counters : &own_) {
  for (const Provider& each : options.providers)
    token_bytes_ = std::max(token_bytes_, each.token_bytes);
  json_ = std::make_unique<JsonReader>(token_bytes_);
}
TokenVerifier::~TokenVerifier() = default;

void TokenVerifier::adopt(const KeySnapshot& snapshot) {
  checkers_.clear();
  for (const auto& keys : snapshot.keys) {
    auto& beside = checkers_.emplace_back();
    for (const SharedKey& key : keys) beside.push_back(std::make_unique<SignatureChecker>(*key));
  }
  snapshot_ = &snapshot;
  ++epoch_;
}

const Key& TokenVerifier::key(const Examined& examined, unsigned candidate) const {
  return *snapshot_->keys[examined.provider][examined.keys[candidate]];
}

Refusal TokenVerifier::split(std::string_view token, Parts& parts) const {
  if (token.size() > token_bytes_) return Refusal::too_long;
  if (!has_token_bytes(token)) return Refusal::bytes;
  const auto first = std::min(token.find('.'), token.size());
  const auto second = token.find('.', first + 1);
  if (second == std::string_view::npos) return Refusal::parts;
  if (token.find('.', second + 1) != std::string_view::npos) {
    return std::count(token.begin(), token.end(), '.') == 4 ? Refusal::encrypted : Refusal::parts;
  }
  parts.header = token.substr(0, first);
  parts.payload = token.substr(first + 1, second - first - 1);
  parts.signature = token.substr(second + 1);
  parts.signed_text = token.substr(0, second);
  return parts.header.empty() || parts.payload.empty() || parts.signature.empty() ? Refusal::parts
                                                                                  : Refusal::none;
}

// What it says of keys to verify it with (jwk, jku, x5u, x5c) is not looked at: keys are the
// configuration's (RFC 8725 3.10).
Refusal TokenVerifier::read_header(std::string_view encoded, Header& header) {
  simdjson::dom::object object;
  if (const Refusal refusal = json_->read(encoded, object); refusal != Refusal::none)
    return refusal;
  simdjson::dom::element ignored;
  if (object.at_key("crit").get(ignored) == simdjson::SUCCESS) return Refusal::critical;
  std::string_view text;
  if (object.at_key("alg").get_string().get(text) != simdjson::SUCCESS) return Refusal::algorithm;
  const auto algorithm = parse_algorithm(text);
  if (!algorithm) return Refusal::algorithm;
  header.algorithm = *algorithm;
  if (const Refusal refusal = read_text(object, "kid", text); refusal != Refusal::none)
    return refusal;
  if (text.size() > kid_bytes_max) return Refusal::unknown_key;
  header.kid.assign(text);
  if (const Refusal refusal = read_text(object, "typ", text); refusal != Refusal::none)
    return refusal;
  header.type.assign(text);
  return Refusal::none;
}

TokenVerifier::Match TokenVerifier::match(size_t provider, std::string_view issuer) const {
  const Provider& of = options_.providers[provider];
  if (of.kind != CredentialKind::token) return Match::none;
  std::span<const Issuer> known = of.issuers;
  if (known.empty() && of.issuer_source == IssuerSource::discovered) {
    if (provider < snapshot_->issuers.size()) known = snapshot_->issuers[provider];
    if (known.empty()) return Match::unknown_yet;
  }
  if (known.empty()) return Match::any;
  Match best = Match::none;
  for (const Issuer& each : known) {
    if (!is_of(each, issuer)) continue;
    if (each.kind == Issuer::Kind::exact) return Match::exact;
    best = Match::pattern;
  }
  return best;
}

// The provider that has this issuer; else one that takes any. Those that would have come before it
// if the route trusted them are its rivals.
Refusal TokenVerifier::choose_provider(std::string_view issuer, ProviderSet providers,
                                       Examined& examined) const {
  bool is_known = true;
  for (const Match wanted : {Match::exact, Match::pattern, Match::any}) {
    for (uint16_t index = 0; index < options_.providers.size(); ++index) {
      const Match found = match(index, issuer);
      const ProviderSet it = ProviderSet{1} << index;
      if (found == Match::unknown_yet && (providers & it) != 0) is_known = false;
      if (found != wanted) continue;
      if ((providers & it) == 0) {
        examined.rivals |= it;
        continue;
      }
      examined.provider = index;
      examined.holders = it;
      return Refusal::none;
    }
  }
  examined.holders = providers;  // and whoever else trusts none of those that it could be of
  return is_known ? Refusal::issuer : Refusal::no_keys;
}

Refusal TokenVerifier::read_payload(const Header& header, ProviderSet providers, EpochSeconds now,
                                    Examined& examined) {
  simdjson::dom::object claims;
  if (const Refusal refusal = json_->read(examined.payload, claims); refusal != Refusal::none)
    return refusal;
  std::string_view issuer;
  std::string_view id;
  Dates dates;
  if (const Refusal refusal = read_text(claims, "iss", issuer); refusal != Refusal::none)
    return refusal;
  if (const Refusal refusal = read_text(claims, "jti", id); refusal != Refusal::none)
    return refusal;
  if (const Refusal refusal = read_dates(claims, dates); refusal != Refusal::none) return refusal;
  if (const Refusal refusal = choose_provider(issuer, providers, examined);
      refusal != Refusal::none)
    return refusal;
  const Provider& provider = options_.providers[examined.provider];
  // signed_text, a dot and the signature are the token.
  if (examined.signed_text.size() + 1 + examined.signature.size() > provider.token_bytes)
    return Refusal::too_long;
  const auto& allowed = provider.algorithms;
  if (std::find(allowed.begin(), allowed.end(), header.algorithm) == allowed.end())
    return Refusal::algorithm;
  if (dates.expires) examined.usable_until = *dates.expires + provider.skew;
  if (!provider.type.empty() && !is_type(header.type.view(), provider.type)) return Refusal::type;
  if (const Refusal refusal = check_dates(provider, dates, now); refusal != Refusal::none)
    return refusal;
  if (const Refusal refusal = check_audience(provider, claims); refusal != Refusal::none)
    return refusal;
  const Kept kept = keep_claims(claims, options_.claims, provider.on_too_long, examined.principal);
  if (kept.refusal != Refusal::none) return kept.refusal;
  examined.claims_omitted = kept.omitted;
  if (provider.payload_field == PayloadField::sent &&
      examined.payload.size() > payload_field_bytes_max) {
    if (provider.on_too_long == TooLong::refuse) return Refusal::claim_too_long;
    ++examined.claims_omitted;
  }
  if (snapshot_->revocations.is_revoked(id, examined.principal.subject(), dates.issued_at))
    return Refusal::revoked;
  for (unsigned number = 0; number < options_.requirements.size(); ++number) {
    if (!first_unmet(options_.requirements[number], provider, claims))
      examined.principal.meets |= uint64_t{1} << number;
  }
  examined.usable_until = std::min(examined.usable_until, now + provider.cache_ttl);
  return Refusal::none;
}

// By kid where the token has one, and by its algorithm, which also says the kind of key.
Refusal TokenVerifier::choose_keys(const Header& header, Examined& examined) const {
  const std::vector<SharedKey>& keys = snapshot_->keys[examined.provider];
  if (keys.empty()) return Refusal::no_keys;
  bool knows_kid = header.kid.empty();
  examined.key_count = 0;
  for (uint16_t index = 0; index < keys.size(); ++index) {
    const Key& key = *keys[index];
    if (!header.kid.empty() && !key.kid.empty() && key.kid != header.kid.view()) continue;
    knows_kid = true;
    if (key.algorithm != header.algorithm) continue;
    if (examined.key_count < candidate_keys_max) {
      examined.keys[examined.key_count++] = index;
    } else {
      ++examined.keys_left;
    }
  }
  if (!knows_kid) return Refusal::unknown_key;
  return examined.key_count == 0 ? Refusal::algorithm : Refusal::none;
}

void TokenVerifier::examine(std::string_view token, ProviderSet providers, EpochSeconds now,
                            Examined& examined) {
  SLUICE_DEBUG_ASSERT(snapshot_ != nullptr);
  Parts parts;
  Header header;
  examined.principal = {};
  examined.provider = 0;
  examined.holders = ~ProviderSet{0};  // what has no form has none anywhere
  examined.rivals = 0;
  examined.epoch = epoch_;
  examined.usable_until = EpochSeconds::max();
  examined.claims_omitted = 0;
  examined.keys_left = 0;
  examined.refusal = split(token, parts);
  if (examined.refusal != Refusal::none) return;
  examined.signed_text = parts.signed_text;
  examined.payload = parts.payload;
  examined.signature = parts.signature;
  examined.refusal = read_header(parts.header, header);
  if (examined.refusal == Refusal::none)
    examined.refusal = read_payload(header, providers, now, examined);
  if (examined.refusal == Refusal::none) examined.refusal = choose_keys(header, examined);
}

std::string_view TokenVerifier::unmet(std::string_view token, const Examined& examined,
                                      uint8_t requirement) {
  Parts parts;
  simdjson::dom::object claims;
  if (split(token, parts) != Refusal::none || json_->read(parts.payload, claims) != Refusal::none)
    return {};
  const Requirement& wanted = options_.requirements[requirement];
  const auto place = first_unmet(wanted, provider(examined), claims);
  return place && *place < wanted.names.size() ? std::string_view{wanted.names[*place]}
                                               : std::string_view{};
}

bool TokenVerifier::is_expensive(const Examined& examined) const {
  std::chrono::nanoseconds cost{};
  for (unsigned candidate = 0; candidate < examined.key_count; ++candidate)
    cost += key(examined, candidate).cost;
  return cost > expensive;
}

void TokenVerifier::check_signature(Examined& examined) {
  for (unsigned candidate = 0; candidate < examined.key_count; ++candidate) {
    const Key& with = key(examined, candidate);
    count_verified(with.algorithm);
    SignatureChecker& checker = *checkers_[examined.provider][examined.keys[candidate]];
    examined.refusal =
        auth::check_signature(checker, with, examined.signed_text, examined.signature);
    // Good, or of a form that no key will like; an RSA signature has the length of its key.
    const bool may_be_anothers =
        examined.refusal == Refusal::signature || examined.refusal == Refusal::signature_form;
    if (!may_be_anothers) return;
  }
  examined.refusal = unsigned_refusal(examined);
}

std::string_view payload_of(std::string_view token) {
  const size_t begin = token.find('.') + 1;
  const std::string_view payload = token.substr(begin, token.rfind('.') - begin);
  return payload.size() > payload_field_bytes_max ? std::string_view{} : payload;
}

Refusal check_signature(SignatureChecker& checker, const Key& key, std::string_view text,
                        std::string_view signature) {
  std::array<unsigned char, signature_bytes_max> bytes;
  const auto size = base64url_decode(signature, bytes);
  if (!size)
    return signature.size() / 4 * 3 > bytes.size() ? Refusal::signature_form : Refusal::encoding;
  if (!has_signature_form(key, *size)) return Refusal::signature_form;
  return checker.verify(text, {bytes.data(), *size}) ? Refusal::none : Refusal::signature;
}

}  // namespace sluice::auth
