// Sorts what OpenSSL reports into what people want to know.
#include "tls/failure.h"

#include <openssl/err.h>
#include <openssl/sslerr.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <array>
#include <utility>

#include "core/assert.h"

namespace sluice::tls {

namespace {

Failure of_verification(long result) {
  switch (result) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID: return Failure::certificate_expired;
    case X509_V_ERR_CERT_REVOKED: return Failure::certificate_revoked;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH: return Failure::certificate_name;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_UNTRUSTED: return Failure::certificate_unknown;
    default: return Failure::certificate_bad;
  }
}

Failure of_reason(const SSL* ssl, int reason) {
  switch (reason) {
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_R_VERSION_TOO_HIGH:
    case SSL_R_WRONG_SSL_VERSION: return Failure::version;
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_SUITABLE_KEY_SHARE:
    case SSL_R_NO_SUITABLE_GROUPS:
    case SSL_R_NO_SHARED_GROUPS:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
    case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
    case SSL_R_UNSUPPORTED_ELLIPTIC_CURVE: return Failure::cipher;
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE: return Failure::certificate_missing;
    case SSL_R_CERTIFICATE_VERIFY_FAILED: return of_verification(SSL_get_verify_result(ssl));
    case SSL_R_NO_APPLICATION_PROTOCOL: return Failure::protocol;
    case SSL_R_CALLBACK_FAILED: return Failure::unknown_name;
    case SSL_R_TOO_MANY_WARN_ALERTS:
    case SSL_R_RECORD_TOO_SMALL:
    case SSL_R_EXCESSIVE_MESSAGE_SIZE: return Failure::too_long;
    case ERR_R_MALLOC_FAILURE:
    case ERR_R_INTERNAL_ERROR: return Failure::internal;
    default: return Failure::malformed;
  }
}

}  // namespace

Failure take_failure(const SSL* ssl, uint8_t& peer_alert) {
  const unsigned long first = ERR_peek_error();
  ERR_clear_error();
  if (first == 0) return Failure::internal;
  const int reason = ERR_GET_REASON(first);
  const bool is_ssl = ERR_GET_LIB(first) == ERR_LIB_SSL;
  if (is_ssl && reason > SSL_AD_REASON_OFFSET && reason <= SSL_AD_REASON_OFFSET + UINT8_MAX) {
    peer_alert = static_cast<uint8_t>(reason - SSL_AD_REASON_OFFSET);
    return Failure::refused_by_peer;
  }
  // Others (ASN.1, curves, ciphers) fail over what the peer sent.
  return is_ssl ? of_reason(ssl, reason) : Failure::malformed;
}

std::string_view to_string(Failure failure) {
  switch (failure) {
    case Failure::none: return "none";
    case Failure::malformed: return "malformed";
    case Failure::version: return "version";
    case Failure::cipher: return "cipher";
    case Failure::unknown_name: return "unknown_name";
    case Failure::protocol: return "protocol";
    case Failure::certificate_missing: return "certificate_missing";
    case Failure::certificate_unknown: return "certificate_unknown";
    case Failure::certificate_expired: return "certificate_expired";
    case Failure::certificate_revoked: return "certificate_revoked";
    case Failure::certificate_name: return "certificate_name";
    case Failure::certificate_bad: return "certificate_bad";
    case Failure::refused_by_peer: return "refused_by_peer";
    case Failure::too_long: return "too_long";
    case Failure::truncated: return "truncated";
    case Failure::plain_request: return "plain_request";
    case Failure::timed_out: return "timed_out";
    case Failure::crowded_out: return "crowded_out";
    case Failure::internal: return "internal";
  }
  SLUICE_UNREACHABLE();
}

std::string_view alert_name(uint8_t alert) {
  using Named = std::pair<uint8_t, std::string_view>;
  static constexpr std::array<Named, 27> names{{{0, "close_notify"},
                                                {10, "unexpected_message"},
                                                {20, "bad_record_mac"},
                                                {22, "record_overflow"},
                                                {40, "handshake_failure"},
                                                {42, "bad_certificate"},
                                                {43, "unsupported_certificate"},
                                                {44, "certificate_revoked"},
                                                {45, "certificate_expired"},
                                                {46, "certificate_unknown"},
                                                {47, "illegal_parameter"},
                                                {48, "unknown_ca"},
                                                {49, "access_denied"},
                                                {50, "decode_error"},
                                                {51, "decrypt_error"},
                                                {70, "protocol_version"},
                                                {71, "insufficient_security"},
                                                {80, "internal_error"},
                                                {86, "inappropriate_fallback"},
                                                {90, "user_canceled"},
                                                {100, "no_renegotiation"},
                                                {109, "missing_extension"},
                                                {110, "unsupported_extension"},
                                                {112, "unrecognized_name"},
                                                {115, "unknown_psk_identity"},
                                                {116, "certificate_required"},
                                                {120, "no_application_protocol"}}};
  const auto found = std::find_if(names.begin(), names.end(),
                                  [&](const Named& one) { return one.first == alert; });
  return found == names.end() ? "other" : found->second;
}

}  // namespace sluice::tls
