// Which route a request takes, and what that says of who may come.
#pragma once

#include "config/route_table.h"
#include "proxy/exchange/request_context.h"

namespace sluice::proxy {

struct RouteChoice {
  config::Found found;
  http::Rule rule = http::Rule::none;  // why there is none, if the path is to blame
};
[[nodiscard]] RouteChoice choose_route(const RequestContext& context, http::Method method);
// What is forwarded is what was matched. Once the route is chosen.
void settle_path(RequestContext& context);
[[nodiscard]] bool admits_address(const RequestContext& context);
// Of the protocols that the client offers to switch to, in its order, the first that the route lets
// through; or nothing.
[[nodiscard]] std::string_view choose_protocol(const RequestContext& context);

}  // namespace sluice::proxy
