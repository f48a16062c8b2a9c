// tls:, hsts and redirect_to_https: what they mean, and what is wrong with them.
#include <gtest/gtest.h>

#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "config/environment.h"
#include "tests/unit/broken_config.h"
#include "tests/unit/tls_rig.h"

namespace sluice::config {
namespace {

using tests::authority;
using tests::issue;
using tests::Issued;
using tests::pem_of;

// Files of certificates in a folder of their own, and a configuration that names them.
class ConfigTls : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "tls.XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    write("ca.pem", pem_of(authority().certificate.get()));
    put("api", issue({}, &authority()));
    put("rsa", issue({.key = "RSA"}, &authority()));
    put("expired", issue({.from_days = -9, .until_days = -1}, &authority()));
    put("other", issue({.subject = "other", .names = "DNS:other.example"}, &authority()));
    write("empty.pem", "");
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void write(const std::string& name, const std::string& text, mode_t mode = 0600) {
    std::ofstream{folder_ + "/" + name} << text;
    ::chmod((folder_ + "/" + name).c_str(), mode);
  }
  void put(const std::string& name, const Issued& issued) {
    write(name + ".pem", pem_of(issued.certificate.get()) + pem_of(authority().certificate.get()));
    write(name + ".key", pem_of(issued.key.get()));
  }
  // "@" stands for the folder.
  [[nodiscard]] std::string placed(std::string text) const {
    for (size_t at; (at = text.find('@')) != std::string::npos;) text.replace(at, 1, folder_);
    return text;
  }
  [[nodiscard]] ConfigReading read(const std::string& text) const {
    return read_config_text("sluice.yaml", placed(text));
  }

  std::string folder_;
  const std::string good_ = R"(
listen:
  - address: 127.0.0.1:8443
    tls:
      certificates: [{ chain: @/api.pem, key: @/api.key }, { chain: @/rsa.pem, key: @/rsa.key }]
      policy: modern
      strict_sni: true
      alpn: [http/1.1]
      client: { verify: optional, ca: @/ca.pem }
    hsts: { max_age: 30d, include_subdomains: true }
  - { address: "127.0.0.1:8080", redirect_to_https: true }
  - { address: "127.0.0.1:8081", redirect_to_https: 9443 }
upstreams:
  safe: { endpoints: ["https://127.0.0.1:9443", "https://api.example/"],
    tls: { ca: @/ca.pem, name: api.example,
           certificate: { chain: @/api.pem, key: @/api.key } } }
routes:
  - { match: { path_prefix: / }, auth: none, upstream: safe, hsts: false }
)";
};

TEST_F(ConfigTls, good_file_becomes_what_it_describes) {
  const ConfigReading reading = read(good_);
  for (const auto& complaint : reading.complaints) ADD_FAILURE() << complaint;
  for (const auto& warning : reading.warnings) ADD_FAILURE() << warning;
  ASSERT_TRUE(reading.config);
  const ListenerConfig& listener = reading.config->listeners[0];
  ASSERT_NE(listener.tls, nullptr);
  const tls::ServerOptions& options = listener.tls->options;
  EXPECT_EQ(options.certificates.size(), 2U);
  EXPECT_EQ(options.policy, tls::Policy::modern);
  EXPECT_EQ(options.unknown_name, tls::UnknownName::alert);
  EXPECT_EQ(options.client, tls::ClientCertificate::optional);
  EXPECT_FALSE(options.client_ca.empty());
  EXPECT_EQ(listener.hsts, "max-age=2592000; includeSubDomains");
  EXPECT_EQ(reading.config->listeners[1].https, HttpsRedirect::on);
  EXPECT_EQ(reading.config->listeners[1].https_port, 8443);
  EXPECT_EQ(reading.config->listeners[2].https_port, 9443);
  EXPECT_EQ(reading.config->listeners[2].tls, nullptr);
  EXPECT_EQ(reading.config->routes.back().hsts, "");
  const UpstreamConfig& upstream = reading.config->upstreams[0];
  ASSERT_NE(upstream.tls, nullptr);
  EXPECT_EQ(upstream.tls->name, "api.example");
  EXPECT_EQ(upstream.tls->options.verification, tls::Verification::full);
  EXPECT_NE(upstream.tls->options.certificate, nullptr);
  EXPECT_EQ(upstream.endpoints[0].scheme, Scheme::https);
  EXPECT_EQ(upstream.endpoints[1].port, 443);
  const auto files = reading.config->files;
  for (const char* name : {"/api.pem", "/api.key", "/ca.pem"})
    EXPECT_NE(std::find(files.begin(), files.end(), folder_ + name), files.end()) << name;
}

TEST_F(ConfigTls, every_mistake_is_said_with_its_place_and_what_is_accepted) {
  const std::vector<tests::Broken> table = {
      {"chain: @/api.pem", "chain: @/none.pem", "sluice.yaml:5:22: @/none.pem: this file can't be"},
      {"key: @/api.key", "key: @/none.key", "@/none.key: this file can't be read"},
      {"key: @/api.key", "key: @/other.key",
       "this key does not match the certificate of @/api.pem"},
      {"chain: @/api.pem, key", "key", "a certificate needs chain and key"},
      {"chain: @/api.pem", "chain: @/empty.pem", "@/empty.pem: holds no certificate"},
      {"key: @/api.key }", "key: @/api.key, crt: x }", "unknown key \"crt\" in a certificate"},
      {"policy: modern", "policy: old", "\"old\" is not modern or intermediate"},
      {"alpn: [http/1.1]", "alpn: [spdy/3]", "\"spdy/3\" is not h2 or http/1.1"},
      {"verify: optional", "verify: maybe", "\"maybe\" is not required or optional"},
      {"verify: optional, ", "", "client without verify"},
      {", ca: @/ca.pem }\n    hsts", " }\n    hsts", "client without ca: whose certificates"},
      {"ca: @/ca.pem }\n    hsts", "ca: @/api.key }\n    hsts", "@/api.key: holds no certificate"},
      {"ca: @/ca.pem }\n    hsts", "ca: @/ca.pem, crl: @/ca.pem }\n    hsts",
       "@/ca.pem: holds no revocation list"},
      {"max_age: 30d", "max_age: 30", "\"30\" is not a time of at most ten years"},
      {"include_subdomains: true", "preload: true", "only with include_subdomains"},
      {"8080\", redirect_to_https: true", "8080\", hsts: true",
       "browsers believe hsts only over TLS"},
      {"redirect_to_https: 9443", "redirect_to_https: maybe", "\"maybe\" is not true, or a port"},
      {"hsts: {", "redirect_to_https: true\n    hsts: {", "this listener speaks TLS"},
      {"[\"https://127.0.0.1:9443\", \"https://api.example/\"]", "[\"http://127.0.0.1:9443\"]",
       "upstream safe has no endpoint that begins with https://"},
      {"https://127.0.0.1:9443", "ftp://127.0.0.1",
       "is not a URL like http://127.0.0.1:9001 or https"},
      {"tls: { ca: @/ca.pem, name", "tls: { verify: none, ca: @/ca.pem, name",
       "verify: none believes everybody; leave one of them out"},
      {"name: api.example", "name: \"a b\"", "a b"},
  };
  for (const tests::Broken& broken : table) {
    const ConfigReading reading = read(tests::with(good_, broken.from, broken.to));
    EXPECT_FALSE(reading.config) << broken.to;
    std::string all;
    for (const auto& complaint : reading.complaints) {
      EXPECT_TRUE(complaint.starts_with("sluice.yaml:")) << complaint;
      all += complaint + "\n";
    }
    EXPECT_NE(all.find(placed(broken.complaint)), std::string::npos) << broken.to << "\n" << all;
  }
}

TEST_F(ConfigTls, what_serves_all_the_same_is_a_warning) {
  write("open.key", pem_of(issue({}).key.get()), 0644);
  const auto warning_of = [&](const std::string& from, const std::string& to) {
    const ConfigReading reading = read(tests::with(good_, from, to));
    for (const auto& complaint : reading.complaints) ADD_FAILURE() << complaint;
    std::string all;
    for (const auto& warning : reading.warnings) all += warning + "\n";
    return all;
  };
  const auto has = [](const std::string& text, const std::string& part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  has(warning_of("{ chain: @/rsa.pem, key: @/rsa.key }",
                 "{ chain: @/expired.pem, key: @/expired.key }"),
      "expired on 20");
  ::chmod((folder_ + "/api.key").c_str(), 0644);
  const ConfigReading open = read(good_);
  ASSERT_FALSE(open.warnings.empty());
  has(open.warnings[0], "everybody may read " + folder_ + "/api.key");
  ::chmod((folder_ + "/api.key").c_str(), 0600);
  has(warning_of("path_prefix: /", "host: other.example"),
      "no route serves api.example, a name of the certificate api.example");
  has(warning_of("tls: { ca: @/ca.pem, name", "tls: { verify: none, name"),
      "upstream safe: verify: none believes whoever answers");
  has(warning_of("{ chain: @/rsa.pem, key: @/rsa.key }", "{ chain: @/api.pem, key: @/api.key }"),
      "an earlier certificate has the name api.example and an ECDSA key");
}

TEST_F(ConfigTls, certificates_are_read_again_all_or_none) {
  Config config = *read(good_).config;
  const auto before = config.listeners[0].tls->options.certificates[0];
  put("api", issue({.subject = "renewed"}, &authority()));
  put("rsa", issue({.key = "RSA"}, &authority()));
  write("rsa.key", "broken");
  TlsReading outcome = read_tls_files_again(config);
  ASSERT_EQ(outcome.complaints.size(), 1U);
  EXPECT_NE(outcome.complaints[0].find("rsa.key: holds no private key"), std::string::npos);
  EXPECT_EQ(config.listeners[0].tls->options.certificates[0], before);
  put("rsa", issue({.key = "RSA"}, &authority()));
  outcome = read_tls_files_again(config);
  EXPECT_TRUE(outcome.complaints.empty());
  EXPECT_NE(config.listeners[0].tls->options.certificates[0], before);
  EXPECT_NE(config.upstreams[0].tls->options.certificate, nullptr);
  EXPECT_EQ(tls_files(config).size(), 8U);
}

}  // namespace
}  // namespace sluice::config
