// Makes certificates for trials.
#include "tls/self_signed.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <memory>

#include "core/address.h"
#include "tls/openssl.h"

namespace sluice::tls {

namespace {

constexpr size_t names_max = 32;
constexpr size_t name_bytes_max = 253;

bool is_address(const std::string& name) {
  const bool is_ipv6 = name.find(':') != std::string::npos;
  return core::SocketAddress::parse_host(is_ipv6 ? "[" + name + "]" : name, 0).has_value();
}

bool add_extension(X509* certificate, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
  const bool is_added = extension != nullptr && X509_add_ext(certificate, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return is_added;
}

bool add_serial(X509* certificate) {
  uint64_t serial = 0;
  return RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial) == 1 &&
         ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial >> 1) == 1;
}

bool add_subject(X509* certificate, const std::string& name) {
  X509_NAME* subject = X509_get_subject_name(certificate);
  constexpr size_t common_name_bytes_max = 64;
  const std::string shown = name.substr(0, common_name_bytes_max);
  return X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                    reinterpret_cast<const unsigned char*>(shown.c_str()), -1, -1,
                                    0) == 1 &&
         X509_set_issuer_name(certificate, subject) == 1;
}

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<size_t>(size)};
}

}  // namespace

bool is_certificate_name(const std::string& name) {
  if (is_address(name)) return true;
  const std::string dns = name.starts_with("*.") ? name.substr(2) : name;
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.';
  };
  return !dns.empty() && dns.size() <= name_bytes_max && dns.front() != '.' && dns.back() != '.' &&
         dns.find("..") == std::string::npos && std::all_of(dns.begin(), dns.end(), is_letter);
}

std::optional<SelfSigned> make_self_signed(std::span<const std::string> names,
                                           std::chrono::hours lifetime) {
  if (names.empty() || names.size() > names_max ||
      !std::all_of(names.begin(), names.end(), is_certificate_name))
    return std::nullopt;
  std::string all;
  for (const std::string& name : names)
    all += (all.empty() ? "" : ",") + std::string{is_address(name) ? "IP:" : "DNS:"} + name;
  const KeyPtr key{EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256")};
  const X509Ptr certificate{X509_new()};
  X509* made = certificate.get();
  constexpr long hour = 3600;
  const bool is_made =
      key != nullptr && made != nullptr && X509_set_version(made, X509_VERSION_3) == 1 &&
      add_serial(made) && add_subject(made, names.front()) &&
      X509_gmtime_adj(X509_getm_notBefore(made), -hour) != nullptr &&
      X509_gmtime_adj(X509_getm_notAfter(made), static_cast<long>(lifetime.count()) * hour) !=
          nullptr &&
      X509_set_pubkey(made, key.get()) == 1 &&
      add_extension(made, NID_basic_constraints, "critical,CA:FALSE") &&
      add_extension(made, NID_key_usage, "critical,digitalSignature") &&
      add_extension(made, NID_ext_key_usage, "serverAuth,clientAuth") &&
      add_extension(made, NID_subject_alt_name, all) &&
      X509_sign(made, key.get(), EVP_sha256()) != 0;
  const BioPtr chain{BIO_new(BIO_s_mem())};
  const BioPtr secret{BIO_new(BIO_s_secmem())};
  const bool is_written =
      is_made && PEM_write_bio_X509(chain.get(), made) == 1 &&
      PEM_write_bio_PrivateKey(secret.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1;
  ERR_clear_error();
  if (!is_written) return std::nullopt;
  return SelfSigned{text_of(chain.get()), text_of(secret.get())};
}

}  // namespace sluice::tls
