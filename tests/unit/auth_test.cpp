#include <gtest/gtest.h>

#include "auth/authenticator.h"
#include "auth/base64url.h"
#include "auth/mint.h"
#include "core/random.h"
#include "http/parser.h"

namespace sluice::auth {
namespace {

constexpr std::string_view secret = "mysecret";
const EpochSeconds now{std::chrono::seconds{1'700'000'000}};
const std::string good_header = R"({"alg":"HS256","typ":"JWT"})";

std::string payload(const std::string& more = "") { return R"({"sub":"alice","exp":1700000100)" + more + "}"; }
std::string raw(const std::string& header, const std::string& body) { return mint_raw(header, body, secret, HmacAlgorithm::hs256); }
std::string token() { return raw(good_header, payload()); }

Refusal verdict(const std::string& text, EpochSeconds when = now) {
  TokenVerifier verifier{{.secret = std::string{secret}}};
  return verifier.verify(text, when).refusal;
}

TEST(TokenVerifier, rfc_7515_appendix_a1_verifies) {
  std::array<unsigned char, 64> key;
  ASSERT_EQ(base64url_decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow", key), 64U);
  TokenVerifier verifier{{.secret = std::string{reinterpret_cast<const char*>(key.data()), key.size()}}};
  const std::string text =
      "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
      "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
      ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
  EXPECT_EQ(verifier.verify(text, EpochSeconds{std::chrono::seconds{1300819379}}).refusal, Refusal::none);
  EXPECT_EQ(verifier.verify(text, now).refusal, Refusal::expired);
}

TEST(TokenVerifier, every_algorithm_is_verified_with_its_own_digest) {
  for (const HmacAlgorithm algorithm : {HmacAlgorithm::hs256, HmacAlgorithm::hs384, HmacAlgorithm::hs512}) {
    const std::string text =
        mint({.secret = secret, .algorithm = algorithm, .subject = "bob", .issued_at = now, .expires = now + std::chrono::hours{1}});
    TokenVerifier verifier{{.secret = std::string{secret}}};
    const Verification verification = verifier.verify(text, now);
    EXPECT_EQ(verification.refusal, Refusal::none);
    EXPECT_EQ(verification.principal.subject(), "bob");
    TokenVerifier other{
        {.secret = std::string{secret}, .algorithms = {algorithm == HmacAlgorithm::hs256 ? HmacAlgorithm::hs384 : HmacAlgorithm::hs256}}};
    EXPECT_EQ(other.verify(text, now).refusal, Refusal::algorithm) << "the key says which algorithm, not the token";
  }
}

TEST(TokenVerifier, each_fault_has_its_reason) {
  EXPECT_EQ(verdict(token()), Refusal::none);
  EXPECT_EQ(verdict(raw(R"({"alg":"none"})", payload())), Refusal::algorithm);
  EXPECT_EQ(verdict(raw(R"({"alg":"RS256"})", payload())), Refusal::algorithm);
  EXPECT_EQ(verdict(raw(R"({"alg":"hs256"})", payload())), Refusal::algorithm);
  EXPECT_EQ(verdict(raw(R"({"alg":["HS256"]})", payload())), Refusal::algorithm);
  EXPECT_EQ(verdict(raw(R"({"typ":"JWT"})", payload())), Refusal::algorithm);
  EXPECT_EQ(verdict(raw(R"({"alg":"HS256","crit":["x"]})", payload())), Refusal::critical);
  EXPECT_EQ(verdict(raw(R"({"alg":"none","alg":"HS256"})", payload())), Refusal::duplicate_member);
  EXPECT_EQ(verdict(raw(good_header, payload(R"(,"sub":"eve")"))), Refusal::duplicate_member);
  EXPECT_EQ(verdict(raw(good_header, payload(R"(,"s\u0075b":"eve")"))), Refusal::duplicate_member) << "compared after unescaping";
  EXPECT_EQ(verdict(raw(good_header, payload(R"(,"a":{"b":1,"b":2})"))), Refusal::duplicate_member);
  EXPECT_EQ(verdict(raw(good_header, payload(R"(,"a":[[[[[[[[[1]]]]]]]]])"))), Refusal::malformed) << "too deep";
  EXPECT_EQ(verdict(raw(good_header, payload() + " x")), Refusal::malformed);
  EXPECT_EQ(verdict(raw(good_header, "[" + payload() + "]")), Refusal::malformed);
  EXPECT_EQ(verdict(raw(good_header, "")), Refusal::malformed);
  EXPECT_EQ(verdict(raw(good_header, R"({"sub":"alice"})")), Refusal::no_expiry);
  EXPECT_EQ(verdict(raw(good_header, R"({"exp":"1700000100"})")), Refusal::claim_type);
  EXPECT_EQ(verdict(raw(good_header, R"({"exp":1700000100.5})")), Refusal::claim_type);
  EXPECT_EQ(verdict(raw(good_header, R"({"exp":-1})")), Refusal::claim_type);
  EXPECT_EQ(verdict(raw(good_header, R"({"exp":9007199254740993})")), Refusal::claim_type);
  EXPECT_EQ(verdict(raw(good_header, R"({"exp":null})")), Refusal::claim_type);
  EXPECT_EQ(verdict(raw(good_header, payload(R"(,"nbf":1700000031)"))), Refusal::not_yet);
  EXPECT_EQ(verdict(raw(good_header, payload(R"(,"nbf":1700000030)"))), Refusal::none) << "30 s of skew";
  EXPECT_EQ(verdict(mint_raw(good_header, payload(), "another secret", HmacAlgorithm::hs256)), Refusal::signature);
}

TEST(TokenVerifier, expiry_is_exact) {
  EXPECT_EQ(verdict(token(), EpochSeconds{std::chrono::seconds{1'700'000'129}}), Refusal::none);
  EXPECT_EQ(verdict(token(), EpochSeconds{std::chrono::seconds{1'700'000'130}}), Refusal::expired);
}

TEST(TokenVerifier, any_changed_byte_is_refused) {
  const std::string text = token();
  for (size_t i = 0; i < text.size(); ++i) {
    for (const char c : {'A', 'B', '_', '=', '+', '/', '.', ' ', '\0', '\xff'}) {
      if (text[i] == c) continue;
      std::string changed = text;
      changed[i] = c;
      EXPECT_NE(verdict(changed), Refusal::none) << i << " " << static_cast<int>(c);
    }
  }
  for (const std::string& form : {text + ".", "." + text, text + "=", text.substr(0, text.size() - 1), text + "A", std::string{".."},
                                  std::string{"a.b"}, std::string{}}) {
    EXPECT_NE(verdict(form), Refusal::none) << form;
  }
  EXPECT_EQ(verdict(text + std::string(9000, 'a')), Refusal::too_long);
}

TEST(Base64url, only_the_canonical_text_is_decoded) {
  core::Random random{5};
  for (int i = 0; i < 2000; ++i) {
    std::vector<unsigned char> bytes(random.below(40));
    for (auto& byte : bytes) byte = static_cast<unsigned char>(random.next());
    const std::string text = base64url_encode(bytes);
    std::array<unsigned char, 64> out;
    ASSERT_EQ(base64url_decode(text, out), bytes.size());
    EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), out.begin()));
  }
  std::array<unsigned char, 8> out;
  for (const char* text : {"A", "AA=", "AA==", "AB", "AAB", "A+AA", "A/AA", "AA A", "AAAAA"})
    EXPECT_FALSE(base64url_decode(text, out)) << text;
  EXPECT_FALSE(base64url_decode("AAAAAAAAAAAAAAAA", out)) << "no room";
}

Authenticator::Outcome authenticate(Authenticator& authenticator, const std::string& fields, EpochSeconds when = now) {
  std::string bytes = "GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n";
  http::RequestHead head;
  http::Parser parser;
  EXPECT_EQ(parser.parse_request({bytes.data(), bytes.size()}, head), http::Rule::none);
  return authenticator.authenticate(head.fields, when);
}

TEST(Authenticator, field_is_exactly_one_bearer_token) {
  Authenticator authenticator{{.verifier = {.secret = std::string{secret}}}};
  const auto refusal = [&](const std::string& fields) { return authenticate(authenticator, fields).refusal; };
  EXPECT_EQ(refusal(""), Refusal::missing);
  EXPECT_EQ(refusal("Authorization: Bearer " + token() + "\r\n"), Refusal::none);
  EXPECT_EQ(refusal("authorization: bEARER " + token() + "\r\n"), Refusal::none);
  EXPECT_EQ(refusal("Authorization: Bearer " + token() + "\r\nAuthorization: Bearer " + token() + "\r\n"), Refusal::duplicate);
  EXPECT_EQ(refusal("Authorization: Basic YTpi\r\n"), Refusal::scheme);
  EXPECT_EQ(refusal("Authorization: Bearer\r\n"), Refusal::malformed);
  EXPECT_EQ(refusal("Authorization: Bearer  " + token() + "\r\n"), Refusal::malformed) << "two spaces";
  EXPECT_EQ(refusal("Authorization: Bearer " + token() + " x\r\n"), Refusal::malformed);
  EXPECT_EQ(refusal("Authorization: " + token() + "\r\n"), Refusal::scheme);
}

TEST(Authenticator, remembered_token_is_the_same_token_and_still_expires) {
  Authenticator authenticator{{.verifier = {.secret = std::string{secret}}, .cache_entries = 4, .cache_ttl = std::chrono::seconds{60}}};
  const std::string field = "Authorization: Bearer " + token() + "\r\n";
  EXPECT_EQ(authenticate(authenticator, field).principal.subject(), "alice");
  EXPECT_EQ(authenticate(authenticator, field).principal.subject(), "alice");
  EXPECT_EQ(authenticator.cache_counters().hits.get(), 1U);
  std::string forged = token();
  forged.back() = forged.back() == 'A' ? 'E' : 'A';
  EXPECT_NE(authenticate(authenticator, "Authorization: Bearer " + forged + "\r\n").refusal, Refusal::none);
  EXPECT_EQ(authenticate(authenticator, field, EpochSeconds{std::chrono::seconds{1'700'000'130}}).refusal, Refusal::expired);
  // More tokens than there is room for: all are answered right.
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 20; ++i) {
      const std::string text = raw(good_header, R"({"sub":"u)" + std::to_string(i) + R"(","exp":1700000100})");
      EXPECT_EQ(authenticate(authenticator, "Authorization: Bearer " + text + "\r\n").principal.subject(), "u" + std::to_string(i));
    }
  }
  EXPECT_GT(authenticator.cache_counters().evictions.get(), 0U);
}

}  // namespace
}  // namespace sluice::auth
