// Sorts the routes by precedence and finds the one for a request by hashing.
#include "config/route_table.h"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <bit>
#include <map>
#include <tuple>

#include "http/field.h"
#include "http/host.h"
#include "http/uri.h"

namespace sluice::config {

namespace {

constexpr size_t depth_bound = 64;  // deeper prefixes are refused with the configuration
constexpr uint32_t any_host = 1;

using Path = RouteMatch::Path;

uint64_t hash_of(std::string_view text, uint64_t seed) {
  return std::max<uint64_t>(1, XXH3_64bits_withSeed(text.data(), text.size(), seed));
}
uint64_t place_seed(uint32_t host, Path kind) {
  return uint64_t{host} << 1 | static_cast<uint64_t>(kind);
}

size_t depth_of(std::string_view path) {
  return path == "/" ? 0 : static_cast<size_t>(std::count(path.begin(), path.end(), '/'));
}

bool fits(const FieldMatch& match, std::string_view query, const http::Fields& fields) {
  if (match.place == FieldMatch::Place::query) {
    const auto value = http::find_parameter(query, match.name);
    return value && (!match.value || *value == *match.value);
  }
  return std::any_of(fields.begin(), fields.end(), [&](const http::Field& field) {
    return http::equals_ignoring_case(fields.name(field), match.name) &&
           (!match.value || fields.value(field) == *match.value);
  });
}

}  // namespace

struct RouteTable::Request {
  http::Method method;
  std::string_view path;
  std::string_view query;
  const http::Fields& fields;
  // Where the path may be cut: a prefix of n segments ends at cuts[n].
  std::array<uint16_t, depth_bound + 1> cuts;
  size_t depth = 0;
};

bool RouteTable::comes_before(const RouteMatch& a, const RouteMatch& b) {
  const auto rank = [](const RouteMatch& match) {
    const int host = match.host.empty() ? 0 : match.host.starts_with("*.") ? 1 : 2;
    const int path = match.path_kind == Path::exact ? 1 : 0;
    return std::tuple{host,
                      match.host.size(),
                      path,
                      match.path.size(),
                      match.fields.size(),
                      match.methods != RouteMatch::all_methods ? 1 : 0};
  };
  return rank(a) > rank(b);
}

RouteTable::RouteTable(const std::vector<Route>& routes) : routes_(routes) {
  std::map<std::string, uint32_t> numbers{{"", any_host}};
  std::map<std::tuple<uint32_t, Path, std::string>, std::vector<uint16_t>> groups;
  for (uint16_t index = 0; index < routes.size(); ++index) {
    const Route& route = routes[index];
    if (route.kind == RouteKind::health || route.kind == RouteKind::metrics ||
        route.kind == RouteKind::demo_work) {
      own_.push_back(index);
      continue;
    }
    const uint32_t host =
        numbers.emplace(route.match.host, static_cast<uint32_t>(numbers.size()) + 1).first->second;
    has_exact_ |= route.match.path_kind == Path::exact;
    has_suffixes_ |= route.match.host.starts_with("*.");
    if (route.match.path_kind == Path::prefix) {
      depth_max_ = std::max(depth_max_, depth_of(route.match.path));
      prefix_bytes_max_ = std::max(prefix_bytes_max_, route.match.path.size());
    }
    groups[{host, route.match.path_kind, route.match.path}].push_back(index);
  }
  roots_.resize(numbers.size() + 1);
  hosts_.resize(std::bit_ceil(2 * numbers.size()));
  for (const auto& [pattern, number] : numbers) {
    const uint64_t hash = hash_of(pattern, 0);
    size_t at = hash & (hosts_.size() - 1);
    while (hosts_[at].number != 0) at = (at + 1) & (hosts_.size() - 1);
    hosts_[at] = {hash, number};
  }
  places_.resize(std::bit_ceil(std::max<size_t>(2, 2 * groups.size())));
  for (auto& [key, members] : groups) {
    std::stable_sort(members.begin(), members.end(), [&](uint16_t a, uint16_t b) {
      return comes_before(routes[a].match, routes[b].match);
    });
    const uint64_t hash = hash_of(std::get<2>(key), place_seed(std::get<0>(key), std::get<1>(key)));
    size_t at = hash & (places_.size() - 1);
    while (places_[at].count != 0) at = (at + 1) & (places_.size() - 1);
    places_[at] = {hash, static_cast<uint32_t>(order_.size()),
                   static_cast<uint32_t>(members.size())};
    if (std::get<1>(key) == Path::prefix && std::get<2>(key) == "/")
      roots_[std::get<0>(key)] = places_[at];
    order_.insert(order_.end(), members.begin(), members.end());
  }
}

uint32_t RouteTable::host_number(std::string_view pattern) const {
  const uint64_t hash = hash_of(pattern, 0);
  for (size_t at = hash & (hosts_.size() - 1); hosts_[at].number != 0;
       at = (at + 1) & (hosts_.size() - 1)) {
    if (hosts_[at].hash == hash) return hosts_[at].number;
  }
  return 0;
}

// Another place may have the same hash: what is found is compared.
const RouteTable::Place* RouteTable::find_place(uint64_t hash) const {
  for (size_t at = hash & (places_.size() - 1); places_[at].count != 0;
       at = (at + 1) & (places_.size() - 1)) {
    if (places_[at].hash == hash) return &places_[at];
  }
  return nullptr;
}

bool RouteTable::ask_routes(const Place& place, const Request& request, Found& found) const {
  for (uint32_t at = place.first; at < place.first + place.count; ++at) {
    const RouteMatch& match = routes_[order_[at]].match;
    const bool meets = std::all_of(
        match.fields.begin(), match.fields.end(),
        [&](const FieldMatch& field) { return fits(field, request.query, request.fields); });
    if (!meets) continue;
    if ((match.methods & method_bit(request.method)) != 0) {
      found.route = order_[at];
      return true;
    }
    found.methods = static_cast<uint16_t>(found.methods | match.methods);
  }
  return false;
}

bool RouteTable::ask_place(uint64_t hash, Path kind, std::string_view path, const Request& request,
                           Found& found) const {
  const Place* place = find_place(hash);
  if (place == nullptr) return false;
  const RouteMatch& match = routes_[order_[place->first]].match;
  return match.path_kind == kind && match.path == path && ask_routes(*place, request, found);
}

bool RouteTable::ask_host(uint32_t number, const Request& request, Found& found) const {
  const auto hash = [&](std::string_view path, Path kind) {
    return hash_of(path, place_seed(number, kind));
  };
  if (has_exact_ &&
      ask_place(hash(request.path, Path::exact), Path::exact, request.path, request, found))
    return true;
  for (size_t depth = request.depth; depth > 0; --depth) {
    if (request.cuts[depth] > prefix_bytes_max_) continue;
    const std::string_view prefix = request.path.substr(0, request.cuts[depth]);
    if (ask_place(hash(prefix, Path::prefix), Path::prefix, prefix, request, found)) return true;
  }
  // "/" is a prefix of everything, of "*" too (OPTIONS).
  return ask_routes(roots_[number], request, found);
}

Found RouteTable::find(http::Method method, std::string_view host, std::string_view path,
                       std::string_view query, const http::Fields& fields) const {
  Found found;
  for (const uint16_t index : own_) {
    const RouteMatch& match = routes_[index].match;
    if (path != match.path) continue;
    // What Sluice answers itself does not fall through to somebody else's route.
    if ((match.methods & method_bit(method)) != 0) return {.route = index};
    return {.methods = match.methods};
  }
  Request request{.method = method, .path = path, .query = query, .fields = fields};
  for (size_t at = 1; at < path.size() && request.depth < depth_max_; ++at) {
    if (path[at] == '/') request.cuts[++request.depth] = static_cast<uint16_t>(at);
  }
  if (request.depth < depth_max_ && path.size() > 1 && path.front() == '/')
    request.cuts[++request.depth] = static_cast<uint16_t>(path.size());

  std::array<char, http::host_bytes_max> lower;
  if (hosts_.size() > 2 && !host.empty()) {
    std::string_view name = http::canonical_host(host, lower);
    if (const uint32_t number = host_number(name); number != 0 && ask_host(number, request, found))
      return found;
    // "*.example" for "a.example": the label before the dot makes room for the star.
    for (auto dot = name.find('.'); has_suffixes_ && dot != std::string_view::npos;
         dot = name.find('.')) {
      if (dot > 0) {
        lower[static_cast<size_t>(name.data() - lower.data()) + dot - 1] = '*';
        if (const uint32_t number = host_number(name.substr(dot - 1));
            number != 0 && ask_host(number, request, found))
          return found;
      }
      name.remove_prefix(dot + 1);
    }
  }
  static_cast<void>(ask_host(any_host, request, found));
  return found;
}

}  // namespace sluice::config
