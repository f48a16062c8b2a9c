// What a route asks of those who call, compared with another's; what its paths may turn into behind
// it; what its endpoint is told.
#include <algorithm>
#include <set>

#include "config/route_table.h"
#include "config/sections.h"

namespace sluice::config {

namespace {

bool has_all(const std::vector<uint16_t>& all, const std::vector<uint16_t>& some) {
  return std::all_of(some.begin(), some.end(), [&](uint16_t one) {
    return std::find(all.begin(), all.end(), one) != all.end();
  });
}

// Whether some request for `a` may be one for `b` but for the path.
bool may_share_host(const RouteMatch& a, const RouteMatch& b) {
  const auto covers = [](const std::string& pattern, const std::string& host) {
    return pattern.empty() || pattern == host ||
           (pattern.starts_with("*.") && host.ends_with(std::string_view{pattern}.substr(1)));
  };
  return covers(a.host, b.host) || covers(b.host, a.host);
}

bool lies_below(std::string_view path, std::string_view prefix) {
  if (prefix == "/") return true;
  return path.starts_with(prefix) && (path.size() == prefix.size() || path[prefix.size()] == '/');
}

}  // namespace

bool asks_more(const Route& strict, const Route& lax) {
  if (strict.auth > lax.auth) return true;
  if (strict.auth != AuthMode::none) {
    if ((lax.providers & ~strict.providers) != 0) return true;
    if (strict.requirement != auth::no_requirement && strict.requirement != lax.requirement)
      return true;
  }
  if (!strict.addresses.empty() && strict.addresses != lax.addresses) return true;
  return !has_all(lax.limits_before, strict.limits_before) ||
         !has_all(lax.limits_after, strict.limits_after);
}

void read_path_rules(Document& document, const YAML::Node& node, PathRules& rules) {
  const Section section{document, node, "path", {"encoded_slash", "merge_slashes"}};
  if (section.has("encoded_slash")) {
    if (const auto word = document.word(section.get("encoded_slash"), {"refuse", "keep"}))
      rules.encoded_slash =
          *word == "keep" ? PathRules::EncodedSlash::keep : PathRules::EncodedSlash::refuse;
  }
  bool merges = rules.slashes == PathRules::Slashes::merge;
  section.read_switch("merge_slashes", merges);
  rules.slashes = merges ? PathRules::Slashes::merge : PathRules::Slashes::keep;
}

void read_forwarding(Document& document, const Section& section, Route& route) {
  if (section.has("underscores")) {
    const auto word = document.word(section.get("underscores"), {"drop", "pass", "refuse"});
    if (word)
      route.underscores = *word == "pass"     ? http::Underscores::pass
                          : *word == "refuse" ? http::Underscores::refuse
                                              : http::Underscores::drop;
  }
  if (section.has("forwarded")) {
    const auto word = document.word(section.get("forwarded"), {"x", "rfc7239", "both", "none"});
    if (word)
      route.forwarded = *word == "rfc7239" ? http::ForwardedForm::rfc7239
                        : *word == "both"  ? http::ForwardedForm::both
                        : *word == "none"  ? http::ForwardedForm::none
                                           : http::ForwardedForm::x;
  }
  bool sends_via = false;
  section.read_switch("via", sends_via);
  route.via = sends_via ? RequestVia::send : RequestVia::none;
}

// none, or { sampled: 10% }
void read_tracing(Document& document, Config& config, const YAML::Node& node) {
  if (node.IsScalar() && node.Scalar() == "none") return;
  const Section section{document, node, "tracing", {"sampled"}};
  config.tracing.begins = Tracing::Begins::traces;
  section.read_percent("sampled", config.tracing.sampled_percent, 0, 100);
}

void check_circles(Document& document, const Config& config, const std::vector<YAML::Node>& nodes) {
  const RouteTable table{config.routes};
  for (size_t begin = 0; begin < config.routes.size(); ++begin) {
    const Route* route = &config.routes[begin];
    std::string way;
    std::set<const Route*> passed;
    while (route->kind == RouteKind::redirect && route->redirect.to.starts_with('/') &&
           passed.insert(route).second) {
      way += route->name + " -> ";
      const std::string path = route->redirect.to.substr(0, route->redirect.to.find('?'));
      const Found found =
          table.find(http::Method::get, route->match.host, path, "", http::Fields{});
      if (found.route == no_route) break;
      route = &config.routes[found.route];
      if (route == &config.routes[begin]) {
        document.complain(nodes[begin], "these redirects lead in a circle: " + way + route->name);
        break;
      }
    }
  }
}

void check_reach(Document& document, const Config& config, const std::vector<YAML::Node>& nodes) {
  for (size_t index = 0; index < config.routes.size(); ++index) {
    const Route& route = config.routes[index];
    const bool keeps_encoded = route.path.encoded_slash == PathRules::EncodedSlash::keep;
    const bool keeps_runs = route.path.slashes == PathRules::Slashes::keep;
    if (route.match.path_kind == RouteMatch::Path::exact || (!keeps_encoded && !keeps_runs))
      continue;
    const auto other =
        std::find_if(config.routes.begin(), config.routes.end(), [&](const Route& one) {
          return &one != &route && may_share_host(one.match, route.match) &&
                 lies_below(one.match.path, route.match.path) && asks_more(one, route);
        });
    if (other == config.routes.end()) continue;
    document.warn(nodes[index],
                  std::string{keeps_encoded ? "encoded_slash: keep" : "merge_slashes: false"} +
                      ": an endpoint that " + (keeps_encoded ? "decodes %2F" : "reads // as /") +
                      " may take requests of " + route.name + " for those of " + other->name +
                      ", which asks for more; give both the same auth, require, allow and limits, "
                      "or leave the option out");
  }
}

}  // namespace sluice::config
