// The keys of an entry of auth:, fixed ones and where others come from.
#include <algorithm>

#include "config/auth_parts.h"
#include "config/environment.h"
#include "config/guarded_file.h"
#include "config/sections.h"

namespace sluice::config {

namespace {

constexpr size_t key_file_bytes_max = 64 * 1024;

// { env: NAME } or { file: PATH }; never the secret itself.
std::optional<std::string> read_secret(Document& document, const YAML::Node& node,
                                       auth::KeyStrength strength) {
  if (!node.IsMap()) {
    document.complain(
        node, "a secret does not stand in this file; write { env: NAME } or { file: PATH }");
    return std::nullopt;
  }
  const Section section{document, node, "secret", {"env", "file"}};
  if (section.has("env") == section.has("file")) {
    document.complain(node, "write either { env: NAME } or { file: PATH }");
    return std::nullopt;
  }
  const YAML::Node source = section.get(section.has("env") ? "env" : "file");
  const auto name = document.text(source, "a name");
  if (!name) return std::nullopt;
  std::string secret;
  if (section.has("env")) {
    secret = secret_of_environment(*name).value_or("");
  } else {
    document.note_file(*name);
    const WholeFile file = read_guarded_file(*name, key_file_bytes_max, FileHolds::secrets);
    if (!file.complaint.empty()) {
      if (auto other = stand_in_for_secret()) return other;
      document.complain(source, "the file " + *name + ": " + file.complaint);
      return std::nullopt;
    }
    if (!file.warning.empty() && strength == auth::KeyStrength::strict) {
      document.complain(source, file.warning);
      return std::nullopt;
    }
    if (!file.warning.empty()) document.warn(source, file.warning);
    secret = file.text.substr(0, file.text.find_first_of("\r\n"));
  }
  if (!secret.empty()) return secret;
  if (auto other = stand_in_for_secret()) return other;
  document.complain(source, section.has("env")
                                ? "the variable " + *name + " is not set, or empty"
                                : "the first line of the file " + *name + " is empty");
  return std::nullopt;
}

bool is_hmac(auth::Algorithm algorithm) { return auth::family(algorithm) == auth::Family::hmac; }

}  // namespace

void read_secret_keys(Document& document, const YAML::Node& node, AuthConfig& entry) {
  const auth::KeyStrength strength = entry.key_sources.strength;
  const auto secret = read_secret(document, node, strength);
  if (!secret) return;
  for (const auth::Algorithm algorithm : entry.provider.algorithms) {
    if (!is_hmac(algorithm)) continue;
    entry.fixed_keys.push_back(auth::make_secret_key(algorithm, *secret));
    const auto weakness = auth::weakness(*entry.fixed_keys.back());
    if (!weakness) continue;
    if (strength == auth::KeyStrength::strict) {
      document.complain(node, *weakness);
    } else if (entry.fixed_keys.size() == 1) {  // one secret serves several algorithms; the first
                                                // is the one that most tokens use
      document.warn(node, *weakness + "; shorter ones can be guessed from a token");
    }
  }
  if (entry.fixed_keys.empty())
    document.complain(
        node, "a secret is for HS256, HS384 or HS512, and none of them is among the algorithms");
}

void read_pem_keys(Document& document, const YAML::Node& node, AuthConfig& entry) {
  for (const YAML::Node& item : document.list(node)) {
    const auto path = document.text(item, "the path of a PEM file");
    if (!path) continue;
    document.note_file(*path);
    const WholeFile file = read_guarded_file(*path, key_file_bytes_max, FileHolds::trust);
    if (!file.complaint.empty()) {
      document.complain(item, "the file " + *path + ": " + file.complaint);
      continue;
    }
    auto keys = auth::make_pem_keys(file.text, entry.provider.algorithms);
    if (const auto* complaint = std::get_if<auth::KeyComplaint>(&keys)) {
      document.complain(item, *path + ": " + complaint->text);
    } else {
      const auto& made = std::get<auth::SharedKeys>(keys);
      entry.fixed_keys.insert(entry.fixed_keys.end(), made.begin(), made.end());
    }
  }
}

namespace {

// Keys may not be anybody's: https, but on this machine.
void check_key_url(Document& document, const YAML::Node& at, const std::string& url,
                   bool is_insecure) {
  const bool is_plain = url.starts_with("http://");
  if (!is_plain && !url.starts_with("https://")) {
    document.complain(at, "\"" + url + "\" is not a URL like https://id.example/keys");
  } else if (is_plain && !is_insecure && !is_loopback_url(url)) {
    document.complain(
        at, "keys that come over http can be anybody's; write https://, or insecure: true");
  }
}

}  // namespace

void read_jwks(Document& document, const YAML::Node& node, AuthConfig& entry) {
  KeySources& sources = entry.key_sources;
  const Section section{
      document,
      node,
      "jwks",
      {"file", "url", "discovery", "ca", "refresh", "copy", "insecure", "bearer_file"}};
  const auto path = [](const std::string& text) -> Parsed<std::string> { return text; };
  section.read("file", sources.jwks_file, "a path", path);
  section.read("url", sources.jwks_url, "a URL", path);
  section.read("discovery", sources.discovery_url, "a URL", path);
  section.read("ca", sources.jwks_ca, "a path", path);
  section.read("copy", sources.jwks_copy, "a path", path);
  section.read("bearer_file", sources.bearer_file, "a path", path);
  section.read_duration("refresh", sources.refresh);
  const int ways = (sources.jwks_file.empty() ? 0 : 1) + (sources.jwks_url.empty() ? 0 : 1) +
                   (sources.discovery_url.empty() ? 0 : 1);
  if (ways != 1)
    document.complain(node, "write one of { file: PATH }, { url: URL } or { discovery: URL }");
  if (!sources.discovery_url.empty() && !sources.jwks_copy.empty())
    document.complain(section.get("copy"), "a copy is kept of what url names; write that here");
  if (!sources.jwks_file.empty() && !sources.bearer_file.empty())
    document.complain(section.get("bearer_file"), "nothing is fetched here that it could be for");
  bool is_insecure = false;
  section.read_switch("insecure", is_insecure);
  if (is_insecure) sources.transport = KeyTransport::any;
  if (!sources.jwks_url.empty())
    check_key_url(document, section.get("url"), sources.jwks_url, is_insecure);
  if (!sources.discovery_url.empty())
    check_key_url(document, section.get("discovery"), sources.discovery_url, is_insecure);
  if (!sources.discovery_url.empty() && entry.provider.issuers.empty())
    entry.provider.issuer_source = auth::IssuerSource::discovered;
}

void read_discovery(Document& document, const Section& section, AuthConfig& entry) {
  const YAML::Node node = section.get("discovery");
  if (section.has("jwks")) {
    document.complain(node, "write it within jwks, beside ca, bearer_file and the rest");
    return;
  }
  const auto url = document.text(node, "a URL");
  if (!url) return;
  check_key_url(document, node, *url, false);
  entry.key_sources.discovery_url = *url;
  if (entry.provider.issuers.empty()) entry.provider.issuer_source = auth::IssuerSource::discovered;
}

void read_basic(Document& document, const YAML::Node& node, AuthConfig& entry) {
  const Section section{document, node, "basic", {"file", "realm"}};
  std::string realm = "sluice";
  section.read("realm", realm, "a text", [](const std::string& text) -> Parsed<std::string> {
    const bool is_plain = std::all_of(text.begin(), text.end(), [](char c) {
      return c >= ' ' && c <= '~' && c != '"' && c != '\\';
    });
    if (is_plain && !text.empty() && text.size() <= name_bytes_max) return text;
    return Complaint{"a realm has 1 to " + std::to_string(name_bytes_max) +
                     " characters of ASCII, without quotes and backslashes"};
  });
  entry.sources = {{auth::TokenSource::Kind::basic, realm}};
  entry.provider.kind = auth::CredentialKind::password;
  if (!section.has("file")) {
    document.complain(node, "write basic: { file: PATH }, a file as htpasswd -B makes it");
  } else if (const auto path = document.text(section.get("file"), "a path")) {
    entry.key_sources.passwords_file = *path;
  }
}

void read_api_keys(Document& document, const YAML::Node& node, AuthConfig& entry) {
  const Section section{document, node, "keys", {"file", "header"}};
  std::string header = "X-API-Key";
  section.read("header", header, "the name of a header field",
               [](const std::string& text) -> Parsed<std::string> {
                 if (is_token(text) && text.size() <= name_bytes_max) return text;
                 return Complaint{"\"" + text + "\" is no name of a field, of at most " +
                                  std::to_string(name_bytes_max) + " characters"};
               });
  entry.sources = {{auth::TokenSource::Kind::api_key, header}};
  entry.provider.kind = auth::CredentialKind::api_key;
  if (!section.has("file")) {
    document.complain(node, "write keys: { file: PATH }");
  } else if (const auto path = document.text(section.get("file"), "a path")) {
    entry.key_sources.api_keys_file = *path;
  }
}

}  // namespace sluice::config
