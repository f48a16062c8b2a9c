// sluice check: judges a configuration file, and says what it means.
#include <fmt/core.h>

#include "cli/commands.h"
#include "cli/serve.h"
#include "proxy/config_reader.h"
#include "proxy/gateway.h"

namespace sluice::cli {

namespace {

std::string key_in_words(const proxy::Config& config, const proxy::NamedLimit& limit) {
  std::string text;
  for (const proxy::KeyPart& part : limit.key) {
    if (!text.empty()) text += " and ";
    switch (part.kind) {
      case proxy::KeyPart::Kind::address: text += "client address"; break;
      case proxy::KeyPart::Kind::route: text += "route"; break;
      case proxy::KeyPart::Kind::claim: text += "claim " + config.claims[part.claim]; break;
      case proxy::KeyPart::Kind::header: text += "header " + part.name; break;
    }
  }
  return text;
}

std::string route_in_words(const proxy::Config& config, const proxy::Route& route) {
  std::string text = route.auth == proxy::AuthMode::none       ? "no token"
                     : route.auth == proxy::AuthMode::optional ? "token optional"
                                                               : "token required";
  for (const auto& list : {route.limits_before, route.limits_after}) {
    for (const uint16_t limit : list) text += ", " + config.limits[limit].reason;
  }
  return text;
}

}  // namespace

int check_command(const std::string& path) {
  const proxy::ConfigReading reading = proxy::read_config(path);
  for (const std::string& complaint : reading.complaints) say(complaint);
  for (const std::string& warning : reading.warnings) say("warning: " + warning);
  if (!reading.config) return proxy::exit_usage;
  const proxy::Config& config = *reading.config;
  fmt::print("{} is good.\n\nlisten   {}\nupstream {} at {}\n\n", path, config.listen.text(), config.upstream.authority,
             config.upstream.address.text());
  for (size_t index = 0; index < config.limits.size(); ++index) {
    const proxy::NamedLimit& limit = config.limits[index];
    fmt::print("limit {}: {}, by {}, {} the token is checked\n", limit.name, proxy::in_words(config.limit_rules[index]),
               key_in_words(config, limit), limit.stage == proxy::LimitStage::before_auth ? "before" : "after");
  }
  fmt::print("\nRoutes, as they are asked:\n");
  for (const proxy::Route& route : config.routes) {
    const std::string what = route.kind == proxy::RouteKind::upstream ? "upstream, " + route_in_words(config, route) : "answered by Sluice";
    fmt::print("  {:<32} {}\n", route.name, what);
  }
  return proxy::exit_clean;
}

}  // namespace sluice::cli
