// What other people's tokens and key sets look like, and what of it is taken: numbers and white
// space, claims with any name, nested or as lists, long tokens, sets with keys that are not for us.
#include <gtest/gtest.h>

#include "auth/base64url.h"
#include "auth/claims.h"
#include "auth/jwks.h"
#include "auth_judge.h"

namespace sluice::auth {
namespace {

Refusal of_payload(const std::string& body) { return verdict(raw(good_header, body)); }

TEST(Dates, fraction_and_exponent_are_numeric_dates) {
  for (const char* exp :
       {"1700000100.5", "1700000100.0", "1.7000001e9", "17000001e2", "1700000100"})
    EXPECT_EQ(of_payload(std::string{R"({"exp":)"} + exp + "}"), Refusal::none) << exp;
  EXPECT_EQ(of_payload(R"({"exp":1700000100,"iat":1699999990.123456,"nbf":1699999990.123456})"),
            Refusal::none);
  // Against the token: it ends with the second that has begun, and starts with the next.
  Provider exact;
  exact.skew = std::chrono::seconds{0};
  Judge judge{{exact}};
  judge.with_secret();
  EXPECT_EQ(judge(raw(good_header, R"({"exp":1700000000.9})")), Refusal::expired);
  EXPECT_EQ(judge(raw(good_header, R"({"exp":1700000001.0})")), Refusal::none);
  EXPECT_EQ(judge(raw(good_header, R"({"exp":1700000100,"nbf":1700000000.1})")), Refusal::not_yet);
}

TEST(Json, numbers_that_nobody_reads_may_be_any) {
  for (const char* number :
       {"12345678901234567890123", "-12345678901234567890123", "1e999", "-1E+400",
        "0.1234567890123456789012345", "3.0e-500", "18446744073709551616"}) {
    EXPECT_EQ(of_payload(payload(std::string{R"(,"n":)"} + number)), Refusal::none) << number;
    EXPECT_EQ(of_payload(payload(std::string{R"(,"n":[)"} + number + "," + number + "]")),
              Refusal::none)
        << number;
  }
  EXPECT_EQ(of_payload(payload(R"(,"a\"1e999":"1e999,\\","n":1e999)")), Refusal::none)
      << "texts stay as they are";
  for (const char* number : {"0123456789012345678901", "1e", "1.e999", "--1e999", "1e999.5",
                             "+1e999", "12345678901234567890123x"})
    EXPECT_EQ(of_payload(payload(std::string{R"(,"n":)"} + number)), Refusal::json) << number;
  Judge judge;
  judge.with_secret();
  EXPECT_EQ(judge.examine(raw(good_header, payload(R"(,"level":1e999)"))).principal.claim(2), "");
}

TEST(Json, null_is_absent) {
  EXPECT_EQ(verdict(raw(R"({"alg":"HS256","typ":null,"kid":null})", payload(R"(,"nbf":null)"))),
            Refusal::none);
  EXPECT_EQ(of_payload(payload(R"(,"iss":null,"jti":null,"iat":null,"aud":null,"tenant":null)")),
            Refusal::none);
  EXPECT_EQ(verdict(raw(R"({"alg":null})", payload())), Refusal::algorithm);
  EXPECT_EQ(verdict(raw(R"({"alg":"HS256","crit":null})", payload())), Refusal::critical);
}

// Parsers behind us trim: " admin" would be admin there.
TEST(Identity, claim_that_is_no_field_is_refused_and_never_trimmed) {
  for (const char* sub : {" alice", "alice ", "\\talice", "alice\\n", "a\\u0000b", "a\\u007fb",
                          "a\\u0085b", "\\u00a0alice", "alice\\u00a0", "alice\\u2028",
                          "\\ufeffalice", "alice\\u3000", "\\u200balice"}) {
    EXPECT_EQ(of_payload(std::string{R"({"sub":")"} + sub + R"(","exp":1700000100})"),
              Refusal::claim_bytes)
        << sub;
    EXPECT_EQ(of_payload(payload(std::string{R"(,"tenant":")"} + sub + "\"")), Refusal::claim_bytes)
        << sub;
    EXPECT_EQ(of_payload(payload(std::string{R"(,"nobody_asks":")"} + sub + "\"")), Refusal::none)
        << sub;
  }
  for (const char* sub : {"", "a b", "J\xc3\xbcrgen \xc3\xa0", "a\\u00a0b", "\xe6\x9d\x8e"})
    EXPECT_EQ(of_payload(std::string{R"({"sub":")"} + sub + R"(","exp":1700000100})"),
              Refusal::none)
        << sub;
  EXPECT_EQ(reason_code(Refusal::claim_bytes), "jwt.claim_bytes");
}

TEST(Identity, list_is_checked_in_whole) {
  Provider provider;
  provider.audiences = {"api"};
  Judge judge{{provider}, {{.roles_any = {"admin"}}, {.claims = {{"groups", "staff"}}}}};
  judge.with_secret();
  const auto examine = [&](const std::string& more) {
    return judge.examine(raw(good_header, payload(more)));
  };
  for (const char* aud : {R"(["api",7])", R"(["api",["x"]])", R"(["api",null])", R"([{},"api"])"})
    EXPECT_EQ(examine(std::string{R"(,"aud":)"} + aud).refusal, Refusal::claim_type) << aud;
  const std::string aud = R"(,"aud":["x","api"])";
  EXPECT_EQ(examine(aud + R"(,"roles":["admin"],"groups":["eu","staff"])").principal.meets, 3U);
  EXPECT_EQ(examine(aud + R"(,"roles":["admin",{}],"groups":["staff",[]])").principal.meets, 0U);
  EXPECT_EQ(examine(aud + R"(,"tenant":["a",{}])").refusal, Refusal::claim_type);
  for (const char* list : {R"(["a,root"])", R"(["a"," b"])", R"(["a",""])", R"(["a","b\n"])"})
    EXPECT_EQ(examine(aud + R"(,"tenant":)" + list).refusal, Refusal::claim_bytes) << list;
}

TEST(Claims, list_is_one_field_with_commas) {
  Judge judge;
  judge.with_secret();
  const auto tenant = [&](const std::string& value) {
    return std::string{
        judge.examine(raw(good_header, payload(R"(,"tenant":)" + value))).principal.claim(1)};
  };
  EXPECT_EQ(tenant(R"(["staff","eu",7,true])"), "staff,eu,7,true");
  EXPECT_EQ(tenant(R"([])"), "");
  EXPECT_EQ(tenant(R"({"a":"b"})"), "");
}

// Judges with claims of these names.
Examined with_claims(const std::vector<std::string>& names, const std::string& more,
                     Provider provider = {}, std::vector<Requirement> requirements = {}) {
  KeySnapshot snapshot{.keys = {{make_secret_key(Algorithm::hs256, std::string{secret})}},
                       .api_keys = {{}}};
  const std::vector<Provider> providers{std::move(provider)};
  TokenVerifier verifier{{.providers = providers, .claims = names, .requirements = requirements}};
  verifier.adopt(snapshot);
  Examined examined;
  verifier.examine(raw(good_header, payload(more)), 1, now, examined);
  return examined;
}

TEST(Claims, names_are_taken_as_they_are_and_nested_ones_by_the_way_to_them) {
  const std::string way = std::string{"realm_access"} + claim_separator + "roles";
  const std::vector<std::string> names{"sub", "https://app.example/tenant", "custom:tenant_id",
                                       way,   "realm_access.roles",         "a.b"};
  const Examined examined = with_claims(names, R"(,"https://app.example/tenant":"t1",
      "custom:tenant_id":"t2","realm_access":{"roles":["x","y"]},"a.b":"plain","a":{"b":"nested"})");
  ASSERT_EQ(examined.refusal, Refusal::none);
  const char* const wanted[] = {"alice", "t1", "t2", "x,y", "x,y", "plain"};
  for (unsigned claim = 0; claim < names.size(); ++claim)
    EXPECT_EQ(examined.principal.claim(claim), wanted[claim]) << names[claim];
  EXPECT_EQ(claim_in_words(way), "realm_access.roles");
  Provider keycloak;
  keycloak.roles_claim = way;
  const std::vector<Requirement> requirements{{.roles_any = {"admin"}}, {.claims = {{way, "x"}}}};
  EXPECT_EQ(
      with_claims({"sub"}, R"(,"realm_access":{"roles":["x","admin"]})", keycloak, requirements)
          .principal.meets,
      3U);
  EXPECT_EQ(
      with_claims({"sub"}, R"(,"realm_access":["admin"],"roles":["admin"])", keycloak, requirements)
          .principal.meets,
      0U);
}

TEST(Claims, claim_without_room_is_left_out_or_refused_as_the_provider_says) {
  Provider provider;
  const std::vector<std::string> names{"sub", "big", "small"};
  const std::string big = std::string(3000, 'x');
  const std::string more = R"(,"big":[")" + big + R"(",")" + big + R"("],"small":"s","n":1)";
  const Examined left_out = with_claims(names, more, provider);
  EXPECT_EQ(left_out.refusal, Refusal::none);
  EXPECT_EQ(left_out.claims_omitted, 1);
  EXPECT_EQ(left_out.principal.claim(1), "");
  EXPECT_EQ(left_out.principal.claim(2), "s");
  provider.on_too_long = TooLong::refuse;
  EXPECT_EQ(with_claims(names, more, provider).refusal, Refusal::claim_too_long);
  EXPECT_EQ(status_of(Refusal::claim_too_long), 431);
  EXPECT_EQ(with_claims(names, R"(,"big":")" + big + "\"", provider).principal.claim(1), big)
      << "4 KiB have room";
  EXPECT_EQ(of_payload(R"({"sub":")" + std::string(513, 'x') + R"(","exp":1700000100})"),
            Refusal::claim_too_long)
      << "a subject is never left out";
}

TEST(Sizes, token_of_200_groups_is_good_and_the_bound_is_the_providers) {
  std::string groups;
  for (int i = 0; i < 200; ++i)
    groups += (groups.empty() ? "\"" : ",\"") + std::string(36, 'g') + "\"";
  const std::string text = raw(good_header, payload(R"(,"groups":[)" + groups + "]"));
  EXPECT_GT(text.size(), 10'000U);
  EXPECT_EQ(verdict(text), Refusal::none);
  Provider small, large;
  small.token_bytes = 1000;
  small.issuers = {{"small"}};
  large.issuers = {{"large"}};
  large.token_bytes = 20'000;
  Judge judge{{small, large}};
  judge.with(make_secret_key(Algorithm::hs256, std::string{secret}), 0)
      .with(make_secret_key(Algorithm::hs256, std::string{secret}), 1);
  const auto of = [&](const char* issuer, size_t bytes) {
    return judge(raw(good_header, payload(std::string{R"(,"iss":")"} + issuer + R"(","p":")" +
                                          std::string(bytes, 'p') + "\"")));
  };
  EXPECT_EQ(of("small", 100), Refusal::none);
  EXPECT_EQ(of("small", 1000), Refusal::too_long);
  EXPECT_EQ(of("large", 14'000), Refusal::none);
  EXPECT_EQ(of("large", 15'000), Refusal::too_long);
}

TEST(Issuers, list_and_pattern_of_tenants) {
  const auto fits = [](const char* pattern, const char* text) {
    return is_of({pattern, Issuer::Kind::pattern}, text);
  };
  const char* entra = "https://login.example/*/v2.0";
  EXPECT_TRUE(fits(entra, "https://login.example/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0"));
  for (const char* text :
       {"https://login.example//v2.0", "https://login.example/a/b/v2.0",
        "https://login.example/a/v2.0/", "https://login.example/a/v2.0x", "https://evil/a/v2.0",
        "https://login.example/a?/v2.0", "https://login.example/a@b/v2.0", ""})
    EXPECT_FALSE(fits(entra, text)) << text;
  EXPECT_TRUE(fits("https://*.id.example/*", "https://a.b.id.example/t"));
  EXPECT_FALSE(fits("https://*.id.example/", "https://evil.com/.id.example/"));
  Provider tenants, one;
  tenants.issuers = {{"https://id.example/*", Issuer::Kind::pattern}, {"accounts.example"}};
  one.issuers = {{"https://id.example/special"}};
  Judge judge{{tenants, one}};
  judge.with(make_secret_key(Algorithm::hs256, "t"), 0)
      .with(make_secret_key(Algorithm::hs256, "o"), 1);
  const auto of = [&](const char* issuer, const char* with, ProviderSet providers = 3) {
    return judge
        .examine(mint_raw(good_header, payload(std::string{R"(,"iss":")"} + issuer + "\""),
                          signing_secret(with)),
                 now, providers)
        .refusal;
  };
  EXPECT_EQ(of("https://id.example/any", "t"), Refusal::none);
  EXPECT_EQ(of("accounts.example", "t"), Refusal::none);
  EXPECT_EQ(of("https://id.example/special", "o"), Refusal::none) << "the exact one comes first";
  EXPECT_EQ(of("https://id.example/special", "t"), Refusal::signature);
  EXPECT_EQ(of("https://id.example/special", "t", 1), Refusal::none);
  EXPECT_EQ(of("https://id.example/", "t"), Refusal::issuer);
}

TEST(Issuers, discovered_one_is_nobody_until_it_is_known) {
  Provider provider;
  provider.issuer_source = IssuerSource::discovered;
  Judge judge{{provider}};
  judge.with_secret();
  const std::string text = raw(good_header, payload(R"(,"iss":"https://id.example")"));
  EXPECT_EQ(judge(text), Refusal::no_keys) << "not anybody, as without discovery";
  judge.snapshot().issuers = {{{"https://id.example"}}};
  judge.authenticator().adopt(judge.snapshot());
  EXPECT_EQ(judge(text), Refusal::none);
  EXPECT_EQ(judge(raw(good_header, payload(R"(,"iss":"https://evil.example")"))), Refusal::issuer);
}

TEST(Audience, may_stand_in_another_claim) {
  Provider cognito;
  cognito.audiences = {"app"};
  Judge strict{{cognito}};
  strict.with_secret();
  cognito.audience_claim = "client_id";
  Judge judge{{cognito}};
  judge.with_secret();
  const std::string text = raw(good_header, payload(R"(,"client_id":"app")"));
  EXPECT_EQ(judge(text), Refusal::none);
  EXPECT_EQ(strict(text), Refusal::audience) << "only where it is said";
  EXPECT_EQ(judge(raw(good_header, payload(R"(,"client_id":"other","aud":"app")"))),
            Refusal::audience);
}

TEST(Algorithms, ed25519_is_a_name_of_its_own) {
  EXPECT_EQ(parse_algorithm("Ed25519"), Algorithm::eddsa);
  EXPECT_EQ(parse_algorithm("ed25519"), std::nullopt);
  const SigningKey& key = pair(Algorithm::eddsa);
  std::string jwk = to_jwk(Algorithm::eddsa, key.pkey.get(), "a");
  jwk.replace(jwk.find("EdDSA"), 5, "Ed25519");
  const std::array<Algorithm, 1> allowed{Algorithm::eddsa};
  const auto reading = read_jwks("{\"keys\":[" + jwk + "]}", allowed, KeySetOrigin::url);
  ASSERT_EQ(reading.keys.size(), 1U) << reading.complaint;
  Judge judge{{provider_of({Algorithm::eddsa})}};
  judge.with(reading.keys[0]);
  for (const char* name : {"EdDSA", "Ed25519"})
    EXPECT_EQ(judge(mint_raw(std::string{R"({"alg":")"} + name + "\"}", payload(), key)),
              Refusal::none)
        << name;
}

// --- key sets --------------------------------------------------------------------------------

std::string jwk_of(Algorithm algorithm, const char* kid, bool names_algorithm = true) {
  std::string jwk = to_jwk(algorithm, pair(algorithm).pkey.get(), kid);
  if (names_algorithm) return jwk;
  const std::string alg = "\"alg\":\"" + std::string{to_string(algorithm)} + "\",";
  return jwk.erase(jwk.find(alg), alg.size());
}

TEST(KeySet, keys_that_are_not_for_us_are_passed_over_and_named) {
  const std::string good = jwk_of(Algorithm::rs256, "k1");
  const std::vector<Algorithm> allowed{Algorithm::rs256};
  const std::pair<std::string, const char*> table[] = {
      {jwk_of(Algorithm::es256, "x"), "ES256 is not among those that are allowed"},
      {jwk_of(Algorithm::ps256, "x"), "PS256 is not among those that are allowed"},
      {R"({"kty":"EC","crv":"secp256k1","x":"AA","y":"AA","alg":"ES256K"})", "is not supported"},
      {R"({"kty":"OKP","crv":"Ed448","x":"AAAA","kid":"x","alg":"EdDSA"})", "does not fit"},
      {R"({"kty":"OKP","crv":"X25519","x":"AAAA","kid":"x"})", "no algorithm that is allowed"},
      {R"({"kty":"AKP","alg":"ML-DSA-44","pub":"AAAA","kid":"x"})", "is not supported"},
      {R"({"kty":"NEW","kid":"x"})", "no algorithm that is allowed"},
      {R"({"kid":"x"})", "it has no kty"},
      {R"({"kty":"RSA","n":"AQAB","kid":"x"})", "n or e is missing"},
      {R"({"kty":"RSA","alg":"RS256","n":"_____w","e":"AQAB"})", "at least 2048"},
      {R"({"kty":"RSA","use":"enc","n":"AA","e":"AQAB"})", "it is not for signatures"},
      {R"({"kty":"RSA","alg":"RSA-OAEP-256","n":"AA","e":"AQAB"})", "is not supported"},
      {R"({"kty":"RSA","kid":7,"n":"AA","e":"AQAB"})", "its kid is no text"},
      {"7", "is no object"},
      {good, "another key has this kid"},
  };
  for (const auto& [other, why] : table) {
    for (const std::string& set :
         {"{\"keys\":[" + good + "," + other + "]}", "{\"keys\":[" + other + "," + good + "]}"}) {
      const auto reading = read_jwks(set, allowed, KeySetOrigin::url);
      EXPECT_TRUE(reading.complaint.empty()) << reading.complaint;
      EXPECT_EQ(reading.usable, 1U) << other;
      ASSERT_EQ(reading.passed_over.size(), 1U) << other;
      EXPECT_NE(reading.passed_over[0].find(why), std::string::npos) << reading.passed_over[0];
      Judge judge{{provider_of(allowed)}};
      for (const SharedKey& key : reading.keys) judge.with(key);
      SigningKey signer = {.algorithm = Algorithm::rs256, .kid = "k1"};
      EVP_PKEY_up_ref(pair(Algorithm::rs256).pkey.get());
      signer.pkey.reset(pair(Algorithm::rs256).pkey.get());
      EXPECT_EQ(judge(mint_raw(R"({"alg":"RS256","kid":"k1"})", payload(), signer)), Refusal::none);
    }
    if (other == good) continue;
    const auto alone = read_jwks("{\"keys\":[" + other + "]}", allowed, KeySetOrigin::url);
    EXPECT_NE(alone.complaint.find(why), std::string::npos) << alone.complaint;
  }
}

TEST(KeySet, coordinate_without_its_leading_zero_is_passed_over) {
  const std::string good = jwk_of(Algorithm::es256, "k1");
  const auto reading = read_jwks(
      "{\"keys\":[" + good +
          R"(,{"kty":"EC","crv":"P-256","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]})",
      std::vector{Algorithm::es256}, KeySetOrigin::url);
  EXPECT_EQ(reading.usable, 1U);
  EXPECT_EQ(reading.passed_over.size(), 1U);
}

TEST(KeySet, same_kid_on_several_keys_is_told_apart_by_kind_and_algorithm) {
  const std::vector<Algorithm> allowed{Algorithm::rs256, Algorithm::es256, Algorithm::eddsa};
  std::string set;
  for (const Algorithm algorithm : allowed)
    set += (set.empty() ? "" : ",") + jwk_of(algorithm, "same");
  const auto reading = read_jwks("{\"keys\":[" + set + "]}", allowed, KeySetOrigin::url);
  EXPECT_EQ(reading.usable, 3U);
  Judge judge{{provider_of(allowed)}};
  for (const SharedKey& key : reading.keys) judge.with(key);
  for (const Algorithm algorithm : allowed) {
    const std::string header =
        R"({"kid":"same","alg":")" + std::string{to_string(algorithm)} + "\"}";
    EXPECT_EQ(judge(mint_raw(header, payload(), pair(algorithm))), Refusal::none)
        << to_string(algorithm);
  }
}

TEST(KeySet, key_without_an_algorithm_is_for_every_allowed_one_that_fits) {
  const std::vector<Algorithm> allowed{Algorithm::ps256, Algorithm::rs256, Algorithm::rs512,
                                       Algorithm::es256};
  const auto reading = read_jwks("{\"keys\":[" + jwk_of(Algorithm::rs256, "k", false) + "]}",
                                 allowed, KeySetOrigin::url);
  EXPECT_EQ(reading.usable, 1U);
  const auto pem = make_pem_keys(to_public_pem(pair(Algorithm::rs256)), allowed);
  for (const SharedKeys& keys : {reading.keys, std::get<SharedKeys>(pem)}) {
    ASSERT_EQ(keys.size(), 3U);
    Judge judge{{provider_of(allowed)}};
    for (const SharedKey& key : keys) judge.with(key);
    for (const Algorithm algorithm : {Algorithm::rs256, Algorithm::ps256, Algorithm::rs512}) {
      EVP_PKEY_up_ref(pair(Algorithm::rs256).pkey.get());
      const SigningKey key{.algorithm = algorithm, .pkey = Pkey{pair(Algorithm::rs256).pkey.get()}};
      EXPECT_EQ(judge(mint_raw(R"({"kid":"k","alg":")" + std::string{to_string(algorithm)} + "\"}",
                               payload(), key)),
                Refusal::none)
          << to_string(algorithm);
    }
    EVP_PKEY_up_ref(pair(Algorithm::rs256).pkey.get());
    const SigningKey other{.algorithm = Algorithm::rs384,
                           .pkey = Pkey{pair(Algorithm::rs256).pkey.get()}};
    EXPECT_EQ(judge(mint_raw(R"({"kid":"k","alg":"RS384"})", payload(), other)), Refusal::algorithm)
        << "which is not allowed";
  }
}

TEST(KeySet, without_a_kid_sixteen_keys_are_tried_and_the_bound_is_said) {
  Judge judge;
  for (int i = 0; i < 20; ++i)
    judge.with(
        make_secret_key(Algorithm::hs256, "secret " + std::to_string(i), "k" + std::to_string(i)));
  const auto with = [&](int number, const std::string& header) {
    return judge(mint_raw(header, payload(), signing_secret("secret " + std::to_string(number))));
  };
  EXPECT_EQ(with(15, good_header), Refusal::none);
  EXPECT_EQ(with(16, good_header), Refusal::kid_needed);
  EXPECT_EQ(with(16, R"({"alg":"HS256","kid":"k16"})"), Refusal::none);
  EXPECT_EQ(with(15, R"({"alg":"HS256","kid":"k16"})"), Refusal::signature);
  EXPECT_EQ(reason_code(Refusal::kid_needed), "jwt.kid_needed");
}

TEST(KeySet, short_secret_is_a_warning_or_passed_over_as_in_the_configuration) {
  const char* set = R"({"keys":[{"kty":"oct","alg":"HS256","k":"c2VjcmV0"}]})";
  const std::vector<Algorithm> allowed{Algorithm::hs256};
  const auto lenient = read_jwks(set, allowed, KeySetOrigin::file);
  EXPECT_EQ(lenient.usable, 1U);
  EXPECT_TRUE(lenient.holds_secrets);
  ASSERT_EQ(lenient.warnings.size(), 1U);
  EXPECT_NE(lenient.warnings[0].find("the secret has 6 bytes; HS256 wants 32"), std::string::npos);
  const auto strict = read_jwks(set, allowed, KeySetOrigin::file, KeyStrength::strict);
  EXPECT_NE(strict.complaint.find("the secret has 6 bytes"), std::string::npos);
}

// --- where tokens come from ------------------------------------------------------------------

TEST(TokenSources, field_and_subprotocol_hold_tokens) {
  using Kind = TokenSource::Kind;
  Judge judge;
  Authenticator& authenticator = judge.with_secret().authenticator();
  const std::vector<TokenSource> sources{
      {}, {Kind::field, "Cf-Access-Jwt-Assertion"}, {Kind::protocol, "bearer"}};
  const auto refusal = [&](const std::string& fields) {
    return ask(authenticator, fields, now, sources).refusal;
  };
  EXPECT_EQ(refusal("cf-access-jwt-assertion: " + token() + "\r\n"), Refusal::none);
  EXPECT_EQ(refusal("Cf-Access-Jwt-Assertion: Bearer " + token() + "\r\n"), Refusal::none);
  EXPECT_EQ(refusal("Cf-Access-Jwt-Assertion:\r\n"), Refusal::missing);
  EXPECT_EQ(refusal("Sec-WebSocket-Protocol: app.v1, bearer, " + token() + "\r\n"), Refusal::none);
  EXPECT_EQ(
      refusal("Sec-WebSocket-Protocol: bearer\r\nSec-WebSocket-Protocol: " + token() + "\r\n"),
      Refusal::none);
  EXPECT_EQ(refusal("Sec-WebSocket-Protocol: app.v1, bearer\r\n"), Refusal::missing);
  EXPECT_EQ(refusal("Sec-WebSocket-Protocol: bearer, " + token() + ", bearer, x\r\n"),
            Refusal::duplicate);
  EXPECT_EQ(refusal("Sec-WebSocket-Protocol: bearer, " + token() + "\r\nAuthorization: Bearer " +
                    token() + "\r\n"),
            Refusal::several);
}

TEST(TokenSources, token_is_taken_out_of_the_subprotocols) {
  const auto left = [](std::string list) {
    return std::string{remove_protocol_token(list, list.data(), "bearer")};
  };
  EXPECT_EQ(left("app.v1, bearer, TOKEN"), "app.v1,bearer");
  EXPECT_EQ(left("bearer,TOKEN,app.v1"), "bearer,app.v1");
  EXPECT_EQ(left("bearer, TOKEN"), "bearer");
  EXPECT_EQ(left("a,,b"), "a,b");
}

}  // namespace
}  // namespace sluice::auth
