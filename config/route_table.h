// Which route a request takes. The most specific one wins, never the first in the file:
//   1. what Sluice answers itself;
//   2. a whole host before a suffix (the longer before the shorter) before any;
//   3. a whole path before a prefix (the longer before the shorter);
//   4. more conditions on header fields and query before fewer;
//   5. named methods before all of them.
// Where the method or a condition does not fit, the next one in this order is asked. Two routes
// that are equal in all of it and may mean the same request are an error of the configuration.
//
// Two hash tables, made once: a look-up costs a probe for each host pattern that may fit times the
// depth of the path, however many routes there are.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "config/routes.h"
#include "http/message.h"

namespace sluice::config {

inline constexpr uint16_t no_route = UINT16_MAX;
inline constexpr size_t routes_max = 20'000;

struct Found {
  uint16_t route = no_route;
  uint16_t methods =
      0;  // without a route: those that some route of this host, path and conditions has
};

class RouteTable {
 public:
  // `routes` outlive the table.
  explicit RouteTable(const std::vector<Route>& routes);
  // `host` as http::canonical_host() takes it; `path` as http::matched_path() makes it.
  [[nodiscard]] Found find(http::Method method, std::string_view host, std::string_view path,
                           std::string_view query, const http::Fields& fields) const;
  // Whether the first is asked before the other where both fit.
  [[nodiscard]] static bool comes_before(const RouteMatch& a, const RouteMatch& b);

 private:
  struct Place {  // of routes with one host pattern and one path
    uint64_t hash = 0;
    uint32_t first = 0;  // into order_
    uint32_t count = 0;
  };
  struct HostPattern {
    uint64_t hash = 0;
    uint32_t number = 0;  // 0: none
  };
  struct Request;

  void add(uint16_t index);
  [[nodiscard]] uint32_t host_number(std::string_view pattern) const;
  [[nodiscard]] const Place* find_place(uint64_t hash) const;
  [[nodiscard]] bool ask_host(uint32_t number, const Request& request, Found& found) const;
  [[nodiscard]] bool ask_place(uint64_t hash, RouteMatch::Path kind, std::string_view path,
                               const Request& request, Found& found) const;
  [[nodiscard]] bool ask_routes(const Place& place, const Request& request, Found& found) const;

  const std::vector<Route>& routes_;
  std::vector<uint16_t> own_;
  std::vector<HostPattern> hosts_;  // open addressing, a power of two
  std::vector<Place> places_;       // as well
  std::vector<uint16_t> order_;
  std::vector<Place> roots_;  // of "/", by host number
  bool has_suffixes_ = false;
  bool has_exact_ = false;
  size_t depth_max_ = 0;         // segments of the deepest prefix
  size_t prefix_bytes_max_ = 0;  // of the longest prefix
};

}  // namespace sluice::config
