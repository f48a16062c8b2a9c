// sluice check, sluice config: judge a configuration file, and say what it means.
#include <fmt/core.h>

#include "cli/commands.h"
#include "config/environment.h"
#include "config/reader.h"
#include "config/schema.h"
#include "gateway/gateway.h"
#include "gateway/key_keeper.h"
#include "gateway/resolver.h"
#include "gateway/service.h"

namespace sluice::cli {

namespace {

constexpr std::string_view not_asked = "not asked without --resolve";

std::string key_in_words(const config::Config& config, const config::NamedLimit& limit) {
  std::string text;
  for (const config::KeyPart& part : limit.key) {
    if (!text.empty()) text += " and ";
    switch (part.kind) {
      case config::KeyPart::Kind::address: text += "client address"; break;
      case config::KeyPart::Kind::route: text += "route"; break;
      case config::KeyPart::Kind::claim:
        text += "claim " + auth::claim_in_words(config.claims[part.claim]);
        break;
      case config::KeyPart::Kind::header: text += "header " + part.name; break;
    }
  }
  return text;
}

std::string route_in_words(const config::Config& config, const config::Route& route) {
  std::string text = route.auth == config::AuthMode::none       ? "no token"
                     : route.auth == config::AuthMode::optional ? "token optional"
                                                                : "token required";
  for (const auto& list : {route.limits_before, route.limits_after}) {
    for (const uint16_t limit : list) text += ", " + config.limits[limit].reason;
  }
  return text;
}

// What a route does otherwise than others.
std::string options_in_words(const config::Route& route) {
  std::string text;
  if (route.path.encoded_slash == config::PathRules::EncodedSlash::keep)
    text += ", keeps %2F and %5C";
  if (route.path.slashes == config::PathRules::Slashes::keep) text += ", keeps runs of slashes";
  switch (route.underscores) {
    case http::Underscores::drop: break;
    case http::Underscores::pass: text += ", passes fields with _"; break;
    case http::Underscores::refuse: text += ", refuses fields with _"; break;
  }
  switch (route.forwarded) {
    case http::ForwardedForm::x: break;
    case http::ForwardedForm::rfc7239: text += ", sends Forwarded"; break;
    case http::ForwardedForm::both: text += ", sends X-Forwarded-* and Forwarded"; break;
    case http::ForwardedForm::none: text += ", says nothing of the client"; break;
  }
  if (route.via == config::RequestVia::send) text += ", sends Via";
  if (route.body_bytes) {
    text += *route.body_bytes == 0
                ? ", bodies of any size"
                : ", bodies up to " + std::to_string(*route.body_bytes) + " bytes";
  }
  return text;
}

std::string what_in_words(const config::Config& config, const config::Route& route) {
  switch (route.kind) {
    case config::RouteKind::upstream: {
      std::string text;
      for (const config::TrafficSplit::Part& part : route.to.parts) {
        text += (text.empty() ? "" : " or ") + config.upstreams[part.upstream].name;
        if (route.to.parts.size() > 1)
          text +=
              " (" + std::to_string(part.weight) + " of " + std::to_string(route.to.weights) + ")";
      }
      return "to " + text + ", " + route_in_words(config, route) + options_in_words(route);
    }
    case config::RouteKind::redirect:
      return std::to_string(route.redirect.status) + " to " + route.redirect.to + ", " +
             route_in_words(config, route);
    case config::RouteKind::respond:
      return "answers " + std::to_string(route.respond.status) + ", " +
             route_in_words(config, route);
    case config::RouteKind::health:
    case config::RouteKind::metrics:
    case config::RouteKind::demo_work: break;
  }
  return "answered by Sluice";
}

// Reads what run would: the files of keys and revocations, and the URLs too if they are to be
// asked. What run would refuse is a complaint.
void check_keys(config::ConfigReading& reading, Resolving resolving, Secrets secrets) {
  gateway::KeyKeeper::World world = gateway::KeyKeeper::real_world();
  gateway::Fetcher::Answers unasked;
  if (resolving == Resolving::no) {
    world.ask = [&](uint64_t ticket, const gateway::Question&) {
      unasked.emplace_back(ticket, gateway::Fetched{.complaint = std::string{not_asked}});
    };
    world.answers = [&](std::chrono::milliseconds) { return std::exchange(unasked, {}); };
  }
  config::Config config = *reading.config;
  for (config::AuthConfig& entry : config.auth) entry.key_sources.jwks_copy.clear();  // for run
  gateway::KeyKeeper keeper{std::move(world)};
  const auto keys = keeper.admit(config);
  keeper.settle(*keys);
  const std::vector<std::string>& complaints = keys->complaints();
  for (const std::string& notice : keeper.take_notices()) {
    if (!notice.ends_with(not_asked)) reading.warnings.push_back(notice);
  }
  if (complaints.empty()) return;
  if (secrets == Secrets::not_needed) {  // keys may be missing, too, where they are not
    reading.warnings.insert(reading.warnings.end(), complaints.begin(), complaints.end());
    return;
  }
  reading.complaints.insert(reading.complaints.end(), complaints.begin(), complaints.end());
  reading.config.reset();
}

std::string auth_in_words(const config::AuthConfig& entry) {
  const auth::Provider& provider = entry.provider;
  if (provider.kind == auth::CredentialKind::api_key)
    return "API keys in the field " + entry.sources.front().name;
  if (provider.kind == auth::CredentialKind::password)
    return "users with passwords (Basic), realm " + entry.sources.front().name;
  std::string text;
  for (const auth::Algorithm algorithm : provider.algorithms)
    text += (text.empty() ? "" : ", ") + std::string{auth::to_string(algorithm)};
  text += "; issuer ";
  if (provider.issuer_source == auth::IssuerSource::discovered) {
    text += "as its discovery says";
  } else if (provider.issuers.empty()) {
    text += "any";
  }
  for (size_t index = 0; index < provider.issuers.size(); ++index)
    text += (index == 0 ? "" : " or ") + provider.issuers[index].text;
  text += "; " + auth::claim_in_words(provider.audience_claim) + " ";
  for (size_t index = 0; index < provider.audiences.size(); ++index)
    text += (index == 0 ? "" : " or ") + provider.audiences[index];
  return text + (provider.audiences.empty() ? "any" : "") + "; tokens up to " +
         std::to_string(provider.token_bytes) + " bytes";
}

}  // namespace

int check_command(const std::string& path, Resolving resolving, Secrets secrets) {
  if (secrets == Secrets::not_needed) config::stand_in_for_missing_secrets();
  config::ConfigReading reading = config::read_config(path);
  if (reading.config) check_keys(reading, resolving, secrets);
  if (reading.config && resolving == Resolving::yes) {
    reading.complaints = gateway::resolve_endpoints(
        *reading.config,
        gateway::resolve_names(gateway::names_of(*reading.config), reading.config->resolver));
    if (!reading.complaints.empty()) reading.config.reset();
  }
  for (const std::string& complaint : reading.complaints) gateway::say(complaint);
  for (const std::string& warning : reading.warnings) gateway::say("warning: " + warning);
  if (!reading.config) return gateway::exit_usage;
  const config::Config& config = *reading.config;
  fmt::print("{} is good.\n\n", path);
  for (const config::ListenerConfig& listener : config.listeners)
    fmt::print("listen {}\n", listener.address.text());
  for (const config::UpstreamConfig& upstream : config.upstreams) {
    fmt::print("upstream {}:", upstream.name);
    for (const config::EndpointConfig& endpoint : upstream.endpoints) {
      const bool is_known = endpoint.host.empty() || endpoint.destination.size() != 0;
      const std::string at = is_known ? endpoint.destination.text() : "to be resolved";
      fmt::print(" {}{}", endpoint.authority, at == endpoint.authority ? "" : " (" + at + ")");
    }
    fmt::print("\n");
  }
  fmt::print("\n");
  for (const config::AuthConfig& entry : config.auth)
    fmt::print("auth {}: {}\n", entry.provider.name, auth_in_words(entry));
  for (size_t index = 0; index < config.limits.size(); ++index) {
    const config::NamedLimit& limit = config.limits[index];
    fmt::print("limit {}: {}, by {}, {} the token is checked\n", limit.name,
               config::in_words(config.limit_rules[index]), key_in_words(config, limit),
               limit.stage == config::LimitStage::before_auth ? "before" : "after");
  }
  fmt::print("\nRoutes; the most specific one that fits gets a request:\n");
  for (const config::Route& route : config.routes) {
    const std::string what = what_in_words(config, route);
    fmt::print("  {:<32} {}\n", route.name, what);
  }
  return gateway::exit_clean;
}

int config_command(const RunFlags& flags, Showing showing) {
  if (showing == Showing::schema) {
    fmt::print("{}", config::config_schema());
    return gateway::exit_clean;
  }
  if (flags.config.empty()) {
    gateway::say("write --config FILE, whose values are to be shown; or --schema");
    return gateway::exit_usage;
  }
  std::vector<config::Override> overrides;
  const auto add = [&](const char* path, const char* flag, const std::string& value) {
    if (!value.empty()) overrides.push_back({path, value, flag});
  };
  add("listen", "--listen", flags.listen);
  add("log", "--log", flags.log);
  add("control", "--control", flags.control);
  add("user", "--user", flags.user);
  add("sandbox", "--sandbox", flags.sandbox);
  add("workers.cores", "--cores", flags.cores);
  const auto text = config::effective_config(flags.config, overrides);
  if (const auto* complaint = std::get_if<config::Complaint>(&text)) {
    gateway::say(complaint->text);
    return gateway::exit_usage;
  }
  fmt::print("{}", std::get<std::string>(text));
  return gateway::exit_clean;
}

}  // namespace sluice::cli
