// What Mozilla recommends, as OpenSSL spells it.
#include "tls/policy.h"

#include "core/assert.h"

namespace sluice::tls {

namespace {

constexpr const char* suites_13 =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
constexpr const char* suites_12 =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
constexpr const char* curves = "X25519:P-256:P-384";
// No SHA-1, and ECDSA first: with several certificates of a name, the order decides.
constexpr const char* signatures =
    "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:ed25519:RSA-PSS+SHA256:RSA-PSS+SHA384:RSA-PSS+SHA512:"
    "RSA+SHA256:RSA+SHA384:RSA+SHA512";
// Of a peer: a chain of a few certificates, none of them unusual.
constexpr long peer_chain_bytes_max = 32 * 1024;
constexpr int peer_chain_depth_max = 6;

}  // namespace

std::string_view to_string(Policy policy) {
  switch (policy) {
    case Policy::modern: return "modern";
    case Policy::intermediate: return "intermediate";
  }
  SLUICE_UNREACHABLE();
}

bool apply(Policy policy, SSL_CTX* context) {
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                   SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                   SSL_OP_NO_ANTI_REPLAY);
  SSL_CTX_clear_options(context, SSL_OP_LEGACY_SERVER_CONNECT);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_max_cert_list(context, peer_chain_bytes_max);
  SSL_CTX_set_verify_depth(context, peer_chain_depth_max);
  const int oldest = policy == Policy::modern ? TLS1_3_VERSION : TLS1_2_VERSION;
  return SSL_CTX_set_min_proto_version(context, oldest) == 1 &&
         SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1 &&
         SSL_CTX_set_max_early_data(context, 0) == 1 &&
         SSL_CTX_set_ciphersuites(context, suites_13) == 1 &&
         SSL_CTX_set_cipher_list(context, suites_12) == 1 &&
         SSL_CTX_set1_groups_list(context, curves) == 1 &&
         SSL_CTX_set1_sigalgs_list(context, signatures) == 1;
}

}  // namespace sluice::tls
