#include "proxy/routes.h"

#include "http/field.h"

namespace sluice::proxy {

namespace {

std::string_view without_port(std::string_view authority) {
  if (!authority.empty() && authority.front() == '[') return authority.substr(0, authority.find(']') + 1);
  return authority.substr(0, authority.find(':'));
}

bool host_matches(const std::string& pattern, std::string_view host) {
  if (pattern.empty()) return true;
  if (!pattern.starts_with("*.")) return http::equals_ignoring_case(pattern, host);
  const std::string_view suffix = std::string_view{pattern}.substr(1);
  return host.size() > suffix.size() && http::equals_ignoring_case(host.substr(host.size() - suffix.size()), suffix);
}

bool path_matches(const RouteMatch& match, std::string_view path) {
  if (match.path_kind == RouteMatch::Path::exact) return path == match.path;
  if (match.path == "/") return true;  // "*" too (OPTIONS)
  return path.starts_with(match.path) && (path.size() == match.path.size() || match.path.back() == '/' || path[match.path.size()] == '/');
}

// Exact names, then suffixes, then any.
unsigned host_class(const RouteMatch& match) { return match.host.empty() ? 0 : match.host.starts_with("*.") ? 1 : 2; }

}  // namespace

bool RouteMatch::is_more_specific_than(const RouteMatch& other) const {
  if (host_class(*this) != host_class(other)) return host_class(*this) > host_class(other);
  if (host.size() != other.host.size()) return host.size() > other.host.size();
  if (host != other.host) return host < other.host;  // never both
  if (path_kind != other.path_kind) return path_kind == Path::exact;
  if (path.size() != other.path.size()) return path.size() > other.path.size();
  if (path != other.path) return path < other.path;  // never both
  return methods != all_methods && other.methods == all_methods;
}

Found find_route(std::span<const Route> routes, http::Method method, std::string_view host, std::string_view path) {
  host = without_port(host);
  Found found;
  for (size_t index = 0; index < routes.size(); ++index) {
    const RouteMatch& match = routes[index].match;
    if (!path_matches(match, path) || !host_matches(match.host, host)) continue;
    if ((match.methods & method_bit(method)) != 0) return {.route = static_cast<uint16_t>(index)};
    found.methods = static_cast<uint16_t>(found.methods | match.methods);
    // What Sluice answers itself does not fall through to somebody else's route.
    if (routes[index].kind != RouteKind::upstream) return found;
  }
  return found;
}

}  // namespace sluice::proxy
