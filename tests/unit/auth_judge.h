// Judges tokens in tests: a verifier with its keys, pairs of keys of every kind, and requests that
// bring a token.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "auth/authenticator.h"
#include "auth/mint.h"
#include "http/parser.h"

namespace sluice::auth {

inline constexpr std::string_view secret = "mysecret";
inline const EpochSeconds now{std::chrono::seconds{1'700'000'000}};
inline const std::string good_header = R"({"alg":"HS256","typ":"JWT"})";

inline std::string payload(const std::string& more = "") {
  return R"({"sub":"alice","exp":1700000100)" + more + "}";
}
inline std::string raw(const std::string& header, const std::string& body) {
  return mint_raw(header, body, signing_secret(secret));
}
inline std::string token() { return raw(good_header, payload()); }

// A verifier with its configuration and keys: one provider, unless told otherwise.
class Judge {
 public:
  explicit Judge(std::vector<Provider> providers = {Provider{}},
                 std::vector<Requirement> requirements = {})
      : providers_(std::move(providers)), requirements_(std::move(requirements)) {
    snapshot_.keys.resize(providers_.size());
    snapshot_.api_keys.resize(providers_.size());
  }
  Judge& with(SharedKey key, size_t provider = 0) {
    snapshot_.keys[provider].push_back(std::move(key));
    return *this;
  }
  Judge& with_secret(std::string_view text = secret) {
    for (const Algorithm algorithm : {Algorithm::hs256, Algorithm::hs384, Algorithm::hs512})
      with(make_secret_key(algorithm, std::string{text}));
    return *this;
  }
  KeySnapshot& snapshot() { return snapshot_; }
  Authenticator& authenticator(uint32_t entries = 64) {
    if (authenticator_ == nullptr) {
      authenticator_ = std::make_unique<Authenticator>(AuthenticatorOptions{
          .verifier = {.providers = providers_, .claims = claims_, .requirements = requirements_},
          .cache_entries = entries,
          .refused_entries = 64});
      authenticator_->adopt(snapshot_);
    }
    return *authenticator_;
  }
  Examined examine(const std::string& text, EpochSeconds when = now,
                   ProviderSet providers = UINT32_MAX) {
    Examined examined;
    TokenVerifier& verifier = authenticator().verifier();
    verifier.examine(text, providers, when, examined);
    if (examined.refusal == Refusal::none) verifier.check_signature(examined);
    return examined;
  }
  Refusal operator()(const std::string& text, EpochSeconds when = now) {
    return examine(text, when).refusal;
  }

 private:
  std::vector<Provider> providers_;
  std::vector<std::string> claims_{"sub", "tenant", "level"};
  std::vector<Requirement> requirements_;
  KeySnapshot snapshot_;
  std::unique_ptr<Authenticator> authenticator_;
};

inline Refusal verdict(const std::string& text, EpochSeconds when = now) {
  Judge judge;
  return judge.with_secret()(text, when);
}

inline SharedKey public_key(const SigningKey& key) {
  const std::array<Algorithm, 1> allowed{key.algorithm};
  auto made = make_pem_key(to_public_pem(key), allowed, key.kid);
  return std::get<SharedKey>(made);
}

// Pairs of keys of every kind, made once.
inline const SigningKey& pair(Algorithm algorithm) {
  static std::map<Algorithm, SigningKey> made;
  const auto found = made.find(algorithm);
  if (found != made.end()) return found->second;
  auto key = generate_signing_key(algorithm, "", 2048);
  return made.emplace(algorithm, std::move(std::get<SigningKey>(key))).first->second;
}

inline const std::vector<Algorithm> asymmetric = {
    Algorithm::rs256, Algorithm::rs384, Algorithm::rs512, Algorithm::ps256, Algorithm::ps384,
    Algorithm::ps512, Algorithm::es256, Algorithm::es384, Algorithm::es512, Algorithm::eddsa};

inline Provider provider_of(std::vector<Algorithm> allowed) {
  Provider provider;
  provider.algorithms = std::move(allowed);
  return provider;
}

struct Asked {
  Refusal refusal = Refusal::none;
  std::string subject;
  Authenticator::Progress first = Authenticator::Progress::settled;
};

inline Asked ask(Authenticator& authenticator, const std::string& fields, EpochSeconds when = now,
                 std::vector<TokenSource> sources = {TokenSource{}},
                 const std::string& target = "/", ProviderSet providers = UINT32_MAX) {
  std::string bytes = "GET " + target + " HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n";
  http::RequestHead head;
  http::Parser parser;
  EXPECT_EQ(parser.parse_request({bytes.data(), bytes.size()}, head), http::Rule::none);
  Attempt attempt;
  const Acceptance acceptance{providers, sources};
  Asked asked;
  asked.first = authenticator.look_up(acceptance, head.fields, head.query, when, attempt);
  if (asked.first == Authenticator::Progress::unknown)
    authenticator.verify(acceptance, when, attempt);
  asked.refusal = attempt.examined.refusal;
  if (asked.refusal == Refusal::none) asked.subject = attempt.examined.principal.subject();
  return asked;
}

}  // namespace sluice::auth
