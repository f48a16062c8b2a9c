// A token gets the same answer on every route as if it had never been seen: what is remembered is
// held against a fresh look, over random routes, providers, tokens, times and changes of keys.
#include <gtest/gtest.h>

#include "auth_judge.h"
#include "core/random.h"

namespace sluice::auth {
namespace {

struct World {
  std::vector<Provider> providers;
  std::vector<Requirement> requirements{{.scopes = {"read"}}, {.roles_any = {"admin"}}};
  std::vector<std::string> claims{"sub", "tenant"};
  std::vector<std::unique_ptr<KeySnapshot>> snapshots;

  [[nodiscard]] std::unique_ptr<Authenticator> authenticator() const {
    return std::make_unique<Authenticator>(AuthenticatorOptions{
        .verifier = {.providers = providers, .claims = claims, .requirements = requirements},
        .cache_entries = 16,
        .refused_entries = 16});
  }
};

const char* const issuers[] = {"", "one", "two", "three"};
const char* const secrets[] = {"s0", "s1", "s2"};

World make_world(core::Random& random) {
  World world;
  const size_t count = 2 + random.below(4);
  for (size_t index = 0; index < count; ++index) {
    Provider provider;
    if (const char* name = issuers[random.below(4)]; *name != 0) provider.issuers = {{name}};
    if (random.below(3) == 0) provider.algorithms = {Algorithm::hs512};
    if (random.below(3) == 0) provider.audiences = {"api"};
    if (random.below(4) == 0) provider.roles_claim = "groups";
    if (random.below(4) == 0) provider.kind = CredentialKind::api_key;
    if (random.below(3) == 0) provider.cache_ttl = std::chrono::seconds{1 + random.below(60)};
    world.providers.push_back(std::move(provider));
  }
  return world;
}

KeySnapshot& add_snapshot(World& world, core::Random& random) {
  auto& made = *world.snapshots.emplace_back(std::make_unique<KeySnapshot>());
  made.generation = world.snapshots.size();
  made.keys.resize(world.providers.size());
  made.api_keys.resize(world.providers.size());
  for (auto& keys : made.keys) {
    keys.push_back(make_secret_key(Algorithm::hs256, secrets[random.below(3)]));
    if (random.below(2) == 0)
      keys.push_back(make_secret_key(Algorithm::hs512, secrets[random.below(3)]));
  }
  std::string complaint;
  if (random.below(4) == 0) made.revocations = *Revocations::parse("sub u1\n", complaint);
  return made;
}

std::string random_token(core::Random& random) {
  const bool is_long = random.below(2) == 0;
  const char* issuer = issuers[random.below(4)];
  std::string body = R"({"sub":"u)" + std::to_string(random.below(3)) + "\"";
  if (*issuer != 0) body += std::string{R"(,"iss":")"} + issuer + "\"";
  if (random.below(2) == 0) body += R"(,"aud":"api")";
  if (random.below(2) == 0) body += R"(,"scope":"read")";
  if (random.below(2) == 0) body += R"(,"roles":["admin"])";
  if (random.below(2) == 0) body += R"(,"groups":["admin"])";
  if (random.below(8) == 0) body += R"(,"nbf":1700000040)";
  body += ",\"exp\":" + std::to_string(1'699'999'980 + random.below(120)) + "}";
  return mint_raw(
      is_long ? R"({"alg":"HS512"})" : R"({"alg":"HS256"})", body,
      signing_secret(secrets[random.below(3)], is_long ? Algorithm::hs512 : Algorithm::hs256));
}

struct Answer {
  Refusal refusal;
  uint16_t provider;
  std::string subject;
  uint64_t meets;
  bool operator==(const Answer&) const = default;
};

Answer answer(Authenticator& authenticator, const std::string& text, ProviderSet providers,
              EpochSeconds when) {
  std::string bytes = "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + text + "\r\n\r\n";
  http::RequestHead head;
  http::Parser parser;
  EXPECT_EQ(parser.parse_request({bytes.data(), bytes.size()}, head), http::Rule::none);
  const TokenSource source;
  const Acceptance acceptance{providers, {&source, 1}};
  Attempt attempt;
  if (authenticator.look_up(acceptance, head.fields, head.query, when, attempt) ==
      Authenticator::Progress::unknown)
    authenticator.verify(acceptance, when, attempt);
  const Examined& examined = attempt.examined;
  if (examined.refusal != Refusal::none) return {examined.refusal, 0, "", 0};
  return {examined.refusal, examined.provider, std::string{examined.principal.subject()},
          examined.principal.meets};
}

TEST(TokenCache, remembered_and_fresh_answers_are_equal_over_routes_tokens_and_key_changes) {
  uint64_t remembered = 0;
  for (uint64_t seed = 1; seed <= 25; ++seed) {
    core::Random random{seed};
    World world = make_world(random);
    const auto authenticator = world.authenticator();
    authenticator->adopt(add_snapshot(world, random));
    std::vector<std::string> tokens;
    for (int i = 0; i < 12; ++i) tokens.push_back(random_token(random));
    EpochSeconds when = now;
    for (int step = 0; step < 300; ++step) {
      if (random.below(40) == 0) authenticator->adopt(add_snapshot(world, random));
      if (random.below(4) == 0) when += std::chrono::seconds{random.below(4)};
      const std::string& text = tokens[random.below(tokens.size())];
      const auto providers =
          static_cast<ProviderSet>(random.below(uint64_t{1} << world.providers.size()));
      const auto fresh = world.authenticator();
      fresh->adopt(*world.snapshots.back());
      const Answer wanted = answer(*fresh, text, providers, when);
      const Answer got = answer(*authenticator, text, providers, when);
      ASSERT_EQ(got, wanted) << "seed " << seed << ", step " << step << ": "
                             << reason_code(got.refusal) << " instead of "
                             << reason_code(wanted.refusal) << " of " << text;
    }
    remembered +=
        authenticator->counters().good.hits.get() + authenticator->counters().refused.hits.get();
  }
  EXPECT_GT(remembered, 1000U) << "nothing was remembered, and nothing shown";
}

// `partner` names its issuer, `main` takes any: a token that names partner is partner's wherever
// partner is trusted, and it was signed by main.
TEST(TokenCache, token_that_names_another_issuer_is_not_good_there_because_it_was_good_elsewhere) {
  World world;
  world.providers.resize(2);
  world.providers[1].issuers = {{"partner"}};
  auto& snapshot = *world.snapshots.emplace_back(std::make_unique<KeySnapshot>());
  snapshot.keys = {{make_secret_key(Algorithm::hs256, "main")},
                   {make_secret_key(Algorithm::hs256, "partner")}};
  snapshot.api_keys.resize(2);
  const auto authenticator = world.authenticator();
  authenticator->adopt(snapshot);
  const std::string text =
      mint_raw(good_header, R"({"iss":"partner","exp":1700000100})", signing_secret("main"));
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(answer(*authenticator, text, 0b01, now).refusal, Refusal::none);
    EXPECT_EQ(answer(*authenticator, text, 0b11, now).refusal, Refusal::signature);
    EXPECT_EQ(answer(*authenticator, text, 0b10, now).refusal, Refusal::signature);
  }
}

// The signature was checked on another thread while the keys changed.
TEST(TokenCache, answer_by_keys_of_before_is_not_remembered) {
  World world;
  world.providers.resize(1);
  for (const char* text : {"old", "new"}) {
    auto& made = *world.snapshots.emplace_back(std::make_unique<KeySnapshot>());
    made.keys = {{make_secret_key(Algorithm::hs256, text)}};
    made.api_keys.resize(1);
  }
  const auto authenticator = world.authenticator();
  authenticator->adopt(*world.snapshots[0]);
  const std::string text = mint_raw(good_header, R"({"exp":1700000100})", signing_secret("old"));
  Attempt attempt;
  attempt.token = text;
  authenticator->verifier().examine(text, 1, now, attempt.examined);
  authenticator->verifier().check_signature(attempt.examined);
  authenticator->adopt(*world.snapshots[1]);
  authenticator->settle(now, attempt);
  EXPECT_EQ(attempt.examined.refusal, Refusal::none) << "it was good when it came";
  EXPECT_EQ(answer(*authenticator, text, 1, now).refusal, Refusal::signature);
}

}  // namespace
}  // namespace sluice::auth
