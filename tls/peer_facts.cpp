// Takes a verified certificate apart.
#include "tls/peer_facts.h"

#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string_view>
#include <vector>

#include "tls/certificate.h"
#include "tls/pem.h"

namespace sluice::tls {

namespace {

// Bytes that may stand in the value of a field.
bool is_printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x20 && byte != 0x7f;
  });
}

// One name of subjectAltName; empty for kinds that nobody asks for, and for one that would be taken
// for several.
std::string in_words(const GENERAL_NAME* name) {
  int type = 0;
  const void* value = GENERAL_NAME_get0_value(name, &type);
  const char* prefix = type == GEN_DNS     ? "DNS:"
                       : type == GEN_URI   ? "URI:"
                       : type == GEN_EMAIL ? "EMAIL:"
                                           : nullptr;
  if (prefix == nullptr) return {};
  const auto* string = static_cast<const ASN1_STRING*>(value);
  const std::string_view text{reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
                              static_cast<size_t>(ASN1_STRING_length(string))};
  const bool is_one = !text.empty() && text.find(',') == std::string_view::npos;
  return is_one ? prefix + std::string{text} : std::string{};
}

std::string names_of(const X509* certificate) {
  std::string names;
  auto* all = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(all); ++i) {
    const std::string one = in_words(sk_GENERAL_NAME_value(all, i));
    if (one.empty() || names.size() + one.size() > peer_subject_bytes_max) continue;
    names += (names.empty() ? "" : ",") + one;
  }
  GENERAL_NAMES_free(all);
  return names;
}

std::string serial_of(const X509* certificate) {
  BIGNUM* number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr);
  char* hex = number == nullptr ? nullptr : BN_bn2hex(number);
  std::string text = hex == nullptr ? "" : hex;
  for (char& c : text) {
    if (c >= 'A' && c <= 'F') c = static_cast<char>(c + ('a' - 'A'));
  }
  OPENSSL_free(hex);
  BN_free(number);
  return text;
}

std::string field_of(const X509* certificate) {
  unsigned char* der = nullptr;
  const int size = i2d_X509(certificate, &der);
  std::string field;
  if (size > 0 && static_cast<size_t>(size) <= peer_certificate_bytes_max) {
    std::vector<unsigned char> text(static_cast<size_t>(size) / 3 * 4 + 5);
    const int length = EVP_EncodeBlock(text.data(), der, size);
    field = ":" + std::string{text.begin(), text.begin() + length} + ":";
  }
  OPENSSL_free(der);
  return field;
}

}  // namespace

bool read_peer_facts(const X509* certificate, PeerFacts& facts) {
  facts.subject = distinguished_name(X509_get_subject_name(certificate));
  facts.names = names_of(certificate);
  facts.serial = serial_of(certificate);
  facts.fingerprint = fingerprint_of(certificate);
  facts.field = field_of(certificate);
  ERR_clear_error();
  return !facts.field.empty() && facts.subject.size() <= peer_subject_bytes_max &&
         is_printable(facts.subject) && is_printable(facts.names);
}

}  // namespace sluice::tls
