// Why a handshake or a session failed, by name: what the log, the metrics and the reason codes say.
#pragma once

#include <cstdint>
#include <string_view>

#include "tls/openssl.h"

namespace sluice::tls {

enum class Failure : uint8_t {
  none,
  malformed,            // bytes that are not TLS, or break its rules
  version,              // no version in common
  cipher,               // no cipher suite, curve or signature algorithm in common
  unknown_name,         // strict_sni, and no certificate has the name that was asked for
  protocol,             // ALPN: no protocol in common
  certificate_missing,  // the peer has to show a certificate, and shows none
  certificate_unknown,  // nobody we trust vouches for the peer's certificate
  certificate_expired,  // the peer's certificate has expired or is not yet valid
  certificate_revoked,  // the peer's certificate has been revoked
  certificate_name,     // the peer's certificate is for another name
  certificate_bad,      // the peer's certificate is wrong in another way
  refused_by_peer,      // the peer sent a fatal alert
  too_long,             // a handshake of too many bytes or messages
  truncated,            // the connection ended without a close_notify
  plain_request,        // HTTP without TLS
  timed_out,            // the handshake took too long
  crowded_out,          // too many handshakes at once, and this was the oldest
  internal,             // memory, or OpenSSL itself
};
inline constexpr unsigned failures = static_cast<unsigned>(Failure::internal) + 1;

// "malformed", "unknown_name", ...: the word in metrics and in reason codes.
[[nodiscard]] std::string_view to_string(Failure failure);

// What the calling thread's error queue says of `ssl`, and empties it. `peer_alert` becomes the
// number of the fatal alert that came, if one did.
[[nodiscard]] Failure take_failure(const SSL* ssl, uint8_t& peer_alert);

// "bad_certificate": the name of an alert's number in RFC 8446 6; "other" for what has none.
[[nodiscard]] std::string_view alert_name(uint8_t alert);

}  // namespace sluice::tls
