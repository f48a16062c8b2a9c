// Why a request ended as it did: one stable code, the same in the reply, the log and the metrics.
#pragma once

#include <cstdint>
#include <string_view>

#include "auth/refusal.h"
#include "http/rule.h"

namespace sluice::proxy {

// What is neither a broken HTTP rule nor a refused token.
enum class Event : uint8_t {
  none,
  method_not_allowed,
  head_timeout,
  body_timeout,
  write_timeout,
  downstream_closed,
  limit_address,
  limit_hold,  // it would have been held for too long, or too many are held
  upstream_malformed,
  upstream_closed,
  upstream_refused,
  upstream_busy,
  upstream_connect_timeout,
  upstream_head_timeout,
  upstream_body_timeout,
  deadline,
  drain,
  offload_busy,
  bad_argument,  // of one of Sluice's own routes
};

class Reason {
 public:
  constexpr Reason() = default;
  constexpr Reason(Event event) : code_(static_cast<uint8_t>(event)) {}
  constexpr Reason(http::Rule rule) : code_(static_cast<uint8_t>(http_base + static_cast<uint8_t>(rule))) {}
  constexpr Reason(auth::Refusal refusal) : code_(static_cast<uint8_t>(auth_base + static_cast<uint8_t>(refusal))) {}
  static constexpr Reason from_number(uint8_t number) {
    Reason reason;
    reason.code_ = number;
    return reason;
  }

  [[nodiscard]] constexpr uint8_t number() const { return code_; }
  [[nodiscard]] std::string_view code() const;
  bool operator==(const Reason&) const = default;

 private:
  static constexpr uint8_t http_base = 64;
  static constexpr uint8_t auth_base = 128;
  uint8_t code_ = 0;
};

}  // namespace sluice::proxy
