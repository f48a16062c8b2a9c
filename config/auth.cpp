// auth:, revoked: and failed_tokens: of the configuration file, and require: of its routes.
#include <sys/stat.h>

#include <algorithm>

#include "auth/jwks.h"
#include "config/environment.h"
#include "config/sections.h"

namespace sluice::config {

namespace {

constexpr size_t key_file_bytes_max = 64 * 1024;

// { env: NAME } or { file: PATH }; never the secret itself.
std::optional<std::string> read_secret(Document& document, const YAML::Node& node) {
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
    struct stat info {};
    if (::stat(name->c_str(), &info) == 0 && (info.st_mode & S_IROTH) != 0) {
      document.complain(source, "everybody may read " + *name +
                                    "; a secret is not safe there: chmod o-r " + *name);
      return std::nullopt;
    }
    document.note_file(*name);
    const auto text = read_plain_file(*name, key_file_bytes_max);
    if (const auto* whole = std::get_if<std::string>(&text))
      secret = whole->substr(0, whole->find('\n'));
  }
  if (!secret.empty()) return secret;
  if (auto other = stand_in_for_secret()) return other;
  document.complain(source, section.has("env") ? "the variable " + *name + " is not set, or empty"
                                               : "the file " + *name +
                                                     " can't be read, or its first line is empty");
  return std::nullopt;
}

std::vector<auth::Algorithm> read_algorithms(Document& document, const YAML::Node& node) {
  std::vector<auth::Algorithm> algorithms;
  std::string known;
  std::vector<std::string_view> names;
  for (const auto& of : auth::all_algorithms()) {
    names.push_back(of.name);
    known += (known.empty() ? "" : ", ") + std::string{of.name};
  }
  for (const YAML::Node& item : document.list(node)) {
    const auto name = document.text(item, "an algorithm like ES256");
    if (!name) continue;
    if (const auto algorithm = auth::parse_algorithm(*name)) {
      algorithms.push_back(*algorithm);
      continue;
    }
    const std::string_view meant = nearest(*name, names);
    document.complain(item,
                      "\"" + *name + "\" is none of " + known +
                          (meant.empty() ? "" : "; did you mean " + std::string{meant} + "?"));
  }
  return algorithms;
}

bool is_hmac(auth::Algorithm algorithm) { return auth::family(algorithm) == auth::Family::hmac; }

void read_secret_keys(Document& document, const Section& section, AuthConfig& entry) {
  const auto secret = read_secret(document, section.get("secret"));
  if (!secret) return;
  const bool is_strict = section.has("strict_keys") && section.get("strict_keys").IsScalar() &&
                         section.get("strict_keys").Scalar() == "true";
  for (const auth::Algorithm algorithm : entry.provider.algorithms) {
    if (!is_hmac(algorithm)) continue;
    entry.fixed_keys.push_back(auth::make_secret_key(algorithm, *secret));
    if (auth::is_long_enough(*entry.fixed_keys.back())) continue;
    const std::string text = "the secret has " + std::to_string(secret->size()) + " bytes; " +
                             std::string{auth::to_string(algorithm)} + " wants " +
                             std::to_string(auth::traits(algorithm).digest_bytes) +
                             " or more (RFC 7518 3.2)";
    if (is_strict) {
      document.complain(section.get("secret"), text);
    } else if (entry.fixed_keys.size() == 1) {  // one secret serves several algorithms; the first
                                                // is the one that most tokens use
      document.warn(section.get("secret"), text + "; shorter ones can be guessed from a token");
    }
  }
  if (entry.fixed_keys.empty())
    document.complain(
        section.get("secret"),
        "a secret is for HS256, HS384 or HS512, and none of them is among the algorithms");
}

void read_pem_keys(Document& document, const YAML::Node& node, AuthConfig& entry) {
  for (const YAML::Node& item : document.list(node)) {
    const auto path = document.text(item, "the path of a PEM file");
    if (!path) continue;
    document.note_file(*path);
    const auto text = read_plain_file(*path, key_file_bytes_max);
    if (!std::holds_alternative<std::string>(text)) {
      document.complain(item, "the file " + *path + " can't be read");
      continue;
    }
    auto key = auth::make_pem_key(std::get<std::string>(text), entry.provider.algorithms);
    if (const auto* complaint = std::get_if<auth::KeyComplaint>(&key)) {
      document.complain(item, *path + ": " + complaint->text);
    } else {
      entry.fixed_keys.push_back(std::get<auth::SharedKey>(key));
    }
  }
}

void read_jwks(Document& document, const YAML::Node& node, KeySources& sources) {
  const Section section{
      document, node, "jwks", {"file", "url", "ca", "refresh", "copy", "insecure"}};
  const auto path = [](const std::string& text) -> Parsed<std::string> { return text; };
  section.read("file", sources.jwks_file, "a path", path);
  section.read("url", sources.jwks_url, "a URL", path);
  section.read("ca", sources.jwks_ca, "a path", path);
  section.read("copy", sources.jwks_copy, "a path", path);
  section.read_duration("refresh", sources.refresh);
  if (sources.jwks_file.empty() == sources.jwks_url.empty())
    document.complain(node, "write either { file: PATH } or { url: URL }");
  if (sources.jwks_url.empty()) return;
  bool is_insecure = false;
  if (const YAML::Node insecure = section.get("insecure"); insecure.IsDefined()) {
    const auto word = document.word(insecure, {"true", "false"});
    is_insecure = word && *word == "true";
  }
  const bool is_plain = sources.jwks_url.starts_with("http://");
  if (!is_plain && !sources.jwks_url.starts_with("https://")) {
    document.complain(section.get("url"),
                      "\"" + sources.jwks_url + "\" is not a URL like https://id.example/keys");
  } else if (is_plain && !is_insecure && !is_loopback_url(sources.jwks_url)) {
    document.complain(
        section.get("url"),
        "keys that come over http can be anybody's; write https://, or insecure: true");
  }
}

// header, { cookie: NAME } or { query: NAME }.
void read_sources(Document& document, const YAML::Node& node, AuthConfig& entry) {
  using Kind = auth::TokenSource::Kind;
  entry.sources.clear();
  for (const YAML::Node& item : document.list(node)) {
    if (item.IsScalar()) {
      if (document.word(item, {"header"})) entry.sources.push_back({});
      continue;
    }
    const Section section{document, item, "token_from", {"cookie", "query"}};
    if (section.has("cookie") == section.has("query")) {
      document.complain(item, "write header, { cookie: NAME } or { query: NAME }");
      continue;
    }
    const YAML::Node named = section.get(section.has("cookie") ? "cookie" : "query");
    const auto name = document.text(named, "a name");
    if (name && is_token(*name)) {
      entry.sources.push_back({section.has("cookie") ? Kind::cookie : Kind::query, *name});
    } else if (name) {
      document.complain(named, "\"" + *name + "\" is no name");
    }
  }
}

void read_claim_fields(Document& document, Config& config, const YAML::Node& node,
                       AuthConfig& entry) {
  for_each_named(document, node, "headers", [&](const std::string& field, const YAML::Node& value) {
    const auto claim = document.text(value, "the name of a claim");
    if (!claim) return;
    if (field.find('_') != std::string::npos) {
      document.complain(value,
                        "\"" + field + "\" has a '_', and endpoints may not tell it from '-'");
    } else if (!is_token(*claim)) {
      document.complain(value, "\"" + *claim + "\" is no claim");
    } else if (const auto index = claim_index(document, config, value, *claim)) {
      entry.claim_fields.push_back({field, *index});
    }
  });
}

void read_conditions(Document& document, const Section& section, auth::Provider& provider) {
  const auto text = [](const std::string& value) -> Parsed<std::string> { return value; };
  section.read("issuer", provider.issuer, "a text", text);
  section.read("type", provider.type, "a text like at+jwt", text);
  section.read("roles_claim", provider.roles_claim, "the name of a claim", text);
  if (section.has("audiences"))
    provider.audiences = document.texts(section.get("audiences"), "a text");
  const auto seconds = [&](std::string_view key, std::chrono::seconds& into) {
    core::Duration duration = into;
    section.read_duration(key, duration);
    into = std::chrono::duration_cast<std::chrono::seconds>(duration);
  };
  seconds("skew", provider.skew);
  seconds("max_lifetime", provider.max_lifetime);
  seconds("cache_ttl", provider.cache_ttl);
  if (const YAML::Node expiry = section.get("expiry"); expiry.IsDefined()) {
    if (const auto word = document.word(expiry, {"required", "optional"})) {
      provider.expiry = *word == "optional" ? auth::Expiry::optional : auth::Expiry::required;
    }
  }
}

void read_api_keys(Document& document, const YAML::Node& node, AuthConfig& entry) {
  const Section section{document, node, "keys", {"file", "header"}};
  std::string header = "X-API-Key";
  section.read("header", header, "the name of a header field",
               [](const std::string& text) -> Parsed<std::string> {
                 if (is_token(text)) return text;
                 return Complaint{"\"" + text + "\" is no name of a field"};
               });
  entry.sources = {{auth::TokenSource::Kind::api_key, header}};
  entry.provider.kind = auth::CredentialKind::api_key;
  if (!section.has("file")) {
    document.complain(node, "write keys: { file: PATH }");
  } else if (const auto path = document.text(section.get("file"), "a path")) {
    entry.key_sources.api_keys_file = *path;
  }
}

void read_entry(Document& document, Config& config, const std::string& name,
                const YAML::Node& node) {
  const Section section{
      document,
      node,
      "auth." + name,
      {"secret", "jwks", "pem", "keys", "algorithms", "issuer", "audiences", "type", "skew",
       "max_lifetime", "expiry", "cache_ttl", "roles_claim", "token_from", "headers",
       "payload_header", "strip_authorization", "strict_keys"}};
  AuthConfig entry;
  entry.provider.name = name;
  if (section.has("algorithms")) {
    entry.provider.algorithms = read_algorithms(document, section.get("algorithms"));
  } else if (!section.has("secret") && !section.has("keys")) {
    document.complain(
        node, "auth " + name +
                  " does not say which algorithms its keys are for; write algorithms: [ES256]");
  }
  read_conditions(document, section, entry.provider);
  if (section.has("secret")) read_secret_keys(document, section, entry);
  if (section.has("pem")) read_pem_keys(document, section.get("pem"), entry);
  if (section.has("jwks")) read_jwks(document, section.get("jwks"), entry.key_sources);
  if (section.has("token_from")) read_sources(document, section.get("token_from"), entry);
  if (section.has("keys")) read_api_keys(document, section.get("keys"), entry);
  if (section.has("keys") && (section.has("secret") || section.has("pem") || section.has("jwks") ||
                              section.has("token_from"))) {
    document.complain(
        section.get("keys"),
        "API keys and tokens are two entries; a route may accept both: auth: [NAME, NAME]");
  }
  if (!section.has("secret") && !section.has("pem") && !section.has("jwks") &&
      !section.has("keys")) {
    document.complain(node, "auth " + name +
                                " has no keys; write secret: { env: NAME }, pem: [FILE], jwks: { "
                                "file: PATH }, jwks: { url: URL } or keys: { file: PATH }");
  }
  if (section.has("headers")) read_claim_fields(document, config, section.get("headers"), entry);
  section.read("payload_header", entry.payload_field, "the name of a header field",
               [](const std::string& text) -> Parsed<std::string> {
                 if (is_token(text) && text.find('_') == std::string::npos) return text;
                 return Complaint{"\"" + text + "\" is no name of a field"};
               });
  if (const YAML::Node strip = section.get("strip_authorization"); strip.IsDefined()) {
    if (const auto word = document.word(strip, {"true", "false"}); word && *word == "true")
      entry.credential = Credential::strip;
  }
  config.auth.push_back(std::move(entry));
}

}  // namespace

bool is_token(std::string_view text) {
  const auto fits = [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
  };
  return !text.empty() && text.size() <= name_bytes_max &&
         std::all_of(text.begin(), text.end(), fits);
}

std::optional<uint16_t> claim_index(Document& document, Config& config, const YAML::Node& node,
                                    const std::string& name) {
  const auto found = std::find(config.claims.begin(), config.claims.end(), name);
  if (found != config.claims.end()) return static_cast<uint16_t>(found - config.claims.begin());
  if (config.claims.size() == auth::claims_max) {
    document.complain(
        node, "more than " + std::to_string(auth::claims_max) + " different claims are used");
    return std::nullopt;
  }
  config.claims.push_back(name);
  return static_cast<uint16_t>(config.claims.size() - 1);
}

void read_auth(Document& document, Config& config, const YAML::Node& node) {
  for_each_named(document, node, "auth", [&](const std::string& name, const YAML::Node& value) {
    const auto is_same = [&](const AuthConfig& other) { return other.provider.name == name; };
    if (std::any_of(config.auth.begin(), config.auth.end(), is_same)) {
      document.complain(value, "another file has an auth called \"" + name + "\" too");
      return;
    }
    if (name == "none" || name == "optional") {
      document.complain(
          value, "\"" + name +
                     "\" has a meaning of its own where routes name their auth; call it otherwise");
    } else if (config.auth.size() == auth::providers_max) {
      document.complain(value, "more than " + std::to_string(auth::providers_max) + " entries");
    } else {
      read_entry(document, config, name, value);
    }
  });
}

void read_revoked(Document& document, Config& config, const YAML::Node& node) {
  const Section section{document, node, "revoked", {"file"}};
  if (const auto path = document.text(section.get("file"), "{ file: PATH }"))
    config.revocations_file = *path;
}

void read_failed_tokens(Document& document, Config& config, const YAML::Node& node) {
  const Section section{document, node, "failed_tokens", {"rate", "burst"}};
  limiter::Policy& policy = config.failed_tokens.policy;
  policy.delay = 0;
  read_policy(document, section, policy);
  policy.delay = policy.burst;  // nobody is held for it
}

void read_require(Document& document, Config& config, const YAML::Node& node, Route& route) {
  const Section section{document, node, "require", {"scope", "role_any", "claim"}};
  auth::Requirement requirement;
  if (section.has("scope")) requirement.scopes = document.texts(section.get("scope"), "a scope");
  if (section.has("role_any"))
    requirement.roles_any = document.texts(section.get("role_any"), "a role");
  for_each_named(document, section.get("claim"), "claim",
                 [&](const std::string& name, const YAML::Node& value) {
                   if (const auto text = document.text(value, "the value that the claim must have"))
                     requirement.claims.emplace_back(name, *text);
                 });
  if (requirement == auth::Requirement{}) {
    document.complain(
        node, "this requires nothing; write scope: [..], role_any: [..] or claim: { NAME: VALUE }");
    return;
  }
  if (route.auth != AuthMode::required)
    document.complain(node, "require needs a token on every request; write auth: NAME");
  auto& all = config.requirements;
  const auto found = std::find(all.begin(), all.end(), requirement);
  route.requirement = static_cast<uint8_t>(found - all.begin());
  if (found != all.end()) return;
  if (all.size() == auth::requirements_max) {
    document.complain(
        node, "more than " + std::to_string(auth::requirements_max) + " different requirements");
  } else {
    all.push_back(std::move(requirement));
  }
}

}  // namespace sluice::config
