// What a request has to do with TLS: whether it must come that way, whether it came to the right
// server, and what is said of it.
#pragma once

#include <span>
#include <string_view>

#include "http/serializer.h"
#include "proxy/exchange/request_context.h"

namespace sluice::proxy {

[[nodiscard]] bool is_encrypted(const RequestContext& context);
// For the log; the session may be gone by then.
void note_encryption(RequestContext& context);
// Of a head that breaks a rule: what a listener without TLS gets of a client that speaks it.
[[nodiscard]] Reason reason_of_broken_head(const RequestContext& context, const Arrival& arrival,
                                           http::Rule rule);
// Its listener only shows the way to where TLS is spoken. A health check comes as it likes.
[[nodiscard]] bool is_to_be_redirected(const RequestContext& context);
// Into `memory`; empty: the request does not say to which host it is.
[[nodiscard]] std::string_view https_location(const RequestContext& context,
                                              std::span<char> memory);
// Who showed a certificate to one server has not shown it to another (RFC 9110 7.4).
[[nodiscard]] bool is_at_another_server(const RequestContext& context);
// Strict-Transport-Security, into memory[0]; how many fields that makes.
[[nodiscard]] size_t add_hsts(const RequestContext& context, std::span<http::AddedField> memory);
[[nodiscard]] bool says_hsts(const http::ResponseHead& response);

}  // namespace sluice::proxy
