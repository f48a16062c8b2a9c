// Finds a request's token, looks it up in the cache, and verifies it where it is new.
#include "auth/authenticator.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>

namespace sluice::auth {

namespace {

constexpr size_t api_key_bytes_max = 256;

}  // namespace

std::array<unsigned char, 32> hash_api_secret(std::span<const unsigned char> salt,
                                              std::string_view secret) {
  std::array<unsigned char, api_key_bytes_max + 64> text;
  std::array<unsigned char, 32> hash{};
  if (salt.size() + secret.size() > text.size()) return hash;
  std::copy(salt.begin(), salt.end(), text.begin());
  std::copy(secret.begin(), secret.end(), text.begin() + static_cast<std::ptrdiff_t>(salt.size()));
  SHA256(text.data(), salt.size() + secret.size(), hash.data());
  return hash;
}

void Authenticator::adopt(const KeySnapshot& snapshot) {
  verifier_.adopt(snapshot);
  snapshot_ = &snapshot;
  good_.clear();
  refused_.clear();
}

Authenticator::Progress Authenticator::look_up(const Acceptance& acceptance,
                                               const http::Fields& fields, std::string_view query,
                                               EpochSeconds now, Attempt& attempt) {
  const FoundToken found = find_token(acceptance.sources, fields, query);
  attempt.token = found.token;
  attempt.source = found.source;
  attempt.examined.refusal = found.refusal;
  if (found.refusal != Refusal::none) return Progress::settled;
  if (found.source->kind == TokenSource::Kind::api_key) {
    attempt.examined.refusal = check_api_key(acceptance, attempt);
    return Progress::settled;
  }
  if (const auto known = good_.find(found.token, acceptance.providers, now);
      known.judgement != nullptr) {
    attempt.examined.principal.copy(*known.principal);
    attempt.examined.provider = known.judgement->provider;
    return Progress::settled;
  }
  if (const auto known = refused_.find(found.token, acceptance.providers, now);
      known.judgement != nullptr) {
    attempt.examined.refusal = known.judgement->refusal;
    return Progress::settled;
  }
  return Progress::unknown;
}

Authenticator::Progress Authenticator::verify(const Acceptance& acceptance, EpochSeconds now,
                                              Attempt& attempt) {
  if (attempt.source->kind == TokenSource::Kind::basic)
    return find_password(acceptance, now, attempt);
  Examined& examined = attempt.examined;
  verifier_.examine(attempt.token, acceptance.providers, now, examined);
  if (examined.refusal == Refusal::unknown_key || examined.refusal == Refusal::no_keys)
    return Progress::waiting;
  if (examined.refusal == Refusal::none) {
    if (verifier_.is_expensive(examined)) return Progress::elsewhere;
    verifier_.check_signature(examined);
  }
  settle(now, attempt);
  return Progress::settled;
}

void Authenticator::settle(EpochSeconds now, Attempt& attempt) {
  Examined& examined = attempt.examined;
  examined.refusal = unsigned_refusal(examined);
  const bool is_nobody = attempt.user != nullptr && examined.principal.subject().empty();
  if (is_nobody && examined.refusal == Refusal::none) examined.refusal = Refusal::password_wrong;
  const bool is_good = examined.refusal == Refusal::none;
  if (is_good) counters_.claims_omitted.add(examined.claims_omitted);
  // Time makes these good, and load the other.
  if (examined.refusal == Refusal::not_yet || examined.refusal == Refusal::issued_later ||
      examined.refusal == Refusal::busy)
    return;
  // Keys have changed while another thread looked: that says nothing of what the new ones say.
  if (examined.epoch != verifier_.epoch()) return;
  TokenCache::Judgement judgement{.usable_until = examined.usable_until,
                                  .holders = examined.holders,
                                  .rivals = examined.rivals,
                                  .provider = examined.provider,
                                  .refusal = examined.refusal};
  if (is_good) {
    good_.remember(attempt.token, judgement, &examined.principal, now);
  } else {
    // An expired token stays so; any other reason holds until it expires.
    if (examined.refusal == Refusal::expired) judgement.usable_until = EpochSeconds::max();
    judgement.usable_until = std::min(judgement.usable_until, now + refused_ttl);
    refused_.remember(attempt.token, judgement, nullptr, now);
  }
}

// The first provider of the route that has the user answers. What is remembered of it holds where
// the same one would be asked.
Authenticator::Progress Authenticator::find_password(const Acceptance& acceptance, EpochSeconds now,
                                                     Attempt& attempt) {
  Examined& examined = attempt.examined;
  examined = {};
  examined.epoch = verifier_.epoch();
  examined.holders = acceptance.providers;
  examined.rivals = ~acceptance.providers;
  attempt.user = nullptr;
  BasicMemory memory;
  const auto credentials = read_basic(attempt.token, memory);
  examined.refusal = credentials ? Refusal::password_wrong : Refusal::password_form;
  ProviderSet others = 0;
  for (uint16_t provider = 0; credentials && provider < snapshot_->users.size(); ++provider) {
    const std::vector<PasswordUser>& users = snapshot_->users[provider];
    const ProviderSet it = ProviderSet{1} << provider;
    const PasswordUser* user = find_user(users, credentials->user);
    if ((acceptance.providers & it) == 0) {
      if (user != nullptr) others |= it;
      continue;
    }
    if (attempt.user == nullptr && !users.empty()) attempt.user = &users.front();
    if (user == nullptr) continue;
    attempt.user = user;
    examined.provider = provider;
    examined.holders = it;
    examined.rivals = others;
    examined.usable_until = now + verifier_.provider(examined).cache_ttl;
    static_cast<void>(examined.principal.set(subject_claim, user->name));  // it fits: it is short
    break;
  }
  if (attempt.user != nullptr) return Progress::elsewhere;
  settle(now, attempt);
  return Progress::settled;
}

Refusal Authenticator::check_api_key(const Acceptance& acceptance, Attempt& attempt) const {
  const std::string_view text = attempt.token;
  const size_t dot = text.find('.');
  if (text.size() > api_key_bytes_max || dot == std::string_view::npos || dot == 0 ||
      dot + 1 == text.size())
    return Refusal::key_form;
  const std::string_view id = text.substr(0, dot);
  for (uint16_t provider = 0; provider < snapshot_->api_keys.size(); ++provider) {
    if ((acceptance.providers >> provider & 1) == 0) continue;
    const auto& keys = snapshot_->api_keys[provider];
    const auto found = std::lower_bound(
        keys.begin(), keys.end(), id,
        [](const ApiKey& key, std::string_view wanted) { return key.id < wanted; });
    if (found == keys.end() || found->id != id) continue;
    const auto hash = hash_api_secret(found->salt, text.substr(dot + 1));
    if (CRYPTO_memcmp(hash.data(), found->hash.data(), hash.size()) != 0)
      return Refusal::key_unknown;
    attempt.examined.provider = provider;
    attempt.examined.principal = {};
    return attempt.examined.principal.set(subject_claim, found->subject) ? Refusal::none
                                                                         : Refusal::claim_too_long;
  }
  return Refusal::key_unknown;
}

}  // namespace sluice::auth
