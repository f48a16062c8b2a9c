// Certificates and keys out of PEM texts, for one library context. Not on a core's data path.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tls/openssl.h"

namespace sluice::tls {

// In their order; empty if there is none, or one of them is broken. `library` nullptr: the default.
[[nodiscard]] std::vector<X509Ptr> read_certificates(std::string_view pem, OSSL_LIB_CTX* library);

[[nodiscard]] std::vector<CrlPtr> read_revocation_lists(std::string_view pem,
                                                        OSSL_LIB_CTX* library);

struct KeyReading {
  KeyPtr key;  // nullptr: there is none, or it can't be read
  bool is_passphrase_needed = false;
};
[[nodiscard]] KeyReading read_private_key(std::string_view pem, OSSL_LIB_CTX* library);

// "CN=api.example,O=Example": RFC 4514, UTF-8 as it stands.
[[nodiscard]] std::string distinguished_name(const X509_NAME* name);
// "2026-11-27 04:00:00 UTC"
[[nodiscard]] std::string in_words(const ASN1_TIME* time);

}  // namespace sluice::tls
