// Cross-origin requests (CORS, Fetch 3.2): what a route lets a page of another origin do.
#pragma once

#include <optional>
#include <span>

#include "http/serializer.h"
#include "proxy/exchange/request_context.h"

namespace sluice::proxy {

// The method that a preflight asks about; nothing if the request is none.
[[nodiscard]] std::optional<http::Method> preflight_method(const http::RequestHead& request);
// Whether the route lets pages of the request's origin ask.
[[nodiscard]] bool allows_origin(const RequestContext& context);

// Each returns how many it has put into `memory`.
[[nodiscard]] size_t add_cors(const RequestContext& context, std::span<http::AddedField> memory);
[[nodiscard]] size_t add_preflight(const RequestContext& context,
                                   std::span<http::AddedField> memory);

}  // namespace sluice::proxy
