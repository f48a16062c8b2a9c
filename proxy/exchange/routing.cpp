// Finds the route of a request and settles its path.
#include "proxy/exchange/routing.h"

#include <algorithm>

#include "http/path.h"
#include "http/uri.h"

namespace sluice::proxy {

// A path that endpoints may understand in more than one way has one route in all of them, or routes
// that ask for the same; or it is refused.
RouteChoice choose_route(const RequestContext& context, http::Method method) {
  const auto ask = [&](std::string_view path) {
    return context.generation->routes().find(method, context.request().authority, path,
                                             context.request().query, context.request().fields);
  };
  if (context.request().path_form == http::PathForm::plain)
    return {.found = ask(context.request().path)};
  std::array<char, http::matched_path_max> memory;
  const std::string_view path = http::matched_path(context.request().path, memory);
  const RouteChoice choice{.found = ask(path)};
  const bool is_known = choice.found.route != config::no_route;
  if (context.request().has_encoded_separator &&
      (!is_known || context.config().routes[choice.found.route].path.encoded_slash ==
                        config::PathRules::EncodedSlash::refuse))
    return {.rule = http::Rule::encoded_separator};
  if (path.find(';') == std::string_view::npos) return choice;
  const config::Found other = ask(http::cut_parameters(path, memory));
  if (other.route == choice.found.route) return choice;
  if (!is_known || other.route == config::no_route) return {.rule = http::Rule::path_parameters};
  const config::Route& one = context.config().routes[choice.found.route];
  const config::Route& two = context.config().routes[other.route];
  if (config::asks_more(one, two) || config::asks_more(two, one))
    return {.rule = http::Rule::path_parameters};
  return choice;
}

void settle_path(RequestContext& context) {
  if (context.request().path_form == http::PathForm::special &&
      context.route().path.slashes == config::PathRules::Slashes::merge)
    http::merge_slashes(context.request(), context.stream.memory());
}

bool admits_address(const RequestContext& context) {
  const config::AddressRules& rules = context.route().addresses;
  const auto has = [&](const std::vector<core::Cidr>& networks) {
    return std::any_of(networks.begin(), networks.end(),
                       [&](const core::Cidr& network) { return network.contains(context.client); });
  };
  return !has(rules.deny) && (rules.allow.empty() || has(rules.allow));
}

std::string_view choose_protocol(const RequestContext& context) {
  std::string_view chosen;
  http::for_each_option(context.request().upgrade, [&](std::string_view offered) {
    for (const std::string& allowed : context.route().upgrades) {
      if (chosen.empty() && http::equals_ignoring_case(offered, allowed)) chosen = offered;
    }
  });
  return chosen;
}

}  // namespace sluice::proxy
