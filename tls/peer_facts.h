// What a certificate that a peer showed says of it, in the forms that logs, limits and header
// fields take. Made once a session; bounded.
#pragma once

#include <string>

#include "tls/openssl.h"

namespace sluice::tls {

// A certificate with more is not taken apart: its facts would not fit into a request.
inline constexpr size_t peer_subject_bytes_max = 512;
inline constexpr size_t peer_certificate_bytes_max = 3 * 1024;

struct PeerFacts {
  std::string subject;      // RFC 4514, "CN=billing,O=Example"
  std::string names;        // of subjectAltName: "DNS:a.example,URI:spiffe://example/a"
  std::string serial;       // hex, in lower case
  std::string fingerprint;  // SHA-256, hex
  std::string field;        // ":BASE64:", the value of Client-Cert (RFC 9440)
};

// False if it is larger than that, or has bytes that no field may hold: then nothing can be said of
// it, and it must not count as shown.
[[nodiscard]] bool read_peer_facts(const X509* certificate, PeerFacts& facts);

}  // namespace sluice::tls
