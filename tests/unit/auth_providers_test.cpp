// Nine providers: their recipes of deploy/configuration.md, with key sets and tokens of their
// shape. From the configuration's text to the verdict, without a network.
#include <gtest/gtest.h>

#include <map>

#include "auth/jwks.h"
#include "auth_judge.h"
#include "config/reader.h"
#include "gateway/key_keeper.h"

namespace sluice::auth {
namespace {

struct ProviderCase {
  const char* name;
  std::string entry;                           // of auth:
  std::map<std::string, std::string> answers;  // by URL
  Algorithm algorithm;
  std::string header;   // beside alg
  std::string payload;  // beside iat and exp
  std::string changed;  // of the payload: what may not be
  Refusal refusal;
  const char* claim = nullptr;  // that goes upstream, and its text
  const char* text = nullptr;
  std::string field;  // the token is in this one; empty: Authorization
};

// One key as members, without kid, use and alg.
std::string parts(Algorithm algorithm) {
  const std::string jwk = to_jwk(algorithm, pair(algorithm).pkey.get(), "k");
  return jwk.substr(jwk.find("\"kty\""), jwk.size() - jwk.find("\"kty\"") - 1);
}
std::string key(const std::string& members, Algorithm algorithm = Algorithm::rs256) {
  return "{" + members + "," + parts(algorithm) + "}";
}
std::string set(const std::string& keys) { return "{\"keys\":[" + keys + "]}"; }

const std::string certificate =
    R"("x5c":["MIIC+jCCAeKgAwIBAgIJ"],"x5t":"Gvnt7_bTIqSRrbUq","x5t#S256":"9ZbXqV")";

std::vector<ProviderCase> cases() {
  const Algorithm rs256 = Algorithm::rs256;
  return {
      {"keycloak",
       R"({ discovery: "https://id.example/realms/main/.well-known/openid-configuration", algorithms: [RS256],
            audiences: [api], roles_claim: [realm_access, roles], headers: { X-Roles: [realm_access, roles] } })",
       {{"https://id.example/realms/main/.well-known/openid-configuration",
         R"({"issuer":"https://id.example/realms/main","authorization_endpoint":"https://id.example/a",
             "jwks_uri":"https://id.example/realms/main/protocol/openid-connect/certs"})"},
        {"https://id.example/realms/main/protocol/openid-connect/certs",
         set(R"({"kid":"e","kty":"RSA","alg":"RSA-OAEP","use":"enc","n":"AA","e":"AQAB"},)" +
             key(R"("kid":"s","alg":"RS256","use":"sig",)" + certificate))}},
       rs256,
       R"("typ":"JWT","kid":"s")",
       R"("jti":"onrtac:1","iss":"https://id.example/realms/main","aud":["api","account"],"sub":"f3",
          "typ":"Bearer","azp":"web","acr":"1","realm_access":{"roles":["user","admin"]},
          "resource_access":{"account":{"roles":["view"]}},"scope":"openid email","email_verified":true)",
       R"("iss":"https://id.example/realms/other","aud":"api")",
       Refusal::issuer,
       "realm_access\x1froles",
       "user,admin",
       ""},
      {"entra",
       R"({ jwks: { url: "https://login.microsoftonline.com/common/discovery/v2.0/keys" }, algorithms: [RS256],
            issuer: { match: "https://login.microsoftonline.com/*/v2.0" }, audiences: ["api://orders"],
            headers: { X-Groups: groups } })",
       {{"https://login.microsoftonline.com/common/discovery/v2.0/keys",
         set(key(R"("kid":"other","use":"sig","issuer":"x",)" + certificate, Algorithm::ps256) +
             "," +
             key(R"("kid":"-KI3Q9nNR7bRofxmeZoXqbHZGew","use":"sig",
                    "issuer":"https://login.microsoftonline.com/{tenantid}/v2.0",)" +
                 certificate))}},
       rs256,
       R"("typ":"JWT","x5t":"-KI3Q9nNR7bRofxmeZoXqbHZGew","kid":"-KI3Q9nNR7bRofxmeZoXqbHZGew")",
       R"("aud":"api://orders","iss":"https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0",
          "aio":"A","azpacr":"1","groups":["1e1","2e2"],"oid":"o","rh":"0.","scp":"Orders.Read","sub":"s",
          "tid":"72f988bf","uti":"u","ver":"2.0","xms_ftd":"f","wids":["w"])",
       R"("aud":"api://orders","iss":"https://login.microsoftonline.com/a/b/v2.0")",
       Refusal::issuer,
       "groups",
       "1e1,2e2",
       ""},
      {"auth0",
       R"({ jwks: { url: "https://shop.auth0.com/.well-known/jwks.json" }, algorithms: [RS256],
            issuer: "https://shop.auth0.com/", audiences: ["https://api.shop.example"],
            headers: { X-Tenant: "https://shop.example/tenant" } })",
       {{"https://shop.auth0.com/.well-known/jwks.json",
         set(key(R"("kid":"a0","alg":"RS256","use":"sig",)" + certificate))}},
       rs256,
       R"("typ":"JWT","kid":"a0")",
       R"("https://shop.example/tenant":"t1","iss":"https://shop.auth0.com/","sub":"auth0|5f",
          "aud":["https://api.shop.example","https://shop.auth0.com/userinfo"],"azp":"c","scope":"openid",
          "permissions":["read:orders"])",
       R"("iss":"https://shop.auth0.com","aud":"https://api.shop.example")",
       Refusal::issuer,
       "https://shop.example/tenant",
       "t1",
       ""},
      {"cognito",
       R"({ jwks: { url: "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Ab12/.well-known/jwks.json" },
            algorithms: [RS256], issuer: "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Ab12",
            audiences: [4a5b6c], audience_claim: client_id, roles_claim: "cognito:groups",
            headers: { X-Groups: "cognito:groups" } })",
       {{"https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Ab12/.well-known/jwks.json",
         set(key(R"("alg":"RS256","kid":"Gk=","use":"sig")"))}},
       rs256,
       R"("kid":"Gk=")",
       R"("sub":"s","cognito:groups":["admins"],"iss":"https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Ab12",
          "client_id":"4a5b6c","token_use":"access","scope":"aws.cognito.signin.user.admin","auth_time":1700000000)",
       R"("iss":"https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Ab12","client_id":"another")",
       Refusal::audience,
       "cognito:groups",
       "admins",
       ""},
      {"okta",
       R"({ jwks: { url: "https://shop.okta.com/oauth2/default/v1/keys" }, algorithms: [RS256],
            issuer: "https://shop.okta.com/oauth2/default", audiences: ["api://default"], headers: { X-Scopes: scp } })",
       {{"https://shop.okta.com/oauth2/default/v1/keys",
         set(key(R"("kid":"ok","alg":"RS256","use":"sig")"))}},
       rs256,
       R"("kid":"ok")",
       R"("ver":1,"jti":"AT.1","iss":"https://shop.okta.com/oauth2/default","aud":"api://default","cid":"c",
          "uid":"u","scp":["openid","orders"],"sub":"a@shop.example")",
       R"("iss":"https://shop.okta.com/oauth2/default","aud":"api://other")",
       Refusal::audience,
       "scp",
       "openid,orders",
       ""},
      {"google",
       R"({ jwks: { url: "https://www.googleapis.com/oauth2/v3/certs" }, algorithms: [RS256],
            issuer: ["https://accounts.google.com", accounts.google.com],
            audiences: ["123.apps.googleusercontent.com"], headers: { X-Verified: email_verified } })",
       {{"https://www.googleapis.com/oauth2/v3/certs",
         set(key(R"("use":"sig","alg":"RS256","kid":"g1")"))}},
       rs256,
       R"("kid":"g1","typ":"JWT")",
       R"("iss":"accounts.google.com","azp":"1","aud":"123.apps.googleusercontent.com","sub":"1077",
          "email":"a@example.com","email_verified":true,"at_hash":"h","nonce":"n","name":"J\u00fcrgen")",
       R"("iss":"accounts.google.com.evil.example","aud":"123.apps.googleusercontent.com")",
       Refusal::issuer,
       "email_verified",
       "true",
       ""},
      {"kubernetes",
       R"({ jwks: { url: "https://kubernetes.default.svc/openid/v1/jwks" }, algorithms: [RS256],
            issuer: "https://kubernetes.default.svc.cluster.local", audiences: [sluice],
            headers: { X-Namespace: [kubernetes.io, namespace] } })",
       {{"https://kubernetes.default.svc/openid/v1/jwks",
         set(key(R"("use":"sig","kid":"ku","alg":"RS256")"))}},
       rs256,
       R"("kid":"ku")",
       R"("aud":["sluice"],"iss":"https://kubernetes.default.svc.cluster.local","jti":"j","nbf":1700000000,
          "kubernetes.io":{"namespace":"shop","node":{"name":"n","uid":"1"},"pod":{"name":"p","uid":"2"},
          "serviceaccount":{"name":"orders","uid":"3"},"warnafter":1700003607},
          "sub":"system:serviceaccount:shop:orders")",
       R"("aud":["https://kubernetes.default.svc"],"iss":"https://kubernetes.default.svc.cluster.local")",
       Refusal::audience,
       "kubernetes.io\x1fnamespace",
       "shop",
       ""},
      {"access",
       R"({ jwks: { url: "https://shop.cloudflareaccess.com/cdn-cgi/access/certs" }, algorithms: [RS256],
            issuer: "https://shop.cloudflareaccess.com", audiences: [32eafc7e],
            token_from: [{ field: Cf-Access-Jwt-Assertion }], headers: { X-Email: email } })",
       {{"https://shop.cloudflareaccess.com/cdn-cgi/access/certs",
         R"({"keys":[)" + key(R"("kid":"cf","alg":"RS256","use":"sig")") +
             R"(],"public_cert":{"kid":"cf","cert":"-----BEGIN"},"public_certs":[]})"}},
       rs256,
       R"("kid":"cf","typ":"JWT")",
       R"("aud":["32eafc7e"],"email":"a@shop.example","iss":"https://shop.cloudflareaccess.com","type":"app",
          "identity_nonce":"n","sub":"7335","country":"DE")",
       R"("aud":["other"],"iss":"https://shop.cloudflareaccess.com")",
       Refusal::audience,
       "email",
       "a@shop.example",
       "Cf-Access-Jwt-Assertion"},
      {"iap",
       R"({ jwks: { url: "https://www.gstatic.com/iap/verify/public_key-jwk" }, algorithms: [ES256],
            issuer: "https://cloud.google.com/iap", audiences: ["/projects/123/global/backendServices/456"],
            token_from: [{ field: X-Goog-Iap-Jwt-Assertion }], headers: { X-Email: email } })",
       {{"https://www.gstatic.com/iap/verify/public_key-jwk",
         set(key(R"("alg":"ES256","use":"sig","kid":"f9R3yg")", Algorithm::es256))}},
       Algorithm::es256,
       R"("typ":"JWT","kid":"f9R3yg")",
       R"("iss":"https://cloud.google.com/iap","sub":"accounts.google.com:1","email":"accounts.google.com:a@b.c",
          "aud":"/projects/123/global/backendServices/456","hd":"b.c","google":{"access_levels":["x"]})",
       R"("iss":"https://cloud.google.com/iap","aud":"/projects/123/global/backendServices/457")",
       Refusal::audience,
       "email",
       "accounts.google.com:a@b.c",
       "X-Goog-Iap-Jwt-Assertion"},
  };
}

class ProviderTest : public ::testing::TestWithParam<size_t> {};

TEST_P(ProviderTest, recipe_takes_its_tokens_and_no_others) {
  const ProviderCase each = cases()[GetParam()];
  SCOPED_TRACE(each.name);
  const config::ConfigReading reading = config::read_config_text(
      "test.yaml",
      std::string{"auth: { "} + each.name + ": " + each.entry +
          " }\nupstreams: { a: { endpoints: [http://127.0.0.1:1] } }\nroutes: [ { auth: " +
          each.name + ", upstream: a } ]\n");
  ASSERT_TRUE(reading.config) << reading.complaints.front();
  const config::Config& config = *reading.config;
  gateway::KeyKeeper::World world = gateway::KeyKeeper::real_world();
  gateway::Fetcher::Answers answers;
  world.ask = [&](uint64_t ticket, const gateway::Question& question) {
    const auto found = each.answers.find(question.url);
    answers.emplace_back(ticket, found == each.answers.end()
                                     ? gateway::Fetched{.complaint = "nobody is there"}
                                     : gateway::Fetched{.status = 200, .body = found->second});
  };
  world.answers = [&](std::chrono::milliseconds) { return std::exchange(answers, {}); };
  gateway::KeyKeeper keeper{std::move(world)};
  const auto keys = keeper.admit(config);
  ASSERT_TRUE(keeper.settle(*keys, [rounds = 0]() mutable { return ++rounds > 10; }));
  ASSERT_TRUE(keys->complaints().empty()) << keys->complaints().front();
  Authenticator authenticator{
      {.verifier = {.providers = config.providers, .claims = config.claims}}};
  authenticator.adopt(keys->snapshot());
  EVP_PKEY_up_ref(pair(each.algorithm).pkey.get());
  const SigningKey signer{.algorithm = each.algorithm,
                          .pkey = Pkey{pair(each.algorithm).pkey.get()}};
  const auto text = [&](const std::string& members) {
    return mint_raw(
        "{\"alg\":\"" + std::string{to_string(each.algorithm)} + "\"," + each.header + "}",
        "{" + members + R"(,"iat":1700000000,"exp":1700003600})", signer);
  };
  const std::string field = each.field.empty() ? "Authorization: Bearer " : each.field + ": ";
  const auto judged = [&](const std::string& members) {
    return ask(authenticator, field + text(members) + "\r\n", now, config.auth[0].sources);
  };
  const Asked good = judged(each.payload);
  EXPECT_EQ(good.refusal, Refusal::none) << reason_code(good.refusal);
  EXPECT_FALSE(good.subject.empty());
  const Asked bad = judged(each.changed);
  EXPECT_EQ(bad.refusal, each.refusal) << reason_code(bad.refusal);
  Examined examined;
  authenticator.verifier().examine(text(each.payload), 1, now, examined);
  const auto place = std::find(config.claims.begin(), config.claims.end(), each.claim);
  ASSERT_NE(place, config.claims.end());
  EXPECT_EQ(examined.principal.claim(static_cast<unsigned>(place - config.claims.begin())),
            each.text);
}

INSTANTIATE_TEST_SUITE_P(Nine, ProviderTest, ::testing::Range<size_t>(0, 9));

}  // namespace
}  // namespace sluice::auth
