// routes: of the configuration file.
#include "config/routes.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <tuple>

#include "config/route_table.h"
#include "config/sections.h"
#include "http/host.h"
#include "http/uri.h"

namespace sluice::config {

namespace {

constexpr auto path_depth_max = 60;
constexpr std::string_view method_names[] = {"GET",    "HEAD",  "POST",   "PUT",
                                             "DELETE", "PATCH", "OPTIONS"};

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

std::string matched_form(std::string_view path) {
  std::string memory(3 * path.size(), '\0');
  return std::string{http::matched_path(path, memory)};
}

}  // namespace

// The path that requests are matched by is normalised; a rule that is not would never match.

void read_path(Document& document, const YAML::Node& node, std::string& into) {
  const auto text = document.text(node, "a path like /orders");
  if (!text) return;
  std::string normal = *text;
  const http::Target target =
      http::normalize_target(http::Method::get, normal.data(), normal.size());
  if (text->empty() || text->front() != '/' || target.rule != http::Rule::none ||
      !target.query.empty() || text->find('?') != std::string::npos) {
    document.complain(node, "\"" + *text + "\" is no path; write for example /orders");
  } else if (const std::string matched = matched_form(target.path); matched != *text) {
    document.complain(
        node, "\"" + *text +
                  "\" would never match: requests are matched by their normal form; write " +
                  matched);
  } else if (text->find_first_of("\"\\") != std::string::npos) {
    document.complain(node,
                      "\"" + *text + "\" has a quote or a backslash; write them percent-encoded");
  } else {
    if (text->ends_with("/*"))
      document.warn(node, "* stands for itself here; for all below write path_prefix: " +
                              text->substr(0, std::max<size_t>(1, text->size() - 2)));
    into = *text;
  }
}

std::optional<std::string> read_host_name(Document& document, const YAML::Node& node) {
  const auto text = document.text(node, "a host like api.example or *.example");
  if (!text) return std::nullopt;
  const std::string_view name =
      text->starts_with("*.") ? std::string_view{*text}.substr(2) : std::string_view{*text};
  const bool has_port = !name.starts_with('[') && name.find(':') != std::string_view::npos;
  if (name.empty() || name.find('*') != std::string_view::npos || has_port ||
      !http::is_valid_authority(name)) {
    document.complain(node, "\"" + *text +
                                "\" is no host; write a name like api.example, or *.example for "
                                "all below it, without a port");
    return std::nullopt;
  }
  std::array<char, http::host_bytes_max> memory;
  const std::string canonical{http::canonical_host(name, memory)};
  return text->starts_with("*.") ? "*." + canonical : canonical;
}

namespace {

// { NAME: VALUE }; "*" is any value.
void read_conditions(Document& document, const YAML::Node& node, FieldMatch::Place place,
                     std::vector<FieldMatch>& into) {
  const bool is_header = place == FieldMatch::Place::header;
  const std::string what = is_header ? "headers" : "query";
  if (!node.IsMap()) {
    document.complain(node, what +
                                ": a mapping from names to values is accepted, for example { "
                                "version: \"2\" }, or { version: \"*\" } for any");
    return;
  }
  for (const auto& entry : node) {
    const std::string name = entry.first.IsScalar() ? entry.first.Scalar() : "";
    const auto value = document.text(entry.second, "a value, or \"*\" for any");
    if (name.empty() || (is_header && !is_token(name)) ||
        name.find_first_of("&=#") != std::string::npos) {
      document.complain(entry.first,
                        "\"" + name + "\" is no name of a " + (is_header ? "field" : "parameter"));
    } else if (value) {
      FieldMatch match{.place = place, .name = is_header ? lower(name) : name};
      if (*value != "*") match.value = *value;
      into.push_back(std::move(match));
    }
  }
}

void read_match(Document& document, const YAML::Node& node, RouteMatch& match) {
  const Section section{
      document, node, "match", {"host", "path", "path_prefix", "methods", "headers", "query"}};
  if (section.has("host")) match.host = read_host_name(document, section.get("host")).value_or("");
  if (section.has("headers"))
    read_conditions(document, section.get("headers"), FieldMatch::Place::header, match.fields);
  if (section.has("query"))
    read_conditions(document, section.get("query"), FieldMatch::Place::query, match.fields);
  constexpr auto by_name = [](const FieldMatch& a, const FieldMatch& b) {
    return std::tie(a.place, a.name) < std::tie(b.place, b.name);
  };
  std::sort(match.fields.begin(), match.fields.end(), by_name);
  if (section.has("path") && section.has("path_prefix")) {
    document.complain(section.get("path"), "path and path_prefix exclude each other");
  } else if (section.has("path")) {
    match.path_kind = RouteMatch::Path::exact;
    read_path(document, section.get("path"), match.path);
  } else if (section.has("path_prefix")) {
    read_path(document, section.get("path_prefix"), match.path);
    if (match.path.size() > 1 && match.path.back() == '/') match.path.pop_back();
    if (std::count(match.path.begin(), match.path.end(), '/') > path_depth_max)
      document.complain(section.get("path_prefix"),
                        "a prefix has at most " + std::to_string(path_depth_max) + " segments");
  }
  if (!section.has("methods")) return;
  match.methods = 0;
  for (const YAML::Node& item : document.list(section.get("methods"))) {
    const auto word =
        document.word(item, {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"});
    if (!word) continue;
    const auto number =
        static_cast<unsigned>(std::find(std::begin(method_names), std::end(method_names), *word) -
                              std::begin(method_names));
    constexpr http::Method methods[] = {
        http::Method::get, http::Method::head,  http::Method::post,   http::Method::put,
        http::Method::del, http::Method::patch, http::Method::options};
    match.methods = static_cast<uint16_t>(match.methods | method_bit(methods[number]));
  }
}

void read_provider(Document& document, const YAML::Node& node, Route& route,
                   const std::vector<std::string>& known) {
  const auto text =
      document.text(node, "a name of auth:, a list of them, { optional: NAME } or none");
  if (!text) return;
  const auto found = std::find(known.begin(), known.end(), *text);
  if (found != known.end()) {
    route.providers |= auth::ProviderSet{1} << (found - known.begin());
    return;
  }
  std::vector<std::string_view> names{known.begin(), known.end()};
  const std::string_view meant = nearest(*text, names);
  document.complain(node, "there is no auth called \"" + *text + "\"" +
                              (meant.empty() ? "" : "; did you mean " + std::string{meant} + "?"));
}

void read_route_auth(Document& document, const Config& config, const Section& section, Route& route,
                     const std::vector<std::string>& known) {
  YAML::Node node = section.get("auth");
  if (!node.IsDefined()) {
    document.complain(section.node(),
                      "this route does not say who may call; write auth: NAME, auth: { optional: "
                      "NAME } or auth: none");
    return;
  }
  if (node.IsScalar() && node.Scalar() == "none") {
    route.auth = AuthMode::none;
    return;
  }
  route.auth = AuthMode::required;
  if (node.IsMap()) {
    const Section optional{document, node, "auth", {"optional"}};
    route.auth = AuthMode::optional;
    node.reset(optional.get("optional"));
  }
  for (const YAML::Node& item : document.list(node)) read_provider(document, item, route, known);
  // A token is of the one whose issuer it names.
  std::set<std::string> issuers;
  for (size_t index = 0; index < config.auth.size(); ++index) {
    const auth::Provider& provider = config.auth[index].provider;
    if ((route.providers >> index & 1) == 0 || provider.kind != auth::CredentialKind::token ||
        provider.issuer_source == auth::IssuerSource::discovered)
      continue;
    bool is_new = !provider.issuers.empty() || issuers.insert("").second;
    for (const auth::Issuer& issuer : provider.issuers)
      is_new = issuers.insert(issuer.text).second && is_new;
    if (is_new) continue;
    document.complain(
        node,
        "two of these have the same issuer, or none; nothing says which of them a token is of");
  }
}

void read_route_limits(Document& document, Config& config, const YAML::Node& node, Route& route) {
  std::vector<std::string_view> names;
  for (const NamedLimit& limit : config.limits) names.push_back(limit.name);
  size_t count = 0;
  for (const YAML::Node& item : document.list(node)) {
    const auto name = document.text(item, "the name of a limit");
    if (!name) continue;
    bool found = false;
    for (uint16_t index = 0; index < config.limits.size(); ++index) {
      if (config.limits[index].name != *name) continue;
      auto& list = config.limits[index].stage == LimitStage::before_auth ? route.limits_before
                                                                         : route.limits_after;
      if (std::find(list.begin(), list.end(), index) != list.end()) {
        document.complain(item, "limit " + *name + " is here twice");
        break;
      }
      list.push_back(index);
      found = true;
      ++count;
      const bool uses_claims =
          std::any_of(config.limits[index].key.begin(), config.limits[index].key.end(),
                      [](const KeyPart& part) { return part.kind == KeyPart::Kind::claim; });
      if (uses_claims && route.auth == AuthMode::none) {
        document.complain(
            item, "limit " + *name + " counts by a claim, and this route asks for no token");
      }
    }
    if (found) continue;
    const std::string_view meant = nearest(*name, names);
    if (std::find(names.begin(), names.end(), *name) != names.end()) continue;
    document.complain(item,
                      "there is no limit called \"" + *name + "\"" +
                          (meant.empty() ? "" : "; did you mean " + std::string{meant} + "?"));
  }
  if (count > limiter::limits_per_request_max) {
    document.complain(node, std::to_string(count) + " limits on one route; at most " +
                                std::to_string(limiter::limits_per_request_max) +
                                " are possible (rate and concurrent of one name are two)");
  }
}

void read_upgrade(Document& document, const YAML::Node& node, Route& route) {
  route.upgrades.clear();
  if (node.IsScalar() && node.Scalar() == "none") return;
  for (std::string& protocol : document.texts(node, "protocols like [websocket], or none")) {
    // h2c would be HTTP that nobody looks at, past every rule (RFC 9113 3.1 has given it up).
    const bool is_http = http::equals_ignoring_case(protocol, "h2c") ||
                         lower(protocol).starts_with("http/") ||
                         lower(protocol).starts_with("tls/");
    const std::string_view name = std::string_view{protocol}.substr(0, protocol.find('/'));
    if (!is_token(name) || protocol.size() > name_bytes_max || is_http) {
      document.complain(node, "\"" + protocol +
                                  "\" can't be tunnelled; write protocols like websocket" +
                                  (is_http ? "; HTTP itself never is" : ""));
    } else {
      route.upgrades.push_back(std::move(protocol));
    }
  }
}

// "api.example/orders/*", "/orders/* POST"
std::string default_name(const RouteMatch& match) {
  std::string name = match.host + match.path;
  if (match.path_kind == RouteMatch::Path::prefix) name += match.path.back() == '/' ? "*" : "/*";
  for (const FieldMatch& field : match.fields) {
    name += field.place == FieldMatch::Place::query ? " ?" : " ";
    name += field.name + (field.value ? "=" + *field.value : "");
  }
  if (match.methods == RouteMatch::all_methods) return name;
  char separator = ' ';
  for (unsigned number = 0; number < static_cast<unsigned>(http::Method::other); ++number) {
    if ((match.methods >> number & 1) == 0) continue;
    name += separator;
    name += http::to_string(static_cast<http::Method>(number));
    separator = ',';
  }
  return name;
}

// The routes so far, by what must not be there twice.
struct Seen {
  std::map<std::string, uint16_t> names;
  std::map<std::tuple<std::string, RouteMatch::Path, std::string>, std::vector<uint16_t>>
      places;  // host, kind, path
};

// No request meets both.
bool exclude_each_other(const RouteMatch& a, const RouteMatch& b) {
  if ((a.methods & b.methods) == 0) return true;
  for (const FieldMatch& one : a.fields) {
    for (const FieldMatch& other : b.fields) {
      if (one.place == other.place && one.name == other.name && one.value && other.value &&
          *one.value != *other.value)
        return true;
    }
  }
  return false;
}

void check_name(Document& document, const YAML::Node& node, const Config& config,
                const Route& route, Seen& seen) {
  if (route.name.size() > name_bytes_max ||
      route.name.find_first_of("\"\\\n") != std::string::npos) {
    document.complain(node, "a route's name has at most " + std::to_string(name_bytes_max) +
                                " characters and no quotes; write name: NAME");
  }
  const auto [known, is_new] =
      seen.names.emplace(route.name, static_cast<uint16_t>(config.routes.size()));
  if (!is_new && !(config.routes[known->second].match == route.match))
    document.complain(node, "another route is called \"" + route.name + "\" too; write name: NAME");
}

void check_place(Document& document, const YAML::Node& node, const Config& config,
                 const Route& route, Seen& seen) {
  auto& others = seen.places[{route.match.host, route.match.path_kind, route.match.path}];
  for (const uint16_t index : others) {
    const RouteMatch& other = config.routes[index].match;
    const bool one_wins = RouteTable::comes_before(other, route.match) ||
                          RouteTable::comes_before(route.match, other);
    if (one_wins || exclude_each_other(other, route.match)) continue;
    document.complain(node, "this route is for the same requests as " + config.routes[index].name +
                                "; nothing says which of them wins");
    break;
  }
  others.push_back(static_cast<uint16_t>(config.routes.size()));
  for (const std::string_view own : {"/health", "/metrics"}) {
    const bool is_own = route.match.path_kind == RouteMatch::Path::exact && route.match.path == own;
    if (is_own)
      document.warn(node,
                    "this route is never reached: Sluice answers " + std::string{own} + " itself");
  }
}

void read_route(Document& document, Config& config, const YAML::Node& node, const RouteNames& names,
                Seen& seen) {
  const Section section{
      document, node, "a route", {"name",        "match",     "auth",     "require",  "limits",
                                  "upgrade",     "upstream",  "redirect", "respond",  "path",
                                  "underscores", "forwarded", "via",      "rewrite",  "headers",
                                  "host",        "allow",     "deny",     "max_body", "cors",
                                  "hsts"}};
  Route route;
  const size_t complaints = document.complaints().size();
  if (section.has("match")) read_match(document, section.get("match"), route.match);
  const bool is_understood = complaints == document.complaints().size();
  read_route_auth(document, config, section, route, names.auth);
  if (section.has("require")) read_require(document, config, section.get("require"), route);
  if (section.has("limits")) read_route_limits(document, config, section.get("limits"), route);
  if (section.has("upgrade")) read_upgrade(document, section.get("upgrade"), route);
  read_route_actions(document, config, section, route);
  route.name = default_name(route.match);
  if (section.has("name")) {
    if (const auto name = document.text(section.get("name"), "a name")) route.name = *name;
  }
  check_name(document, section.has("name") ? section.get("name") : node, config, route, seen);
  if (is_understood) check_place(document, node, config, route, seen);
  config.routes.push_back(std::move(route));
}

}  // namespace

void read_routes(std::span<const Sourced> lists, Config& config, const RouteNames& names) {
  Seen seen;
  std::vector<YAML::Node> nodes;
  for (const Sourced& list : lists) {
    if (!list.node.IsDefined()) continue;
    if (!list.node.IsSequence()) {
      list.document->complain(
          list.node,
          "routes are no list; write for example\n  routes:\n    - { auth: main, upstream: NAME }");
      continue;
    }
    for (const YAML::Node& route : list.node) {
      if (config.routes.size() == routes_max) {
        list.document->complain(route, "more than " + std::to_string(routes_max) + " routes");
        return;
      }
      read_route(*list.document, config, route, names, seen);
      nodes.push_back(route);
    }
  }
  Document& main = *lists.front().document;
  if (config.routes.empty() && main.complaints().empty())
    main.complain(lists.front().node.IsDefined() ? lists.front().node : main.root(),
                  "there are no routes; write a list of them, for example\n  routes:\n    - { "
                  "auth: main, upstream: NAME }");
  check_circles(main, config, nodes);
  check_reach(main, config, nodes);
  check_holds(main, config, nodes);
}

}  // namespace sluice::config
