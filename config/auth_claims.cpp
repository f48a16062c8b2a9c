// Claims: their names, the fields that they become, and what routes require of them.
#include <algorithm>

#include "config/auth_parts.h"
#include "config/sections.h"

namespace sluice::config {

namespace {

constexpr size_t claim_bytes_max = 256;
constexpr size_t claim_nesting_max = 7;  // of 8 levels of JSON, the token itself is one

bool is_claim_name(const std::string& text) {
  return !text.empty() && text.size() <= claim_bytes_max &&
         std::none_of(text.begin(), text.end(),
                      [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

void warn_of_blanks(Document& document, const YAML::Node& list) {
  for (const YAML::Node& item : document.list(list)) {
    if (!item.IsScalar()) continue;
    if (item.Scalar().empty() || item.Scalar().find(' ') != std::string::npos)
      document.warn(item, "\"" + item.Scalar() +
                              "\" can never match: scopes and roles are words with blanks between; "
                              "write a list of them");
  }
}

void read_required_claim(Document& document, const YAML::Node& key, const YAML::Node& value,
                         auth::Requirement& requirement) {
  const auto claim = read_claim(document, key);
  const auto text = document.text(value, "the value that the claim must have, or its list hold");
  if (!claim || !text) return;
  requirement.claims.emplace_back(*claim, *text);
}

}  // namespace

std::optional<std::string> read_claim(Document& document, const YAML::Node& node) {
  std::string claim;
  size_t depth = 0;
  for (const YAML::Node& part : document.list(node)) {
    const auto name = document.text(part, "the name of a claim");
    if (!name) return std::nullopt;
    if (!is_claim_name(*name)) {
      document.complain(part, "\"" + *name + "\" is no name of a claim");
      return std::nullopt;
    }
    claim += (depth++ == 0 ? "" : std::string{auth::claim_separator}) + *name;
  }
  if (depth == 0) {
    document.complain(node, "write the name of a claim, or the names on the way to it");
    return std::nullopt;
  }
  if (depth > claim_nesting_max)
    document.warn(node, "this can never match: no token is nested as deep");
  return claim;
}

namespace {

// Whether one of the route's providers takes tokens of this issuer.
bool may_issue(const Config& config, const Route& route, const std::string& issuer) {
  for (size_t index = 0; index < config.auth.size(); ++index) {
    const auth::Provider& of = config.auth[index].provider;
    if ((route.providers >> index & 1) == 0 || of.kind != auth::CredentialKind::token) continue;
    const auto is_it = [&](const auth::Issuer& each) { return auth::is_of(each, issuer); };
    if (of.issuers.empty() || std::any_of(of.issuers.begin(), of.issuers.end(), is_it)) return true;
  }
  return false;
}

// API keys bring their subject and nothing else.
void warn_of_api_key(Document& document, const YAML::Node& at, const AuthConfig& entry,
                     const std::string& claim) {
  if (entry.provider.kind != auth::CredentialKind::token && claim != "sub")
    document.warn(at, "this field is never sent: an API key has no claim but sub");
}

}  // namespace

void read_claim_fields(Document& document, Config& config, const YAML::Node& node,
                       AuthConfig& entry) {
  for_each_named(document, node, "headers", [&](const std::string& field, const YAML::Node& value) {
    const auto claim = read_claim(document, value);
    if (!claim) return;
    const auto is_same = [&](const ClaimField& other) {
      return config.claims[other.claim] == *claim;
    };
    if (field.find('_') != std::string::npos) {
      document.complain(value,
                        "\"" + field + "\" has a '_', and endpoints may not tell it from '-'");
    } else if (std::any_of(entry.claim_fields.begin(), entry.claim_fields.end(), is_same)) {
      document.complain(value, "this claim goes into another field already");
    } else if (const auto index = claim_index(document, config, value, *claim)) {
      warn_of_api_key(document, value, entry, *claim);
      entry.claim_fields.push_back({field, *index});
    }
  });
}

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

namespace {

// What may be said to a client of what it does not meet: in quotes, of a length that fits.
std::vector<std::string> names_of(const auth::Requirement& requirement) {
  constexpr size_t bytes_max = 80;
  std::vector<std::string> names{"scope", "role_any"};
  for (const auto& [claim, value] : requirement.claims) {
    std::string name = "claim " + auth::claim_in_words(claim).substr(0, bytes_max);
    for (char& c : name) {
      if (c < ' ' || c > '~' || c == '"' || c == '\\') c = '?';
    }
    names.push_back(std::move(name));
  }
  return names;
}

}  // namespace

void read_require(Document& document, Config& config, const YAML::Node& node, Route& route) {
  const Section section{document, node, "require", {"scope", "role_any", "claim"}};
  auth::Requirement requirement;
  if (section.has("scope")) requirement.scopes = document.texts(section.get("scope"), "a scope");
  if (section.has("role_any"))
    requirement.roles_any = document.texts(section.get("role_any"), "a role");
  if (section.has("scope")) warn_of_blanks(document, section.get("scope"));
  if (section.has("role_any")) warn_of_blanks(document, section.get("role_any"));
  if (const YAML::Node claims = section.get("claim"); claims.IsDefined()) {
    if (!claims.IsMap())
      document.complain(claims,
                        "write { NAME: VALUE }, or { [NAME, NAME]: VALUE } for a nested one");
    for (const auto& pair : claims)
      if (claims.IsMap()) read_required_claim(document, pair.first, pair.second, requirement);
  }
  if (requirement == auth::Requirement{}) {
    document.complain(
        node, "this requires nothing; write scope: [..], role_any: [..] or claim: { NAME: VALUE }");
    return;
  }
  if (route.auth != AuthMode::required)
    document.complain(node, "require needs a token on every request; write auth: NAME");
  bool has_tokens = false;
  for (size_t index = 0; index < config.auth.size(); ++index) {
    has_tokens = has_tokens || ((route.providers >> index & 1) != 0 &&
                                config.auth[index].provider.kind == auth::CredentialKind::token);
  }
  if (route.auth == AuthMode::required && !has_tokens)
    document.warn(node,
                  "this can never match: API keys and passwords have no scopes, roles and claims");
  for (const auto& [claim, value] : requirement.claims) {
    if (claim == "iss" && !may_issue(config, route, value))
      document.warn(node,
                    "\"" + value + "\" can never match: no auth of this route has that issuer");
  }
  requirement.names = names_of(requirement);
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
