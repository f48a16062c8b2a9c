// auth:, revoked: and failed_tokens: of the configuration file.
#include <algorithm>

#include "config/auth_parts.h"
#include "config/sections.h"

namespace sluice::config {

namespace {

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

constexpr std::string_view source_forms =
    "write header, { field: NAME }, { cookie: NAME }, { query: NAME } or { protocol: NAME }";

void read_sources(Document& document, const YAML::Node& node, AuthConfig& entry) {
  using Kind = auth::TokenSource::Kind;
  static constexpr std::pair<std::string_view, Kind> kinds[] = {{"cookie", Kind::cookie},
                                                                {"query", Kind::query},
                                                                {"field", Kind::field},
                                                                {"protocol", Kind::protocol}};
  entry.sources.clear();
  for (const YAML::Node& item : document.list(node)) {
    if (item.IsScalar()) {
      if (document.word(item, {"header"})) entry.sources.push_back({});
      continue;
    }
    const Section section{document, item, "token_from", {"cookie", "query", "field", "protocol"}};
    const size_t before = entry.sources.size();
    for (const auto& [key, kind] : kinds) {
      const YAML::Node named = section.get(key);
      if (!named.IsDefined()) continue;
      const auto name = document.text(named, "a name");
      if (name && !is_token(*name)) document.complain(named, "\"" + *name + "\" is no name");
      entry.sources.push_back({kind, name.value_or("")});
    }
    if (entry.sources.size() != before + 1) document.complain(item, std::string{source_forms});
  }
}

// TEXT, { match: TEXT with * }, or a list of them.
void read_issuers(Document& document, const YAML::Node& node, auth::Provider& provider) {
  for (const YAML::Node& item : document.list(node)) {
    auth::Issuer issuer;
    YAML::Node from = item;
    if (item.IsMap()) {
      const Section section{document, item, "issuer", {"match"}};
      issuer.kind = auth::Issuer::Kind::pattern;
      from.reset(section.get("match"));
    }
    const auto text = from.IsDefined()
                          ? document.text(from, "a text, or { match: https://id.example/*/v2.0 }")
                          : std::nullopt;
    const bool has_star = text && text->find('*') != std::string::npos;
    if (!text || text->empty()) {
      document.complain(item, "write the text that \"iss\" has, or { match: TEXT with a * }");
    } else if (issuer.kind == auth::Issuer::Kind::pattern && !has_star) {
      document.complain(from, "without a * this is one issuer; write it as a text");
    } else {
      if (issuer.kind == auth::Issuer::Kind::exact && has_star)
        document.warn(
            from, "a * stands for itself here; for any tenant write { match: \"" + *text + "\" }");
      issuer.text = *text;
      provider.issuers.push_back(std::move(issuer));
    }
  }
}

void read_conditions(Document& document, const Section& section, auth::Provider& provider) {
  const auto text = [](const std::string& value) -> Parsed<std::string> { return value; };
  if (section.has("issuer")) read_issuers(document, section.get("issuer"), provider);
  section.read("type", provider.type, "a text like at+jwt", text);
  if (section.has("roles_claim")) {
    if (auto claim = read_claim(document, section.get("roles_claim")))
      provider.roles_claim = std::move(*claim);
  }
  if (section.has("audience_claim")) {
    if (auto claim = read_claim(document, section.get("audience_claim")))
      provider.audience_claim = std::move(*claim);
    if (!section.has("audiences"))
      document.complain(section.get("audience_claim"),
                        "nothing is asked of it; write audiences: [..] as well");
  }
  section.read<size_t>("max_token", provider.token_bytes, "a size like 16KiB",
                       [](const std::string& size) -> Parsed<size_t> {
                         const auto bytes = parse_size(size);
                         if (const auto* complaint = std::get_if<Complaint>(&bytes))
                           return *complaint;
                         const uint64_t number = std::get<uint64_t>(bytes);
                         if (number >= 256 && number <= auth::token_bytes_max) return number;
                         return Complaint{"\"" + size +
                                          "\" is not between 256B and 31KiB, which is "
                                          "what fits into a head"};
                       });
  if (const YAML::Node word_at = section.get("on_too_long"); word_at.IsDefined()) {
    if (const auto word = document.word(word_at, {"omit", "refuse"}))
      provider.on_too_long = *word == "omit" ? auth::TooLong::omit : auth::TooLong::refuse;
  }
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

void read_keys(Document& document, const Section& section, const std::string& name,
               AuthConfig& entry) {
  const bool has_tokens = section.has("secret") || section.has("pem") || section.has("jwks") ||
                          section.has("discovery");
  if (section.has("secret")) read_secret_keys(document, section.get("secret"), entry);
  if (section.has("pem")) read_pem_keys(document, section.get("pem"), entry);
  if (section.has("jwks")) read_jwks(document, section.get("jwks"), entry);
  if (section.has("discovery")) read_discovery(document, section, entry);
  if (section.has("token_from")) read_sources(document, section.get("token_from"), entry);
  if (section.has("keys")) read_api_keys(document, section.get("keys"), entry);
  if (section.has("basic")) read_basic(document, section.get("basic"), entry);
  const bool has_others = has_tokens || section.has("token_from");
  if (section.has("keys") && (has_others || section.has("basic"))) {
    document.complain(
        section.get("keys"),
        "API keys and others are two entries; a route may accept both: auth: [NAME, NAME]");
  } else if (section.has("basic") && has_others) {
    document.complain(
        section.get("basic"),
        "passwords and tokens are two entries; a route may accept both: auth: [NAME, NAME]");
  }
  if (!has_tokens && !section.has("keys") && !section.has("basic")) {
    document.complain(
        section.node(),
        "auth " + name +
            " has no keys; write secret: { env: NAME }, pem: [FILE], jwks: { file: "
            "PATH }, jwks: { url: URL }, discovery: URL, keys: { file: PATH } or basic: { "
            "file: PATH }");
  }
}

void read_entry(Document& document, Config& config, const std::string& name,
                const YAML::Node& node) {
  const Section section{
      document, node, "auth." + name, {"secret",         "jwks",           "pem",
                                       "keys",           "basic",          "algorithms",
                                       "issuer",         "audiences",      "type",
                                       "skew",           "max_lifetime",   "expiry",
                                       "cache_ttl",      "roles_claim",    "token_from",
                                       "headers",        "payload_header", "strip_authorization",
                                       "strict_keys",    "max_token",      "on_too_long",
                                       "audience_claim", "discovery"}};
  AuthConfig entry;
  entry.provider.name = name;
  bool is_strict = false;
  section.read_switch("strict_keys", is_strict);
  if (is_strict) entry.key_sources.strength = auth::KeyStrength::strict;
  if (section.has("algorithms")) {
    entry.provider.algorithms = read_algorithms(document, section.get("algorithms"));
  } else if (!section.has("secret") && !section.has("keys") && !section.has("basic")) {
    document.complain(
        node, "auth " + name +
                  " does not say which algorithms its keys are for; write algorithms: [ES256]");
  }
  read_conditions(document, section, entry.provider);
  read_keys(document, section, name, entry);
  if (section.has("headers")) read_claim_fields(document, config, section.get("headers"), entry);
  section.read("payload_header", entry.payload_field, "the name of a header field",
               [](const std::string& text) -> Parsed<std::string> {
                 if (is_token(text) && text.find('_') == std::string::npos) return text;
                 return Complaint{"\"" + text + "\" is no name of a field"};
               });
  if (!entry.payload_field.empty()) entry.provider.payload_field = auth::PayloadField::sent;
  if (const YAML::Node strip = section.get("strip_authorization"); strip.IsDefined()) {
    if (const auto word = document.word(strip, {"true", "false"}); word && *word == "true")
      entry.credential = Credential::strip;
  }
  config.auth.push_back(std::move(entry));
}

}  // namespace

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
  read_policy(document, section, config.failed_tokens.policy);
}

}  // namespace sluice::config
