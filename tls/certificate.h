// A certificate with its chain, its private key and perhaps a stapled OCSP response: read and
// judged once, by a thread that may block, with what is wrong in words. Immutable once made; each
// core parses its own copy from the text, in its own library context.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/clock.h"
#include "tls/openssl.h"

namespace sluice::tls {

inline constexpr size_t chain_certificates_max = 10;
inline constexpr auto expiry_warning = std::chrono::hours{24 * 14};

enum class KeyType : uint8_t { ecdsa, ed25519, rsa };  // in the order of preference
[[nodiscard]] std::string_view to_string(KeyType type);

// What the files hold; the names are for complaints.
struct CertificateFiles {
  std::string chain_path, chain;  // PEM: the server's own certificate, then its issuers
  std::string key_path, key;      // PEM, without a passphrase
  std::string ocsp_path, ocsp;    // DER; may be empty
};

class Certificate {
 public:
  ~Certificate();
  Certificate(const Certificate&) = delete;
  Certificate& operator=(const Certificate&) = delete;

  // DNS names, in lower case, "*.example" among them.
  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }
  // For people and metrics: the first DNS name, else the subject.
  [[nodiscard]] const std::string& title() const { return title_; }
  [[nodiscard]] KeyType key_type() const { return key_type_; }
  [[nodiscard]] core::WallTime not_after() const { return not_after_; }
  [[nodiscard]] const std::string& fingerprint() const { return fingerprint_; }  // SHA-256, hex
  [[nodiscard]] const std::string& chain() const { return files_.chain; }
  [[nodiscard]] const std::string& key() const { return files_.key; }  // secret
  // Empty: nothing is stapled.
  [[nodiscard]] const std::string& ocsp() const { return files_.ocsp; }
  [[nodiscard]] core::WallTime ocsp_until() const { return ocsp_until_; }

 private:
  friend struct CertificateJudge;
  Certificate() = default;
  CertificateFiles files_;
  std::vector<std::string> names_;
  std::string title_;
  std::string fingerprint_;
  KeyType key_type_ = KeyType::rsa;
  core::WallTime not_after_{};
  core::WallTime ocsp_until_{};
};

using SharedCertificate = std::shared_ptr<const Certificate>;

struct CertificateReading {
  SharedCertificate certificate;        // nullptr exactly if there are complaints
  std::vector<std::string> complaints;  // each names the file, what was found, what to do
  std::vector<std::string> warnings;    // it is used all the same
};
[[nodiscard]] CertificateReading read_certificate(CertificateFiles files, core::WallTime now);

// DNS names of its subjectAltName in lower case; without any, the common name.
[[nodiscard]] std::vector<std::string> dns_names(const X509* certificate);
[[nodiscard]] std::string fingerprint_of(const X509* certificate);
[[nodiscard]] core::WallTime to_wall_time(const ASN1_TIME* time);

}  // namespace sluice::tls
