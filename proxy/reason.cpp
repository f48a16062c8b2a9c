#include "proxy/reason.h"

#include "core/assert.h"
#include "proxy/labels.h"

namespace sluice::proxy {

namespace {

std::string_view event_code(Event event) {
  switch (event) {
    case Event::none: return "-";
    case Event::method_not_allowed: return "http.method";
    case Event::head_timeout: return "http.head_timeout";
    case Event::body_timeout: return "http.body_timeout";
    case Event::write_timeout: return "downstream.write_timeout";
    case Event::downstream_closed: return "downstream.closed";
    case Event::limit_key_missing: return "limit.key_missing";
    case Event::route_none: return "route.none";
    case Event::upstream_malformed: return "upstream.malformed";
    case Event::upstream_closed: return "upstream.closed";
    case Event::upstream_refused: return "upstream.refused";
    case Event::upstream_busy: return "upstream.busy";
    case Event::upstream_none_healthy: return "upstream.none_healthy";
    case Event::upstream_circuit_open: return "upstream.circuit_open";
    case Event::address_denied: return "route.address";
    case Event::upstream_connect_timeout: return "upstream.connect_timeout";
    case Event::upstream_head_timeout: return "upstream.head_timeout";
    case Event::upstream_body_timeout: return "upstream.body_timeout";
    case Event::deadline: return "deadline";
    case Event::drain: return "drain";
    case Event::tunnel_idle: return "tunnel.idle";
    case Event::tunnel_busy: return "tunnel.busy";
    case Event::offload_busy: return "offload.busy";
    case Event::bad_argument: return "route.argument";
  }
  SLUICE_UNREACHABLE();
}

}  // namespace

std::string_view Reason::code(const Labels& labels) const {
  switch (kind_) {
    case Kind::event: return event_code(static_cast<Event>(value_));
    case Kind::http: return http::reason_code(static_cast<http::Rule>(value_));
    case Kind::auth: return auth::reason_code(static_cast<auth::Refusal>(value_));
    case Kind::limit: return labels.limits.reason(value_);
  }
  SLUICE_UNREACHABLE();
}

}  // namespace sluice::proxy
