// Tokens, keys and key sets: what is accepted, and the one reason for each refusal.
#include <gtest/gtest.h>

#include <openssl/rsa.h>

#include <functional>

#include "auth/base64url.h"
#include "auth/jwks.h"
#include "auth_judge.h"
#include "core/random.h"

namespace sluice::auth {
namespace {

// --- algorithms and keys ---------------------------------------------------------------------

TEST(TokenVerifier, rfc_7515_appendix_a1_verifies) {
  std::array<unsigned char, 64> key;
  ASSERT_EQ(
      base64url_decode(
          "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
          key),
      64U);
  Judge judge;
  judge.with(
      make_secret_key(Algorithm::hs256, {reinterpret_cast<const char*>(key.data()), key.size()}));
  const std::string text =
      "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
      "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl"
      "fQ"
      ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
  EXPECT_EQ(judge(text, EpochSeconds{std::chrono::seconds{1300819379}}), Refusal::none);
  EXPECT_EQ(judge(text, now), Refusal::expired);
}

// RFC 7515 A.2 (RS256) and A.3 (ES256): key set, token and all as printed there.
TEST(TokenVerifier, rfc_7515_appendices_a2_and_a3_verify) {
  const char* keys =
      R"({"keys":[{"kty":"RSA","alg":"RS256","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"},
    {"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]})";
  const std::vector<Algorithm> allowed{Algorithm::rs256, Algorithm::es256};
  const auto reading = read_jwks(keys, allowed, KeySetOrigin::url);
  ASSERT_TRUE(reading.complaint.empty()) << reading.complaint;
  Judge judge{{provider_of(allowed)}};
  for (const auto& key : reading.keys) judge.with(key);
  const std::string claims =
      "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl"
      "fQ";
  const EpochSeconds then{std::chrono::seconds{1300819379}};
  EXPECT_EQ(judge("eyJhbGciOiJSUzI1NiJ9." + claims +
                      ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-"
                      "0Qc_lF5YKt_"
                      "O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_"
                      "nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_"
                      "eSN9383LcOLn6_dO--xi12jzDwusC-"
                      "eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLI"
                      "hWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
                  then),
            Refusal::none);
  EXPECT_EQ(judge("eyJhbGciOiJFUzI1NiJ9." + claims +
                      ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-"
                      "F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
                  then),
            Refusal::none);
}

// RFC 7520 4.1 to 4.4 sign a text that is no token; keys and signatures hold all the same.
TEST(SignatureChecker, rfc_7520_section_4_verifies) {
  const std::string payload_text =
      "SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250"
      "byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBr"
      "ZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4";
  const std::string rsa =
      R"("kty":"RSA","e":"AQAB","n":"n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw")";
  struct Case {
    Algorithm algorithm;
    std::string key;
    const char* header;
    const char* signature;
  };
  const Case table[] = {
      {Algorithm::rs256, rsa,
       "eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9",
       "MRjdkly7_-"
       "oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PNDi84"
       "wnB-BDkoBwA78185hX-"
       "Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_"
       "qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9UzpERV0ePPQdLuW3IS_"
       "de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ41Axf_"
       "fcIe8u9ipH84ogoree7vjbU5y18kDquDg"},
      {Algorithm::ps384, rsa,
       "eyJhbGciOiJQUzM4NCIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9",
       "cu22eBqkYDKgIlTpzDXGvaFfz6WGoz7fUDcfT0kkOy42miAh2qyBzk1xEsnk2IpN6-"
       "tPid6VrklHkqsGqDqHCdP6O8TTB5dDDItllVo6_"
       "1OLPpcbUrhiUSMxbbXUvdvWXzg-UD8biiReQFlfz28zGWVsdiNAUf8ZnyPEgVFn442ZdNqiVJRmBqrYRXe8P_"
       "ijQ7p8Vdz0TTrxUeT3lm8d9shnr2lfJT8ImUjvAA2Xez2Mlp8cBE5awDzT0qI0n6uiP1aCN_2_"
       "jLAeQTlqRHtfa64QQSUmFAAjVKPbByi7xho0uTOcbH510a6GYmJUAfmWjwZ6oD4ifKo8DYM-X72Eaw"},
      {Algorithm::es512,
       R"("kty":"EC","crv":"P-521","x":"AHKZLLOsCOzz5cY97ewNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-7ytDyRXYgCF5cj0Kt","y":"AdymlHvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmbnX9cwlGfP-HqHZR1")",
       "eyJhbGciOiJFUzUxMiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9",
       "AE_R_YZCChjn4791jSQCrdPZCNYqHXCTZH0-"
       "JZGYNlaAjP2kqaluUIIUnC9qvbu9Plon7KRTzoNEuT4Va2cmL1eJAQy3mtPBu_u_sDDyYjnAMDxXPn7XrT0lw-"
       "kvAD890jl8e2puQens_IEKBpHABlsbEPX6sFY8OcGDqoRuBomu9xQ2"},
      {Algorithm::hs256, R"("kty":"oct","k":"hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg")",
       "eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9",
       "s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0"},
  };
  for (const Case& each : table) {
    const std::vector<Algorithm> allowed{each.algorithm};
    const auto reading = read_jwks("{\"keys\":[{" + each.key + "}]}", allowed, KeySetOrigin::file);
    ASSERT_EQ(reading.keys.size(), 1U) << to_string(each.algorithm) << reading.complaint;
    SignatureChecker checker{*reading.keys[0]};
    EXPECT_EQ(check_signature(checker, *reading.keys[0],
                              std::string{each.header} + "." + payload_text, each.signature),
              Refusal::none)
        << to_string(each.algorithm);
  }
}

// RFC 8037 A.4 signs a text that is no token; its key and signature hold all the same.
TEST(SignatureChecker, rfc_8037_appendix_a4_verifies) {
  const std::vector<Algorithm> allowed{Algorithm::eddsa};
  const auto reading = read_jwks(
      R"({"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]})",
      allowed, KeySetOrigin::url);
  ASSERT_EQ(reading.keys.size(), 1U);
  SignatureChecker checker{*reading.keys[0]};
  const std::string text = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
  const std::string signature =
      "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
  EXPECT_EQ(check_signature(checker, *reading.keys[0], text, signature), Refusal::none);
  EXPECT_EQ(check_signature(checker, *reading.keys[0], text + "x", signature), Refusal::signature);
}

TEST(TokenVerifier, every_algorithm_signs_and_verifies_and_no_other_takes_its_place) {
  for (const Algorithm algorithm : asymmetric) {
    const SigningKey& key = pair(algorithm);
    Judge judge{{provider_of(asymmetric)}};
    judge.with(public_key(key));
    const std::string text = mint(
        {.key = &key, .subject = "bob", .issued_at = now, .expires = now + std::chrono::hours{1}});
    const Examined examined = judge.examine(text);
    EXPECT_EQ(examined.refusal, Refusal::none) << to_string(algorithm);
    EXPECT_EQ(examined.principal.subject(), "bob");
    // The public key as an HMAC secret: the oldest trick (RFC 8725 2.1).
    Judge everything{{provider_of({Algorithm::hs256, algorithm})}};
    everything.with(public_key(key));
    SigningKey trick = signing_secret(to_public_pem(key));
    trick.kid = key.kid;
    EXPECT_EQ(everything(mint({.key = &trick,
                               .subject = "eve",
                               .issued_at = now,
                               .expires = now + std::chrono::hours{1}})),
              Refusal::algorithm);
    // A token that says another algorithm than its key.
    for (const Algorithm other : asymmetric) {
      if (other == algorithm) continue;
      const std::string header =
          R"({"alg":")" + std::string{to_string(other)} + R"(","kid":")" + key.kid + "\"}";
      EXPECT_NE(judge(mint_raw(header, payload(), key)), Refusal::none);
    }
  }
  for (const Algorithm algorithm : {Algorithm::hs256, Algorithm::hs384, Algorithm::hs512}) {
    const SigningKey key = signing_secret(secret, algorithm);
    EXPECT_EQ(verdict(mint({.key = &key,
                            .subject = "bob",
                            .issued_at = now,
                            .expires = now + std::chrono::hours{1}})),
              Refusal::none);
  }
}

TEST(Keys, public_keys_go_out_and_in_again_as_jwk) {
  for (const Algorithm algorithm : asymmetric) {
    const SigningKey& key = pair(algorithm);
    const std::string set = "{\"keys\":[" + to_jwk(algorithm, key.pkey.get(), key.kid) + "]}";
    const auto reading = read_jwks(set, asymmetric, KeySetOrigin::url);
    ASSERT_EQ(reading.keys.size(), 1U) << set << reading.complaint;
    EXPECT_EQ(reading.keys[0]->algorithm, algorithm);
    EXPECT_EQ(reading.keys[0]->kid, key.kid);
    EXPECT_EQ(EVP_PKEY_eq(reading.keys[0]->pkey.get(), key.pkey.get()), 1);
  }
}

// RFC 7638 3.1.
TEST(Keys, thumbprint_is_that_of_the_rfc) {
  const std::vector<Algorithm> allowed{Algorithm::rs256};
  const auto reading = read_jwks(
      R"({"keys":[{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}]})",
      allowed, KeySetOrigin::url);
  ASSERT_EQ(reading.keys.size(), 1U);
  EVP_PKEY_up_ref(reading.keys[0]->pkey.get());
  const SigningKey key{.algorithm = Algorithm::rs256, .pkey = Pkey{reading.keys[0]->pkey.get()}};
  EXPECT_EQ(thumbprint(key), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}

TEST(Keys, bad_entries_of_a_set_are_named_with_the_reason) {
  const std::string good = to_jwk(Algorithm::es256, pair(Algorithm::es256).pkey.get(), "a");
  const std::pair<std::string, const char*> table[] = {
      {"<html><body>Not found</body></html>", "looks like a web page"},
      {"{\"keys\":", "this is no JSON"},
      {"[]", "there is no array \"keys\""},
      {R"({"keys":[]})", "has no key of use for signatures"},
      {R"({"keys":[7]})", "key 1 is no object"},
      {"{\"keys\":[" + good + "," + good + "]}",
       "key 2 (kid \"a\"): another key has this kid and is for ES256, too"},
      {R"({"keys":[{"kid":"x"}]})", "key 1 (kid \"x\"): it has no kty"},
      {R"({"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]})",
       "coordinates of 1 bytes; P-256 has 32"},
      {R"({"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"}]})",
       "not on the curve P-256"},
      {R"({"keys":[{"kty":"EC","crv":"secp256k1","x":"AA","y":"AA"}]})",
       "no algorithm that is allowed here fits its kind (EC secp256k1)"},
      {R"({"keys":[{"kty":"EC","crv":"P-256","alg":"ES384","x":"AA","y":"AA"}]})",
       "its algorithm ES384 does not fit its kind EC P-256"},
      {R"({"keys":[{"kty":"RSA","alg":"RSA-OAEP","n":"AA","e":"AQAB"}]})",
       "its algorithm \"RSA-OAEP\" is not supported"},
      {R"({"keys":[{"kty":"RSA","alg":"RS256","n":"AQAB","e":"AQAB"}]})",
       "an RSA key of 17 bits; at least 2048"},
      {R"({"keys":[{"kty":"RSA","alg":"RS256","n":"AQ=","e":"AQAB"}]})",
       "its n or e is missing or no canonical base64url"},
      {R"({"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","d":"AA"}]})",
       "it is a private key"},
      {R"({"keys":[{"kty":"OKP","crv":"Ed25519","x":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}]})",
       "of small order"},
      {R"({"keys":[{"kty":"OKP","crv":"Ed25519","x":"7f_______________________________________38"}]})",
       "not encoded canonically"},
      {R"({"keys":[{"kty":"oct","alg":"HS256","k":"c2VjcmV0"}]})",
       "a secret, in a set that is fetched"},
  };
  std::vector<Algorithm> allowed = asymmetric;
  allowed.push_back(Algorithm::hs256);
  for (const auto& [text, complaint] : table) {
    const auto reading = read_jwks(text, allowed, KeySetOrigin::url);
    std::string all = reading.complaint;
    for (const std::string& each : reading.passed_over) all += "\n" + each;
    EXPECT_NE(all.find(complaint), std::string::npos) << all << "\nwanted: " << complaint;
    EXPECT_EQ(all.find("c2VjcmV0"), std::string::npos) << "a secret is shown";
  }
}

TEST(Keys, pem_files_are_read_or_explained) {
  const auto complaint = [](const std::string& pem, std::vector<Algorithm> allowed) {
    const auto key = make_pem_key(pem, allowed);
    return std::holds_alternative<KeyComplaint>(key) ? std::get<KeyComplaint>(key).text
                                                     : std::string{};
  };
  EXPECT_EQ(complaint(to_public_pem(pair(Algorithm::es256)), {Algorithm::es256}), "");
  EXPECT_NE(complaint(to_private_pem(pair(Algorithm::es256)), {Algorithm::es256})
                .find("a private key; only its public key belongs here"),
            std::string::npos);
  EXPECT_NE(complaint(to_public_pem(pair(Algorithm::es256)), {Algorithm::es384})
                .find("none of the algorithms fits"),
            std::string::npos);
  EXPECT_NE(complaint("hello", {Algorithm::es256}).find("neither a public key nor a certificate"),
            std::string::npos);
  const auto small = generate_signing_key(Algorithm::rs256, "", 1024);
  EXPECT_NE(complaint(to_public_pem(std::get<SigningKey>(small)), {Algorithm::rs256})
                .find("at least 2048"),
            std::string::npos);
}

// A key that may sign with other parameters only, which no PS algorithm has: a complaint, and no
// crash of who loads it.
TEST(Keys, key_that_openssl_will_not_verify_with_is_a_complaint) {
  const PkeyContext context{EVP_PKEY_CTX_new_from_name(nullptr, "RSA-PSS", nullptr)};
  EVP_PKEY* made = nullptr;
  ASSERT_EQ(EVP_PKEY_keygen_init(context.get()), 1);
  ASSERT_EQ(EVP_PKEY_CTX_set_rsa_keygen_bits(context.get(), 2048), 1);
  ASSERT_EQ(EVP_PKEY_CTX_set_rsa_pss_keygen_md(context.get(), EVP_sha512()), 1);
  ASSERT_EQ(EVP_PKEY_keygen(context.get(), &made), 1);
  const SigningKey key{.algorithm = Algorithm::ps256, .pkey = Pkey{made}};
  const std::array<Algorithm, 1> allowed{Algorithm::ps256};
  const auto read = make_pem_key(to_public_pem(key), allowed);
  ASSERT_TRUE(std::holds_alternative<KeyComplaint>(read));
  EXPECT_NE(std::get<KeyComplaint>(read).text.find("can't verify PS256"), std::string::npos);
}

// --- strictness ------------------------------------------------------------------------------

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
  EXPECT_EQ(verdict(raw(good_header, payload(R"(,"s\u0075b":"eve")"))), Refusal::duplicate_member)
      << "compared after unescaping";
  EXPECT_EQ(verdict(raw(good_header, payload(R"(,"a":{"b":1,"b":2})"))), Refusal::duplicate_member);
  EXPECT_EQ(verdict(raw(good_header, payload(R"(,"a":[{"b":1,"b":2}])"))),
            Refusal::duplicate_member);
  EXPECT_EQ(verdict(raw(good_header, payload(R"(,"a":[[[[[[[[[1]]]]]]]]])"))), Refusal::depth);
  EXPECT_EQ(verdict(raw(good_header, payload(R"(,"a":[[[[[[1]]]]]])"))), Refusal::none);
  EXPECT_EQ(verdict(raw(good_header, payload() + " x")), Refusal::json);
  EXPECT_EQ(verdict(raw(good_header, payload() + " \r\n")), Refusal::none) << "RFC 8259 2";
  EXPECT_EQ(verdict(raw(good_header, "\n\t " + payload())), Refusal::none);
  EXPECT_EQ(verdict(raw(good_header, "\v" + payload())), Refusal::json);
  EXPECT_EQ(verdict(raw(good_header, payload() + payload())), Refusal::json);
  EXPECT_EQ(verdict(raw(good_header, "\xef\xbb\xbf" + payload())), Refusal::json);
  EXPECT_EQ(verdict(raw(good_header, "[" + payload() + "]")), Refusal::json);
  EXPECT_EQ(verdict(raw(good_header, "")), Refusal::parts);
  EXPECT_EQ(verdict(raw(good_header, R"({"sub":"alice"})")), Refusal::no_expiry);
  for (const char* exp : {"\"1700000100\"", "-1", "-0.5", "9007199254740993", "1e17", "1e999",
                          "99999999999999999999999", "true", "[1700000100]", "{}"}) {
    EXPECT_EQ(verdict(raw(good_header, std::string{R"({"exp":)"} + exp + "}")), Refusal::claim_type)
        << exp;
    EXPECT_EQ(verdict(raw(good_header, payload(std::string{R"(,"nbf":)"} + exp))),
              Refusal::claim_type)
        << exp;
    EXPECT_EQ(verdict(raw(good_header, payload(std::string{R"(,"iat":)"} + exp))),
              Refusal::claim_type)
        << exp;
  }
  EXPECT_EQ(verdict(raw(good_header, R"({"exp":null})")), Refusal::no_expiry);
  EXPECT_EQ(verdict(raw(good_header, payload(R"(,"nbf":1700000031)"))), Refusal::not_yet);
  EXPECT_EQ(verdict(raw(good_header, payload(R"(,"nbf":1700000030)"))), Refusal::none)
      << "30 s of skew";
  EXPECT_EQ(verdict(raw(good_header, payload(R"(,"iat":1700000031)"))), Refusal::issued_later);
  EXPECT_EQ(verdict(raw(good_header, payload(R"(,"iat":1700000030)"))), Refusal::none);
  EXPECT_EQ(verdict(raw(good_header, R"({"sub":7,"exp":1700000100})")), Refusal::claim_type);
  EXPECT_EQ(verdict(raw(good_header, payload(R"(,"iss":7)"))), Refusal::claim_type);
  EXPECT_EQ(verdict(raw(good_header, payload(R"(,"aud":7)"))), Refusal::claim_type);
  EXPECT_EQ(verdict(raw(good_header, payload(R"(,"tenant":"a\r\nX-Admin: 1")"))),
            Refusal::claim_bytes)
      << "it could forge a field";
  EXPECT_EQ(verdict(mint_raw(good_header, payload(), signing_secret("another secret"))),
            Refusal::signature);
  EXPECT_EQ(
      verdict(raw(
          R"({"alg":"HS256","jwk":{"kty":"oct","k":"AA"},"jku":"http://evil","x5u":"http://evil","x5c":["AA"]})",
          payload())),
      Refusal::none)
      << "keys that a token brings are ignored";
}

TEST(TokenVerifier, form_of_the_text_has_its_reasons) {
  const std::string text = token();
  const size_t dot = text.find('.');
  EXPECT_EQ(verdict(text + "."), Refusal::parts);
  EXPECT_EQ(verdict("." + text), Refusal::parts);
  EXPECT_EQ(verdict(text.substr(0, text.rfind('.'))), Refusal::parts);
  EXPECT_EQ(verdict(".."), Refusal::parts);
  EXPECT_EQ(verdict(""), Refusal::parts);
  EXPECT_EQ(verdict("a.b.c.d.e"), Refusal::encrypted);
  EXPECT_EQ(verdict(text + "="), Refusal::encoding) << "padding";
  for (const char foreign : {'+', '/', '=', '*'})
    EXPECT_EQ(verdict(std::string{text}.replace(dot + 3, 1, 1, foreign)), Refusal::encoding)
        << foreign;
  for (const char byte : {' ', '\t', '\n', '\r', '\0', '\x7f', '\x80', '\xff'})
    EXPECT_EQ(verdict(std::string{text}.insert(dot, 1, byte)), Refusal::bytes);
  // 32 bytes of signature leave two bits unused in the last of 43 characters; other bits there are
  // another text for it.
  std::string trailing = text;
  trailing.back() = static_cast<char>(trailing.back() + 1);
  EXPECT_EQ(verdict(trailing), Refusal::encoding);
  EXPECT_EQ(verdict(text + std::string(token_bytes_default, 'a')), Refusal::too_long);
  EXPECT_EQ(verdict(text.substr(0, text.rfind('.') + 1) + "AAAA"), Refusal::signature_form);
}

TEST(TokenVerifier, bytes_of_no_token_are_found_wherever_they_stand) {
  const std::string text = token();
  for (size_t i = 0; i <= text.size(); ++i) {
    for (const char byte : {'\0', '\x1f', ' ', '\x7f', '\x80', '\xa1', '\xff'})
      EXPECT_EQ(verdict(std::string{text}.insert(i, 1, byte)), Refusal::bytes)
          << i << " " << static_cast<int>(byte);
    for (const char byte : {'!', '~'})
      EXPECT_NE(verdict(std::string{text}.insert(i, 1, byte)), Refusal::bytes) << i << " " << byte;
  }
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
}

TEST(TokenVerifier, conditions_of_a_provider_are_each_asked) {
  Provider strict;
  strict.issuers = {{"https://id.example"}};
  strict.audiences = {"api", "admin"};
  strict.type = "at+jwt";
  strict.max_lifetime = std::chrono::seconds{600};
  Judge judge{{strict}};
  judge.with_secret();
  const std::string header = R"({"alg":"HS256","typ":"application/AT+jwt"})";
  const auto body = [](const std::string& iss, const std::string& aud,
                       const std::string& iat = "1700000000") {
    return R"({"iss":")" + iss + R"(","aud":)" + aud + R"(,"iat":)" + iat + R"(,"exp":1700000500})";
  };
  EXPECT_EQ(judge(raw(header, body("https://id.example", "\"api\""))), Refusal::none);
  EXPECT_EQ(judge(raw(header, body("https://id.example", R"(["x","admin"])"))), Refusal::none)
      << "any of them";
  EXPECT_EQ(judge(raw(good_header, body("https://id.example", "\"api\""))), Refusal::type);
  EXPECT_EQ(judge(raw(header, body("https://id.example/", "\"api\""))), Refusal::issuer);
  EXPECT_EQ(judge(raw(header, body("https://id.example", "\"other\""))), Refusal::audience);
  EXPECT_EQ(judge(raw(header, body("https://id.example", "[]"))), Refusal::audience);
  EXPECT_EQ(judge(raw(header, body("https://id.example", "[7]"))), Refusal::claim_type);
  EXPECT_EQ(judge(raw(header, R"({"iss":"https://id.example","iat":1700000000,"exp":1700000500})")),
            Refusal::audience);
  EXPECT_EQ(judge(raw(header, body("https://id.example", "\"api\"", "1699999899"))),
            Refusal::lifetime);
  EXPECT_EQ(judge(raw(header, R"({"iss":"https://id.example","aud":"api","exp":1700000500})")),
            Refusal::lifetime)
      << "of unknown length";
}

TEST(TokenVerifier, provider_is_chosen_by_issuer_and_key_by_kid) {
  Provider first, second, any;
  first.issuers = {{"one"}};
  second.issuers = {{"two"}};
  Judge judge{{first, second, any}};
  judge.with(make_secret_key(Algorithm::hs256, "s1", "k1"), 0)
      .with(make_secret_key(Algorithm::hs256, "s1b", "k2"), 0);
  judge.with(make_secret_key(Algorithm::hs256, "s2", "k1"), 1)
      .with(make_secret_key(Algorithm::hs256, "s3"), 2);
  const auto text = [](const char* iss, const char* kid, const char* with) {
    return mint_raw(std::string{R"({"alg":"HS256")"} +
                        (*kid ? std::string{R"(,"kid":")"} + kid + "\"" : "") + "}",
                    payload(std::string{R"(,"iss":")"} + iss + "\""), signing_secret(with));
  };
  EXPECT_EQ(judge(text("one", "k1", "s1")), Refusal::none);
  EXPECT_EQ(judge(text("one", "k2", "s1b")), Refusal::none);
  EXPECT_EQ(judge(text("one", "k1", "s2")), Refusal::signature)
      << "another issuer's key of the same name";
  EXPECT_EQ(judge(text("two", "k1", "s2")), Refusal::none);
  EXPECT_EQ(judge(text("two", "k2", "s2")), Refusal::unknown_key);
  EXPECT_EQ(judge(text("one", "", "s1b")), Refusal::none)
      << "without a kid all of the algorithm are tried";
  EXPECT_EQ(judge(text("three", "", "s3")), Refusal::none)
      << "a provider without an issuer takes what nobody else has";
  EXPECT_EQ(judge(text("one", "", "s3")), Refusal::signature);
  EXPECT_EQ(judge.examine(text("three", "", "s3"), now, 0b011).refusal, Refusal::issuer)
      << "a route that does not trust that one";
}

TEST(TokenVerifier, requirements_are_met_or_not) {
  const std::vector<Requirement> all{{.scopes = {"read", "write"}},
                                     {.roles_any = {"admin", "owner"}},
                                     {.claims = {{"tenant", "acme"}, {"level", "3"}}}};
  Judge judge{{Provider{}}, all};
  judge.with_secret();
  const auto meets = [&](const std::string& more) {
    return judge.examine(raw(good_header, payload(more))).principal.meets;
  };
  EXPECT_EQ(meets(""), 0U);
  EXPECT_EQ(meets(R"(,"scope":"write read more")"), 1U);
  EXPECT_EQ(meets(R"(,"scope":"write reader")"), 0U);
  EXPECT_EQ(meets(R"(,"scp":["read","write"])"), 1U);
  EXPECT_EQ(meets(R"(,"roles":["x","owner"])"), 2U);
  EXPECT_EQ(meets(R"(,"roles":["own"])"), 0U);
  EXPECT_EQ(meets(R"(,"tenant":"acme","level":3)"), 4U);
  EXPECT_EQ(meets(R"(,"tenant":"acme","level":4)"), 0U);
}

TEST(Revocations, ids_subjects_and_subjects_before_a_time_are_refused) {
  std::string complaint;
  Judge judge;
  judge.with_secret();
  judge.snapshot().revocations = *Revocations::parse(
      "# stolen\njti abc\nsub mallory\nsub alice before 1700000000\n", complaint);
  EXPECT_EQ(judge(raw(good_header, payload(R"(,"jti":"abc")"))), Refusal::revoked);
  EXPECT_EQ(judge(raw(good_header, R"({"sub":"mallory","iat":1700000001,"exp":1700000100})")),
            Refusal::revoked);
  EXPECT_EQ(judge(raw(good_header, payload(R"(,"iat":1699999999)"))), Refusal::revoked);
  EXPECT_EQ(judge(raw(good_header, payload(R"(,"iat":1700000000)"))), Refusal::none);
  EXPECT_EQ(judge(token()), Refusal::revoked)
      << "who does not say when it was issued may be of before";
  for (const char* line :
       {"jti", "jti a b", "sub", "sub a after 1", "sub a before x", "sub a before", "user a"}) {
    complaint.clear();
    EXPECT_FALSE(Revocations::parse(std::string{"\n"} + line, complaint)) << line;
    EXPECT_TRUE(complaint.starts_with("line 2: write jti ID")) << complaint;
  }
}

// --- signatures that are wrong in a way of their own -----------------------------------------

struct BadSignature {
  Algorithm algorithm;
  const char* what;
  std::function<std::vector<unsigned char>(std::vector<unsigned char>)> change;
  Refusal refusal;
};

TEST(SignatureChecker, malformed_signatures_are_refused) {
  const auto fill = [](size_t begin, size_t size, unsigned char with) {
    return [=](std::vector<unsigned char> s) {
      std::fill_n(s.begin() + static_cast<std::ptrdiff_t>(begin), size, with);
      return s;
    };
  };
  const auto order = [](size_t begin) {  // r or s = the order of P-256
    return [=](std::vector<unsigned char> s) {
      const unsigned char n[32] = {0xff, 0xff, 0xff, 0xff, 0,    0,    0,    0,    0xff, 0xff, 0xff,
                                   0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17,
                                   0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51};
      std::copy(std::begin(n), std::end(n), s.begin() + static_cast<std::ptrdiff_t>(begin));
      return s;
    };
  };
  const auto to_der = [](std::vector<unsigned char> s) {
    const EcdsaSignature both{ECDSA_SIG_new()};
    ECDSA_SIG_set0(both.get(), BN_bin2bn(s.data(), 32, nullptr),
                   BN_bin2bn(s.data() + 32, 32, nullptr));
    unsigned char* der = nullptr;
    const int size = i2d_ECDSA_SIG(both.get(), &der);
    std::vector<unsigned char> out(der, der + size);
    OPENSSL_free(der);
    return out;
  };
  const auto cut = [](std::vector<unsigned char> s) { return s.pop_back(), s; };
  const auto longer = [](std::vector<unsigned char> s) { return s.push_back(0), s; };
  const auto zero_front = [](std::vector<unsigned char> s) { return s.insert(s.begin(), 0), s; };
  const auto flip = [](std::vector<unsigned char> s) { return s[7] ^= 1, s; };
  // Ed25519 with S + L: the same number, another encoding (RFC 8032 8.4).
  const auto not_reduced = [](std::vector<unsigned char> s) {
    const unsigned char l[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7,
                                 0xa2, 0xde, 0xf9, 0xde, 0x14, 0,    0,    0,    0,    0,    0,
                                 0,    0,    0,    0,    0,    0,    0,    0,    0,    0x10};
    unsigned carry = 0;
    for (size_t i = 0; i < 32; ++i) {
      carry += s[32 + i] + l[i];
      s[32 + i] = static_cast<unsigned char>(carry);
      carry >>= 8;
    }
    return s;
  };
  const BadSignature table[] = {
      {Algorithm::es256, "DER", to_der, Refusal::signature_form},
      {Algorithm::es256, "r = 0", fill(0, 32, 0), Refusal::signature},
      {Algorithm::es256, "s = 0", fill(32, 32, 0), Refusal::signature},
      {Algorithm::es256, "both 0", fill(0, 64, 0), Refusal::signature},
      {Algorithm::es256, "r = n", order(0), Refusal::signature},
      {Algorithm::es256, "s = n", order(32), Refusal::signature},
      {Algorithm::es256, "r above n", fill(0, 32, 0xff), Refusal::signature},
      {Algorithm::es256, "s above n", fill(32, 32, 0xff), Refusal::signature},
      {Algorithm::es256, "shorter", cut, Refusal::signature_form},
      {Algorithm::es256, "longer", longer, Refusal::signature_form},
      {Algorithm::es256, "flipped", flip, Refusal::signature},
      {Algorithm::es384, "zeros", fill(0, 96, 0), Refusal::signature},
      {Algorithm::es512, "above n", fill(0, 66, 0xff), Refusal::signature},
      {Algorithm::es512, "flipped", flip, Refusal::signature},
      {Algorithm::eddsa, "S not reduced", not_reduced, Refusal::signature},
      {Algorithm::eddsa, "R of small order", fill(0, 32, 0), Refusal::signature},
      {Algorithm::eddsa, "all zero", fill(0, 64, 0), Refusal::signature},
      {Algorithm::eddsa, "shorter", cut, Refusal::signature_form},
      {Algorithm::eddsa, "longer", longer, Refusal::signature_form},
      {Algorithm::rs256, "flipped", flip, Refusal::signature},
      {Algorithm::rs256, "shorter", cut, Refusal::signature_form},
      {Algorithm::rs256, "a zero in front", zero_front, Refusal::signature_form},
      {Algorithm::rs256, "zeros", fill(0, 256, 0), Refusal::signature},
      {Algorithm::rs256, "above the modulus", fill(0, 256, 0xff), Refusal::signature},
      {Algorithm::ps256, "flipped", flip, Refusal::signature},
      {Algorithm::ps256, "zeros", fill(0, 256, 0), Refusal::signature},
  };
  const std::string text = "what is signed";
  for (const BadSignature& bad : table) {
    const SigningKey& key = pair(bad.algorithm);
    const SharedKey shared = public_key(key);
    SignatureChecker checker{*shared};
    const auto good = sign(key, text);
    EXPECT_EQ(check_signature(checker, *shared, text, base64url_encode(good)), Refusal::none);
    EXPECT_EQ(check_signature(checker, *shared, text, base64url_encode(bad.change(good))),
              bad.refusal)
        << to_string(bad.algorithm) << " " << bad.what;
    EXPECT_EQ(check_signature(checker, *shared, text, base64url_encode(good)), Refusal::none)
        << "it is as good as new afterwards";
  }
  // The right key with the other padding.
  const SigningKey& rsa = pair(Algorithm::rs256);
  EVP_PKEY_up_ref(rsa.pkey.get());
  const SigningKey pss{.algorithm = Algorithm::ps256, .pkey = Pkey{rsa.pkey.get()}};
  const SharedKey shared = public_key(rsa);
  SignatureChecker checker{*shared};
  EXPECT_EQ(check_signature(checker, *shared, text, base64url_encode(sign(pss, text))),
            Refusal::signature);
}

// --- where tokens come from, and what is remembered ------------------------------------------

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

TEST(Base64url, foreign_characters_are_found_wherever_they_stand) {
  std::array<unsigned char, 16> out;
  for (size_t size = 2; size < 13; ++size) {
    if (size % 4 == 1) continue;
    for (size_t place = 0; place < size; ++place) {
      for (int byte = 0; byte < 256; ++byte) {
        std::string text(size, 'A');
        text[place] = static_cast<char>(byte);
        const bool is_of_it = std::isalnum(byte) != 0 || byte == '-' || byte == '_';
        const bool has_unused_bits =
            place + 1 == size && size % 4 != 0;  // of which only some characters leave none set
        const bool is_decoded = base64url_decode(text, out).has_value();
        EXPECT_TRUE(is_decoded ? is_of_it : !is_of_it || has_unused_bits)
            << size << " " << place << " " << byte;
      }
    }
  }
}

TEST(Authenticator, field_is_exactly_one_bearer_token) {
  Judge judge;
  Authenticator& authenticator = judge.with_secret().authenticator();
  const auto refusal = [&](const std::string& fields) {
    return ask(authenticator, fields).refusal;
  };
  EXPECT_EQ(refusal(""), Refusal::missing);
  EXPECT_EQ(refusal("Authorization: Bearer " + token() + "\r\n"), Refusal::none);
  EXPECT_EQ(refusal("authorization: bEARER " + token() + "\r\n"), Refusal::none);
  EXPECT_EQ(
      refusal("Authorization: Bearer " + token() + "\r\nAuthorization: Bearer " + token() + "\r\n"),
      Refusal::duplicate);
  EXPECT_EQ(refusal("Authorization: Basic YTpi\r\n"), Refusal::scheme);
  EXPECT_EQ(refusal("Authorization: " + token() + "\r\n"), Refusal::scheme);
  EXPECT_EQ(refusal("Authorization: Bearer\r\n"), Refusal::malformed);
  EXPECT_EQ(refusal("Authorization: Bearer\t" + token() + "\r\n"), Refusal::malformed);
  EXPECT_EQ(refusal("Authorization: Bearer   " + token() + "\r\n"), Refusal::none) << "1*SP";
  EXPECT_EQ(refusal("Authorization: Bearer " + token() + " x\r\n"), Refusal::bytes);
}

TEST(Authenticator, token_comes_from_one_place_only) {
  using Kind = TokenSource::Kind;
  Judge judge;
  Authenticator& authenticator = judge.with_secret().authenticator();
  const std::vector<TokenSource> all{
      {Kind::header, ""}, {Kind::cookie, "session"}, {Kind::query, "token"}};
  const auto refusal = [&](const std::string& fields, const std::string& target) {
    return ask(authenticator, fields, now, all, target).refusal;
  };
  EXPECT_EQ(refusal("", "/?a=1&token=" + token()), Refusal::none);
  EXPECT_EQ(refusal("Cookie: a=b; session=" + token() + "; c=d\r\n", "/"), Refusal::none);
  EXPECT_EQ(refusal("Cookie: session=\"" + token() + "\"\r\n", "/"), Refusal::none);
  EXPECT_EQ(refusal("Cookie: mysession=" + token() + "\r\n", "/?mytoken=" + token()),
            Refusal::missing);
  EXPECT_EQ(refusal("Cookie: session=a; session=b\r\n", "/"), Refusal::duplicate);
  EXPECT_EQ(refusal("Cookie: session=a\r\nCookie: session=b\r\n", "/"), Refusal::duplicate);
  EXPECT_EQ(refusal("", "/?token=a&token=b"), Refusal::duplicate);
  EXPECT_EQ(refusal("Authorization: Bearer " + token() + "\r\n", "/?token=" + token()),
            Refusal::several);
  EXPECT_EQ(refusal("Authorization: Bearer " + token() + "\r\nCookie: session=x\r\n", "/"),
            Refusal::several)
      << "whichever is good";
  EXPECT_EQ(refusal("Authorization: Bearer " + token() + "\r\nCookie: session=\r\n", "/?token="),
            Refusal::none)
      << "a place without a token is no token";
  EXPECT_EQ(refusal("Authorization: Basic dTpw\r\nCookie: session=" + token() + "\r\n", "/"),
            Refusal::none);
  EXPECT_EQ(refusal("Authorization: Bearer\r\nCookie: session=" + token() + "\r\n", "/"),
            Refusal::none);
  EXPECT_EQ(refusal("Authorization: Basic dTpw\r\nCookie: session=\r\n", "/"), Refusal::scheme);
  EXPECT_EQ(ask(authenticator, "", now, {TokenSource{}}, "/?token=" + token()).refusal,
            Refusal::missing)
      << "not where it is not looked for";
}

TEST(Authenticator, remembered_token_is_the_same_token_and_still_expires) {
  Judge judge;
  Authenticator& authenticator = judge.with_secret().authenticator(4);
  const std::string field = "Authorization: Bearer " + token() + "\r\n";
  EXPECT_EQ(ask(authenticator, field).subject, "alice");
  EXPECT_EQ(ask(authenticator, field).first, Authenticator::Progress::settled);
  EXPECT_EQ(authenticator.counters().good.hits.get(), 1U);
  EXPECT_EQ(ask(authenticator, field, EpochSeconds{std::chrono::seconds{1'700'000'130}}).refusal,
            Refusal::expired);
  // More tokens than there is room for: all are answered right.
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 20; ++i) {
      const std::string text =
          raw(good_header, R"({"sub":"u)" + std::to_string(i) + R"(","exp":1700000100})");
      EXPECT_EQ(ask(authenticator, "Authorization: Bearer " + text + "\r\n").subject,
                "u" + std::to_string(i));
    }
  }
  EXPECT_GT(authenticator.counters().good.evictions.get(), 0U);
}

TEST(Authenticator, one_bad_token_costs_one_look) {
  Judge judge;
  Authenticator& authenticator = judge.with_secret().authenticator();
  const std::string forged = "Authorization: Bearer " +
                             mint_raw(good_header, payload(), signing_secret("another")) + "\r\n";
  for (int i = 0; i < 100; ++i) EXPECT_EQ(ask(authenticator, forged).refusal, Refusal::signature);
  EXPECT_EQ(authenticator.counters().of(Algorithm::hs256).get(), 1U);
  EXPECT_EQ(authenticator.counters().refused.hits.get(), 99U);
  EXPECT_EQ(ask(authenticator, forged, now + refused_ttl).refusal, Refusal::signature);
  EXPECT_EQ(authenticator.counters().of(Algorithm::hs256).get(), 2U) << "not for ever";
}

TEST(Authenticator, change_of_keys_or_revocations_forgets_at_once) {
  Judge judge;
  Authenticator& authenticator = judge.with_secret().authenticator();
  const std::string field = "Authorization: Bearer " + token() + "\r\n";
  EXPECT_EQ(ask(authenticator, field).subject, "alice");
  KeySnapshot changed{.generation = 2,
                      .keys = {{make_secret_key(Algorithm::hs256, "the next secret")}},
                      .api_keys = {{}}};
  authenticator.adopt(changed);
  EXPECT_EQ(ask(authenticator, field).refusal, Refusal::signature);
  std::string complaint;
  KeySnapshot revoked{.generation = 3,
                      .keys = {{make_secret_key(Algorithm::hs256, std::string{secret})}},
                      .api_keys = {{}}};
  authenticator.adopt(revoked);
  EXPECT_EQ(ask(authenticator, field).subject, "alice");
  revoked.revocations = *Revocations::parse("sub alice", complaint);
  authenticator.adopt(revoked);
  EXPECT_EQ(ask(authenticator, field).refusal, Refusal::revoked);
}

TEST(Authenticator, token_remembered_for_one_route_is_not_good_on_another) {
  Provider one, two;
  one.issuers = {{"one"}};
  two.issuers = {{"two"}};
  Judge judge{{one, two}};
  judge.with(make_secret_key(Algorithm::hs256, std::string{secret}), 0);
  Authenticator& authenticator = judge.authenticator();
  const std::string field =
      "Authorization: Bearer " + raw(good_header, payload(R"(,"iss":"one")")) + "\r\n";
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(ask(authenticator, field, now, {TokenSource{}}, "/", 0b01).refusal, Refusal::none);
    EXPECT_EQ(ask(authenticator, field, now, {TokenSource{}}, "/", 0b10).refusal, Refusal::issuer);
    EXPECT_EQ(ask(authenticator, field, now, {TokenSource{}}, "/", 0b11).refusal, Refusal::none);
  }
}

TEST(Authenticator, api_key_is_known_by_its_salted_hash) {
  Judge judge;
  ApiKey key{.id = "ci", .salt = {1, 2, 3}, .subject = "builder"};
  key.hash = hash_api_secret(key.salt, "the-secret");
  judge.snapshot().api_keys[0] = {key};
  Authenticator& authenticator = judge.authenticator();
  const std::vector<TokenSource> sources{{TokenSource::Kind::api_key, "X-API-Key"}};
  const auto asked = [&](const std::string& value) {
    return ask(authenticator, "x-api-key: " + value + "\r\n", now, sources);
  };
  EXPECT_EQ(asked("ci.the-secret").subject, "builder");
  EXPECT_EQ(asked("ci.the-secreT").refusal, Refusal::key_unknown);
  EXPECT_EQ(asked("cd.the-secret").refusal, Refusal::key_unknown);
  EXPECT_EQ(asked("").refusal, Refusal::missing);
  for (const char* value : {"ci", "ci.", ".the-secret"})
    EXPECT_EQ(asked(value).refusal, Refusal::key_form) << value;
  EXPECT_EQ(
      ask(authenticator, "X-API-Key: ci.the-secret\r\nX-API-Key: ci.the-secret\r\n", now, sources)
          .refusal,
      Refusal::duplicate);
  EXPECT_EQ(ask(authenticator, "", now, sources).refusal, Refusal::missing);
}

}  // namespace
}  // namespace sluice::auth
