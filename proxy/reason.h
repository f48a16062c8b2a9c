// Why a request ended as it did: one stable code, the same in the reply, the log and the metrics.
#pragma once

#include <cstdint>
#include <string_view>

#include "auth/refusal.h"
#include "http/rule.h"
#include "tls/failure.h"

namespace sluice::proxy {

struct Labels;

// What is neither a broken HTTP rule, a refused token nor a limit.
enum class Failure : uint8_t {
  none,
  method_not_allowed,
  head_timeout,
  head_shed,  // a half head, and others needed its place
  body_timeout,
  client_shed,  // it only waited for its client, and others needed its place
  write_timeout,
  downstream_closed,
  limit_key_missing,  // the request has no such claim or header, and the limit wants one
  route_none,
  upstream_malformed,
  upstream_closed,
  upstream_refused,
  upstream_busy,
  upstream_none_healthy,
  overload,             // every place of the core is taken
  local_ports,          // our own lack, and no endpoint's failure
  local_descriptors,    // as well
  local_memory,         // as well
  upstream_unresolved,  // none of its names has an address yet
  upstream_circuit_open,
  address_denied,
  address_full,  // as many connections as an address may have
  upstream_connect_timeout,
  upstream_head_timeout,
  upstream_body_timeout,
  deadline,
  drain,
  tunnel_idle,
  tunnel_busy,
  offload_busy,
  tls_on_plain_port,
  tls_wrong_server,  // the name was not the one of the handshake
  upstream_tls,      // the endpoint did not show who it is, or its handshake failed
  bad_argument,      // of one of Sluice's own routes
};

class Reason {
 public:
  constexpr Reason() = default;
  constexpr Reason(Failure event) : Reason(Kind::event, static_cast<uint8_t>(event)) {}
  constexpr Reason(http::Rule rule) : Reason(Kind::http, static_cast<uint8_t>(rule)) {}
  constexpr Reason(tls::Failure failure) : Reason(Kind::tls, static_cast<uint8_t>(failure)) {}
  constexpr Reason(auth::Refusal refusal) : Reason(Kind::auth, static_cast<uint8_t>(refusal)) {}
  // The limit with this number (NamedLimit::number).
  static constexpr Reason limit(uint16_t index) {
    return {Kind::limit, static_cast<uint8_t>(index)};
  }
  static constexpr Reason from_number(uint16_t number) {
    return {static_cast<Kind>(number >> 8), static_cast<uint8_t>(number)};
  }

  [[nodiscard]] constexpr uint16_t number() const {
    return static_cast<uint16_t>(static_cast<unsigned>(kind_) << 8 | value_);
  }
  [[nodiscard]] std::string_view code(const Labels& labels) const;
  bool operator==(const Reason&) const = default;

 private:
  enum class Kind : uint8_t { event, http, auth, limit, tls };
  constexpr Reason(Kind kind, uint8_t value) : kind_(kind), value_(value) {}
  Kind kind_ = Kind::event;
  uint8_t value_ = 0;
};

}  // namespace sluice::proxy
