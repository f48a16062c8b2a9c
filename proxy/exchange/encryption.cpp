// What a request asks of the TLS session that it came by.
#include "proxy/exchange/encryption.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "http/host.h"
#include "proxy/exchange/routing.h"
#include "tls/hello.h"

namespace sluice::proxy {

namespace {

constexpr std::string_view hsts_name = "Strict-Transport-Security";

const tls::Session* session_of(const RequestContext& context) {
  return context.stream.has_connection() ? context.stream.connection().channel().session()
                                         : nullptr;
}

const config::ListenerConfig* listener_of(const RequestContext& context) {
  return context.stream.has_connection() ? context.stream.connection().listener(context.config())
                                         : nullptr;
}

std::string_view without_port(std::string_view authority) {
  const size_t colon = authority.rfind(':');
  const bool has_port =
      colon != std::string_view::npos && authority.find(']', colon) == std::string_view::npos;
  return has_port ? authority.substr(0, colon) : authority;
}

}  // namespace

bool is_encrypted(const RequestContext& context) { return session_of(context) != nullptr; }

void note_encryption(RequestContext& context) {
  const tls::Session* session = session_of(context);
  if (session == nullptr) return;
  context.record.tls_version = session->version();
  context.record.tls_cipher = session->cipher();
  context.record.server_name.assign(session->server_name());
}

Reason reason_of_broken_head(const RequestContext& context, const Arrival& arrival,
                             http::Rule rule) {
  const bool is_hello = !is_encrypted(context) &&
                        tls::looks_like_tls(arrival.buffer.receive_area().first(arrival.size));
  return is_hello ? Reason{Failure::tls_on_plain_port} : Reason{rule};
}

bool is_to_be_redirected(const RequestContext& context) {
  const config::ListenerConfig* listener = listener_of(context);
  if (listener == nullptr || listener->https == config::HttpsRedirect::off || is_encrypted(context))
    return false;
  const config::Found found = choose_route(context, context.request().method).found;
  if (found.route == config::no_route) return true;
  const config::RouteKind kind = context.config().routes[found.route].kind;
  return kind != config::RouteKind::health && kind != config::RouteKind::metrics;
}

std::string_view https_location(const RequestContext& context, std::span<char> memory) {
  const http::RequestHead& request = context.request();
  const std::string_view host = without_port(request.authority);
  if (host.empty()) return {};
  http::Writer location{std::as_writable_bytes(memory)};
  location.put("https://").put(host);
  if (const uint16_t port = listener_of(context)->https_port; port != 443) {
    std::array<char, 8> digits;
    const char* end = std::to_chars(digits.data(), digits.data() + digits.size(), port).ptr;
    location.put(":").put({digits.data(), static_cast<size_t>(end - digits.data())});
  }
  location.put(request.path.starts_with('/') ? request.path : "/");
  if (!request.query.empty()) location.put("?").put(request.query);
  return {memory.data(), location.size()};
}

bool is_at_another_server(const RequestContext& context) {
  const tls::Session* session = session_of(context);
  const std::string_view authority = context.request().authority;
  const config::ListenerConfig* listener = session == nullptr ? nullptr : listener_of(context);
  if (listener == nullptr || authority.empty()) return false;
  const tls::ServerContext* server = context.generation->server_context(listener->id);
  if (server == nullptr || server->client() == tls::ClientCertificate::none) return false;
  std::array<char, http::host_bytes_max> memory;
  return !server->serves_both(http::canonical_host(authority, memory), session->server_name());
}

size_t add_hsts(const RequestContext& context, std::span<http::AddedField> memory) {
  const config::ListenerConfig* listener = is_encrypted(context) ? listener_of(context) : nullptr;
  if (listener == nullptr) return 0;
  const bool has_own = context.has_route() && context.route().hsts.has_value();
  const std::string_view value = has_own ? *context.route().hsts : listener->hsts;
  if (value.empty()) return 0;
  memory[0] = {hsts_name, value};
  return 1;
}

bool says_hsts(const http::ResponseHead& response) {
  return std::any_of(response.fields.begin(), response.fields.end(), [&](const http::Field& field) {
    return field.disposition == http::Disposition::keep &&
           http::equals_ignoring_case(response.fields.name(field), hsts_name);
  });
}

}  // namespace sluice::proxy
