// What a route makes of the messages that pass: fields that are taken out, put in or written anew,
// paths and hosts that endpoints know by other names than clients.
#pragma once

#include <array>
#include <span>
#include <string_view>

#include "config/upstream_config.h"
#include "http/serializer.h"
#include "proxy/exchange/request_context.h"

namespace sluice::proxy {

// Whether the route says what becomes of what came under this name, in any spelling.
[[nodiscard]] bool edits(const config::HeaderEdits& edits, std::string_view name);
void drop_edited(http::Fields& fields, const config::HeaderEdits& edits);
// What the endpoint says of CORS counts no more where the route says it.
void edit_response(const RequestContext& context, http::ResponseHead& response);

// --- what is written anew; the text is in `memory`, or what is returned is empty: it stays -------
using TargetMemory = std::array<char, core::limits::target_bytes_max + config::rewrite_bytes_max>;
[[nodiscard]] std::string_view rewritten_target(const RequestContext& context,
                                                std::span<char> memory);
[[nodiscard]] std::string_view host_for_endpoint(const RequestContext& context,
                                                 const config::UpstreamConfig& upstream);
// Where a prefix was stripped, the endpoint speaks of its own paths: "/login" is "/shop/login" for
// the client. Then the field that said so is dropped.
[[nodiscard]] std::string_view mapped_location(const RequestContext& context,
                                               const config::UpstreamConfig& upstream,
                                               http::ResponseHead& response,
                                               std::span<char> memory);
// Of a route that redirects. The query is passed on unless the destination has one of its own.
[[nodiscard]] std::string_view redirect_location(const RequestContext& context,
                                                 std::span<char> memory);

// --- what is added, in `memory` ------------------------------------------------------------------
using AddedFields = std::span<const http::AddedField>;
[[nodiscard]] AddedFields added_upstream(const RequestContext& context,
                                         std::span<http::AddedField> memory);
[[nodiscard]] AddedFields added_downstream(RequestContext& context,
                                           const http::ResponseHead& response,
                                           std::span<http::AddedField> memory,
                                           std::string_view location);
[[nodiscard]] AddedFields added_to_switching(RequestContext& context,
                                             std::span<http::AddedField> memory);
[[nodiscard]] AddedFields added_to_reply(RequestContext& context,
                                         std::span<http::AddedField> memory,
                                         const LocalReply& answer);

}  // namespace sluice::proxy
