// What an endpoint is told of who calls, and what it is not told: fields that speak of it are ours
// alone (config/identity_fields.h).
#pragma once

#include <span>
#include <string_view>

#include "http/serializer.h"
#include "proxy/exchange/request_context.h"

namespace sluice::proxy {

// Takes the fields that speak of who calls out of the request, in every spelling of theirs; those
// with '_' are gone already. What the caller showed goes no further where the configuration says
// so, and a token in the query never does.
void drop_identity(RequestContext& context);
// Returns how many it has put into `memory`.
[[nodiscard]] size_t add_identity(const RequestContext& context,
                                  std::span<http::AddedField> memory);
// What the caller may not say in a field it may not say in a trailer either: what is left.
[[nodiscard]] std::string_view passed_trailers(RequestContext& context, const BodyPart& part);

}  // namespace sluice::proxy
