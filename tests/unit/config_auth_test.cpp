// auth: of the configuration file: what providers may be, how claims are named, which files are
// believed, and what is said of what can never match.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "config/guarded_file.h"
#include "config/reader.h"

namespace sluice::config {
namespace {

ConfigReading read(const std::string& entry, const std::string& route = "",
                   const std::string& more = "") {
  ::setenv("CONFIG_AUTH_SECRET", std::string(64, 's').c_str(), 1);
  return read_config_text(
      "test.yaml", "auth: { main: { " + entry +
                       " } }\nupstreams: { a: { endpoints: [http://127.0.0.1:1] } }\nroutes: [ { "
                       "auth: main, upstream: a" +
                       route + " } ]\n" + more);
}
const std::string secret = "secret: { env: CONFIG_AUTH_SECRET }";

std::string complaints(const ConfigReading& reading) {
  std::string all;
  for (const std::string& text : reading.complaints) all += text + "\n";
  return all;
}
std::string warnings(const ConfigReading& reading) {
  std::string all = complaints(reading);
  for (const std::string& text : reading.warnings) all += text + "\n";
  return all;
}

TEST(ConfigAuth, provider_is_read_with_all_that_it_may_be) {
  const ConfigReading reading =
      read(secret + R"(, issuer: [accounts.example, { match: "https://login.example/*/v2.0" }],
        audiences: api, audience_claim: client_id, max_token: 8KiB, on_too_long: refuse,
        roles_claim: [realm_access, roles], algorithms: [HS256],
        headers: { X-Tenant: "https://app.example/tenant", X-Id: "custom:tenant_id", X-Ns: [kubernetes.io, namespace] },
        token_from: [header, { field: Cf-Access-Jwt-Assertion }, { cookie: sid }, { query: token }, { protocol: bearer }])",
           ", require: { claim: { groups: admin, [realm_access, roles]: user } }");
  ASSERT_TRUE(reading.config) << complaints(reading);
  const AuthConfig& entry = reading.config->auth[0];
  const auth::Provider& provider = entry.provider;
  EXPECT_EQ(provider.issuers, (std::vector<auth::Issuer>{
                                  {"accounts.example"},
                                  {"https://login.example/*/v2.0", auth::Issuer::Kind::pattern}}));
  EXPECT_EQ(provider.audience_claim, "client_id");
  EXPECT_EQ(provider.token_bytes, 8192U);
  EXPECT_EQ(provider.on_too_long, auth::TooLong::refuse);
  EXPECT_EQ(provider.roles_claim, "realm_access\x1froles");
  EXPECT_EQ(reading.config->claims,
            (std::vector<std::string>{"sub", "https://app.example/tenant", "custom:tenant_id",
                                      "kubernetes.io\x1fnamespace"}));
  using Kind = auth::TokenSource::Kind;
  EXPECT_EQ(entry.sources, (std::vector<auth::TokenSource>{{},
                                                           {Kind::field, "Cf-Access-Jwt-Assertion"},
                                                           {Kind::cookie, "sid"},
                                                           {Kind::query, "token"},
                                                           {Kind::protocol, "bearer"}}));
  EXPECT_EQ(reading.config->requirements[0].claims,
            (std::vector<std::pair<std::string, std::string>>{{"groups", "admin"},
                                                              {"realm_access\x1froles", "user"}}));
}

TEST(ConfigAuth, key_of_a_limit_is_any_claim) {
  const ConfigReading reading =
      read(secret, ", limits: [a, b]",
           "limits: { a: { key: \"claim:https://app.example/tenant\", rate: 1/s }, b: { key: [{ "
           "claim: [org, id] }, address], rate: 1/s } }\n");
  ASSERT_TRUE(reading.config) << complaints(reading);
  EXPECT_EQ(reading.config->claims,
            (std::vector<std::string>{"sub", "https://app.example/tenant", "org\x1fid"}));
}

TEST(ConfigAuth, defaults_are_those_of_the_documents) {
  const ConfigReading reading = read(secret);
  ASSERT_TRUE(reading.config) << complaints(reading);
  const auth::Provider& provider = reading.config->auth[0].provider;
  EXPECT_EQ(provider.token_bytes, 16U * 1024);
  EXPECT_EQ(provider.on_too_long, auth::TooLong::omit);
  EXPECT_EQ(provider.audience_claim, "aud");
}

TEST(ConfigAuth, what_is_wrong_is_named) {
  const std::pair<std::string, const char*> table[] = {
      {secret + ", issuer: { match: \"https://id.example/\" }", "without a * this is one issuer"},
      {secret + ", issuer: { mach: x }", "did you mean match?"},
      {secret + ", issuer: \"\"", "write the text that \"iss\" has"},
      {secret + ", max_token: 64KiB", "is not between 256B and 31KiB"},
      {secret + ", on_too_long: cut", "is not omit or refuse"},
      {secret + ", audience_claim: client_id", "write audiences"},
      {secret + ", roles_claim: []", "write the name of a claim"},
      {secret + ", roles_claim: \"a\\nb\"", "is no name of a claim"},
      {secret + ", headers: { X-A: sub, X-B: sub }", "goes into another field already"},
      {secret + ", token_from: [{ field: a, cookie: b }]", "write header, { field: NAME }"},
      {secret + ", token_from: [{ field: \"a b\" }]", "is no name"},
      {"jwks: { url: \"https://a\", discovery: \"https://b\" }, algorithms: [ES256]",
       "write one of { file: PATH }, { url: URL } or { discovery: URL }"},
      {"jwks: { discovery: \"http://id.example\" }, algorithms: [ES256]", "can be anybody's"},
      {"discovery: \"http://id.example\", algorithms: [ES256]", "can be anybody's"},
      {"jwks: { discovery: \"https://id.example\", copy: c }, algorithms: [ES256]",
       "a copy is kept of what url names"},
      {"jwks: { file: k, bearer_file: b }, algorithms: [ES256]", "nothing is fetched here"},
      {"algorithms: [ed25519]", "is none of HS256"},
  };
  for (const auto& [broken, wanted] : table) {
    const ConfigReading reading = read(broken);
    EXPECT_FALSE(reading.config) << broken;
    EXPECT_NE(complaints(reading).find(wanted), std::string::npos) << broken << "\n"
                                                                   << complaints(reading);
  }
}

TEST(ConfigAuth, what_can_never_match_or_trusts_everybody_is_a_warning) {
  struct Case {
    std::string entry, route, more;
    const char* wanted;
  };
  const std::string origin = ", cors: { origins: [\"null\"], credentials: true }";
  const Case table[] = {
      {secret, ", require: { scope: \"read write\" }", "", "scopes and roles are words"},
      {secret, ", require: { role_any: [\"a b\"] }", "", "scopes and roles are words"},
      {secret + ", issuer: a", ", require: { claim: { iss: b } }", "",
       "no auth of this route has that issuer"},
      {secret + ", roles_claim: [a, b, c, d, e, f, g, h]", "", "", "no token is nested as deep"},
      {"keys: { file: k }", ", require: { scope: read }", "",
       "API keys and passwords have no scopes"},
      {"keys: { file: k }, headers: { X-Tenant: tenant }", "", "", "this field is never sent"},
      {secret + ", issuer: \"https://a/*\"", "", "", "a * stands for itself here"},
      {secret, origin, "", "lets every page act as its visitor"},
      {secret, "", "trusted: [0.0.0.0/0]\n", "trusts everybody"},
      {secret, "", "trusted: [\"::/0\"]\n", "trusts everybody"},
  };
  for (const Case& each : table) {
    const ConfigReading reading = read(each.entry, each.route, each.more);
    EXPECT_TRUE(reading.config) << complaints(reading);
    EXPECT_NE(warnings(reading).find(each.wanted), std::string::npos)
        << each.entry << each.route << each.more << "\n"
        << warnings(reading);
  }
  EXPECT_EQ(warnings(read(secret + ", issuer: a", ", require: { claim: { iss: a } }")), "");
}

TEST(ConfigAuth, users_with_passwords_are_a_kind_of_their_own) {
  const ConfigReading reading = read("basic: { file: /etc/users, realm: Staff only }");
  ASSERT_TRUE(reading.config) << complaints(reading);
  const AuthConfig& entry = reading.config->auth.front();
  EXPECT_EQ(entry.provider.kind, auth::CredentialKind::password);
  EXPECT_EQ(entry.key_sources.passwords_file, "/etc/users");
  EXPECT_EQ(entry.sources,
            (std::vector{auth::TokenSource{auth::TokenSource::Kind::basic, "Staff only"}}));
  const std::pair<std::string, const char*> table[] = {
      {"keys: { file: f, header: " + std::string(65, 'k') + " }",
       "is no name of a field, of at most 64"},
      {"basic: { realm: x }", "write basic: { file: PATH }"},
      {"basic: { file: f, realm: \"a\\\"b\" }", "a realm has 1 to 64 characters of ASCII"},
      {"basic: { file: f }, secret: { env: CONFIG_AUTH_SECRET }", "passwords and tokens are two"},
      {"basic: { file: f }, keys: { file: f }", "API keys and others are two entries"},
      {"basic: { file: f, users: g }", "unknown key \"users\" in basic"},
  };
  for (const auto& [broken, wanted] : table)
    EXPECT_NE(complaints(read(broken)).find(wanted), std::string::npos) << broken << "\n"
                                                                        << complaints(read(broken));
}

TEST(GuardedFile, permissions_of_a_secret_are_judged) {
  const std::string path = ::testing::TempDir() + "secret-" + std::to_string(::getpid());
  std::ofstream{path} << std::string(64, 's') << "\r\n";
  const auto of = [&](mode_t mode, const std::string& more = "") {
    ::chmod(path.c_str(), mode);
    return read("secret: { file: " + path + " }" + more);
  };
  for (const mode_t mode : {0400, 0600, 0440, 0640}) EXPECT_EQ(warnings(of(mode)), "") << mode;
  for (const mode_t mode : {0444, 0644}) {
    EXPECT_TRUE(of(mode).config) << mode;
    EXPECT_NE(warnings(of(mode)).find("defaultMode: 0400"), std::string::npos) << mode;
    EXPECT_FALSE(of(mode, ", strict_keys: true").config) << mode;
  }
  for (const mode_t mode : {0602, 0646, 0666}) {
    EXPECT_FALSE(of(mode).config) << mode;
    EXPECT_NE(complaints(of(mode)).find("everybody may write this file"), std::string::npos)
        << mode;
  }
  // A group's is the risk where it is not the owner's own.
  EXPECT_TRUE(of(0660).config || ::getuid() != ::getgid());
  if (::geteuid() == 0) {
    ASSERT_EQ(::chown(path.c_str(), 0, 4711), 0);
    EXPECT_NE(complaints(of(0660)).find("the group 4711 may write this file of the user 0 (mode "
                                        "0660) and so decide who gets in: chmod g-w " +
                                        path),
              std::string::npos);
    EXPECT_TRUE(of(0640).config);
    ASSERT_EQ(::chown(path.c_str(), 4711, 4711), 0);
    EXPECT_TRUE(of(0660).config) << "the group of the user itself";
  }
  std::filesystem::remove(path);
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  EXPECT_NE(complaints(of(0600)).find("it is no plain file"), std::string::npos)
      << "and nobody waits for its writer";
  std::filesystem::remove(path);
}

TEST(GuardedFile, text_is_whole_and_bounded) {
  const std::string path = ::testing::TempDir() + "file-" + std::to_string(::getpid());
  std::ofstream{path} << std::string(200'000, 'x');
  EXPECT_EQ(read_guarded_file(path, 200'000, FileHolds::trust).text.size(), 200'000U);
  EXPECT_EQ(read_guarded_file(path, 199'999, FileHolds::trust).complaint,
            "larger than 199999 bytes");
  EXPECT_TRUE(read_guarded_file("/dev/zero", 100, FileHolds::trust)
                  .complaint.starts_with("this file can't be read"));
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace sluice::config
