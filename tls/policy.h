// Which versions, cipher suites and curves are spoken: Mozilla's guidelines for servers (5.7), by
// the names that they have there. Both put ECDSA before RSA, and AES-128 before AES-256; a client
// that puts ChaCha20 first gets it.
#pragma once

#include <cstdint>
#include <string_view>

#include "tls/openssl.h"

namespace sluice::tls {

enum class Policy : uint8_t {
  modern,        // TLS 1.3 alone
  intermediate,  // TLS 1.2 with forward secrecy and authenticated encryption, and TLS 1.3
};

[[nodiscard]] std::string_view to_string(Policy policy);

// Versions, suites, curves, signature algorithms; and what holds for all: no renegotiation, no
// compression, no early data, record buffers released while they are empty. False if this build of
// OpenSSL lacks one of them.
[[nodiscard]] bool apply(Policy policy, SSL_CTX* context);

}  // namespace sluice::tls
