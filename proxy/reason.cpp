// The code of each reason.
#include "proxy/reason.h"

#include "core/assert.h"
#include "proxy/labels.h"

namespace sluice::proxy {

namespace {

std::string_view failure_code(Failure event) {
  switch (event) {
    case Failure::none: return "-";
    case Failure::method_not_allowed: return "http.method";
    case Failure::head_timeout: return "http.head_timeout";
    case Failure::head_shed: return "http.head_shed";
    case Failure::client_shed: return "downstream.shed";
    case Failure::body_timeout: return "http.body_timeout";
    case Failure::write_timeout: return "downstream.write_timeout";
    case Failure::downstream_closed: return "downstream.closed";
    case Failure::limit_key_missing: return "limit.key_missing";
    case Failure::route_none: return "route.none";
    case Failure::upstream_malformed: return "upstream.malformed";
    case Failure::upstream_closed: return "upstream.closed";
    case Failure::upstream_refused: return "upstream.refused";
    case Failure::upstream_busy: return "upstream.busy";
    case Failure::upstream_none_healthy: return "upstream.none_healthy";
    case Failure::overload: return "overload";
    case Failure::local_ports: return "local.ports";
    case Failure::local_descriptors: return "local.descriptors";
    case Failure::local_memory: return "local.memory";
    case Failure::upstream_unresolved: return "upstream.unresolved";
    case Failure::upstream_circuit_open: return "upstream.circuit_open";
    case Failure::address_denied: return "route.address";
    case Failure::address_full: return "downstream.address_full";
    case Failure::upstream_connect_timeout: return "upstream.connect_timeout";
    case Failure::upstream_head_timeout: return "upstream.head_timeout";
    case Failure::upstream_body_timeout: return "upstream.body_timeout";
    case Failure::deadline: return "deadline";
    case Failure::drain: return "drain";
    case Failure::tunnel_idle: return "tunnel.idle";
    case Failure::tunnel_busy: return "tunnel.busy";
    case Failure::offload_busy: return "offload.busy";
    case Failure::tls_on_plain_port: return "tls.on_plain_port";
    case Failure::tls_wrong_server: return "tls.wrong_server";
    case Failure::upstream_tls: return "upstream.tls";
    case Failure::bad_argument: return "route.argument";
  }
  SLUICE_UNREACHABLE();
}

// Of handshakes, and never of a request.
std::string_view tls_code(tls::Failure failure) {
  switch (failure) {
    case tls::Failure::none: return "-";
    case tls::Failure::malformed: return "tls.malformed";
    case tls::Failure::version: return "tls.version";
    case tls::Failure::cipher: return "tls.cipher";
    case tls::Failure::unknown_name: return "tls.unknown_name";
    case tls::Failure::protocol: return "tls.protocol";
    case tls::Failure::certificate_missing: return "tls.certificate_missing";
    case tls::Failure::certificate_unknown: return "tls.certificate_unknown";
    case tls::Failure::certificate_expired: return "tls.certificate_expired";
    case tls::Failure::certificate_revoked: return "tls.certificate_revoked";
    case tls::Failure::certificate_name: return "tls.certificate_name";
    case tls::Failure::certificate_bad: return "tls.certificate_bad";
    case tls::Failure::refused_by_peer: return "tls.refused_by_peer";
    case tls::Failure::too_long: return "tls.too_long";
    case tls::Failure::truncated: return "tls.truncated";
    case tls::Failure::plain_request: return "tls.plain_request";
    case tls::Failure::timed_out: return "tls.timed_out";
    case tls::Failure::crowded_out: return "tls.crowded_out";
    case tls::Failure::internal: return "tls.internal";
  }
  SLUICE_UNREACHABLE();
}

}  // namespace

std::string_view Reason::code(const Labels& labels) const {
  switch (kind_) {
    case Kind::event: return failure_code(static_cast<Failure>(value_));
    case Kind::http: return http::reason_code(static_cast<http::Rule>(value_));
    case Kind::auth: return auth::reason_code(static_cast<auth::Refusal>(value_));
    case Kind::tls: return tls_code(static_cast<tls::Failure>(value_));
    case Kind::limit: return labels.limits.reason(value_);
  }
  SLUICE_UNREACHABLE();
}

}  // namespace sluice::proxy
