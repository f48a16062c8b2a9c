// Reads a certificate and says what is wrong with it.
#include "tls/certificate.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <ctime>

#include "core/assert.h"
#include "tls/ocsp.h"
#include "tls/pem.h"

namespace sluice::tls {

Certificate::~Certificate() { OPENSSL_cleanse(files_.key.data(), files_.key.size()); }

std::string_view to_string(KeyType type) {
  switch (type) {
    case KeyType::ecdsa: return "ECDSA";
    case KeyType::ed25519: return "Ed25519";
    case KeyType::rsa: return "RSA";
  }
  SLUICE_UNREACHABLE();
}

core::WallTime to_wall_time(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return {};
  // Beyond what nanoseconds can say (year 2262): as late as they can.
  constexpr time_t most = 9'223'372'035;
  return core::WallTime{std::chrono::seconds{std::min(::timegm(&parts), most)}};
}

std::string fingerprint_of(const X509* certificate) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  X509_digest(certificate, EVP_sha256(), digest.data(), &size);
  std::string text;
  for (unsigned i = 0; i < size; ++i) {
    constexpr std::string_view digits = "0123456789abcdef";
    text += digits[digest[i] >> 4];
    text += digits[digest[i] & 15];
  }
  return text;
}

namespace {

std::string lower(std::string_view text) {
  std::string lowered{text};
  for (char& c : lowered) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  }
  return lowered;
}

std::string_view text_of(const ASN1_STRING* string) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
          static_cast<size_t>(ASN1_STRING_length(string))};
}

bool is_self_issued(const X509* certificate) {
  return X509_NAME_cmp(X509_get_subject_name(certificate), X509_get_issuer_name(certificate)) == 0;
}

}  // namespace

std::vector<std::string> dns_names(const X509* certificate) {
  std::vector<std::string> names;
  auto* all = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(all); ++i) {
    int type = 0;
    const void* value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(all, i), &type);
    if (type != GEN_DNS) continue;
    std::string name = lower(text_of(static_cast<const ASN1_STRING*>(value)));
    if (std::find(names.begin(), names.end(), name) == names.end())
      names.push_back(std::move(name));
  }
  const bool has_names = all != nullptr;
  GENERAL_NAMES_free(all);
  if (has_names) return names;
  const X509_NAME* subject = X509_get_subject_name(certificate);
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (at >= 0)
    names.push_back(lower(text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)))));
  return names;
}

// Judges in turn; what is wrong beyond use is a complaint and ends it.
struct CertificateJudge {
  CertificateJudge(CertificateFiles given, core::WallTime at) : files(std::move(given)), now(at) {}

  CertificateFiles files;
  core::WallTime now;
  CertificateReading reading;
  std::vector<X509Ptr> chain;
  KeyPtr key;

  void complain(const std::string& text) { reading.complaints.push_back(text); }
  void warn(const std::string& text) { reading.warnings.push_back(text); }
  [[nodiscard]] X509* own() const { return chain.front().get(); }
  [[nodiscard]] std::string title() const {
    const auto names = dns_names(own());
    return names.empty() ? distinguished_name(X509_get_subject_name(own())) : names.front();
  }

  void read_chain() {
    const std::string& text = files.chain;
    chain = read_certificates(text, nullptr);
    if (!chain.empty()) {
      if (chain.size() > chain_certificates_max)
        complain(files.chain_path + ": " + std::to_string(chain.size()) +
                 " certificates; a chain has at most " + std::to_string(chain_certificates_max) +
                 "; leave out what is not its own chain");
      return;
    }
    if (text.find("-----BEGIN CERTIFICATE-----") != std::string::npos) {
      complain(files.chain_path + ": a certificate in it is broken; copy the file again");
    } else if (text.find("PRIVATE KEY-----") != std::string::npos) {
      complain(files.chain_path +
               ": holds a private key and no certificate; chain: names the "
               "certificates, key: the private key");
    } else if (text.starts_with('\x30')) {
      complain(files.chain_path +
               ": is DER, and PEM is needed; convert it: openssl x509 -inform "
               "der -in " +
               files.chain_path + " -out chain.pem");
    } else {
      complain(files.chain_path +
               ": holds no certificate; PEM is needed (-----BEGIN CERTIFICATE-----)");
    }
  }

  void read_key() {
    KeyReading read = read_private_key(files.key, nullptr);
    key = std::move(read.key);
    if (key != nullptr) return;
    if (read.is_passphrase_needed) {
      complain(files.key_path +
               ": is protected by a passphrase, which nobody is there to type; "
               "write it without one: openssl pkey -in " +
               files.key_path + " -out KEY, in a file that only this service may read");
    } else if (files.key.find("PRIVATE KEY-----") != std::string::npos) {
      complain(files.key_path + ": the private key in it is broken; copy the file again");
    } else if (files.key.find("-----BEGIN CERTIFICATE-----") != std::string::npos) {
      complain(files.key_path +
               ": holds a certificate and no private key; chain: names the "
               "certificates, key: the private key");
    } else {
      complain(files.key_path +
               ": holds no private key; PEM is needed (-----BEGIN PRIVATE KEY-----)");
    }
  }

  void match() {
    if (X509_check_private_key(own(), key.get()) == 1) return;
    ERR_clear_error();
    for (size_t i = 1; i < chain.size(); ++i) {
      const bool fits = X509_check_private_key(chain[i].get(), key.get()) == 1;
      ERR_clear_error();
      if (!fits) continue;
      complain(files.chain_path + ": the key of " + files.key_path + " belongs to certificate " +
               std::to_string(i + 1) + " of this file; put that one first, then its issuers");
      return;
    }
    complain(files.key_path + ": this key does not match the certificate of " + files.chain_path +
             " (" + title() + "); name the key that the certificate was issued for");
  }

  // False if keys of this kind are of no use.
  [[nodiscard]] bool judge_key(KeyType& type) {
    const int id = EVP_PKEY_get_base_id(key.get());
    if (id == EVP_PKEY_ED25519) {
      type = KeyType::ed25519;
      return true;
    }
    if (id == EVP_PKEY_RSA) {
      type = KeyType::rsa;
      const int bits = EVP_PKEY_get_bits(key.get());
      if (bits >= 2048 && bits <= 8192) return true;
      complain(files.key_path + ": an RSA key of " + std::to_string(bits) +
               " bits; write one of 2048 to 8192, or better an ECDSA key on P-256");
      return false;
    }
    std::array<char, 64> curve{};
    if (id == EVP_PKEY_EC) EVP_PKEY_get_group_name(key.get(), curve.data(), curve.size(), nullptr);
    const std::string_view name{curve.data()};
    type = KeyType::ecdsa;
    if (name == "prime256v1" || name == "secp384r1" || name == "secp521r1") return true;
    complain(files.key_path + ": a key of a kind that clients don't take" +
             (name.empty() ? std::string{} : " (the curve " + std::string{name} + ")") +
             "; write ECDSA on P-256, P-384 or P-521, Ed25519, or RSA");
    return false;
  }

  void judge_dates() {
    const auto not_before = to_wall_time(X509_get0_notBefore(own()));
    const auto not_after = to_wall_time(X509_get0_notAfter(own()));
    if (now > not_after) {
      warn(files.chain_path + ": the certificate of " + title() + " expired on " +
           in_words(X509_get0_notAfter(own())) + ", and clients refuse it; renew it");
    } else if (now < not_before) {
      warn(files.chain_path + ": the certificate of " + title() + " is not valid before " +
           in_words(X509_get0_notBefore(own())) +
           ", and clients refuse it until then; check this machine's clock");
    } else if (now + expiry_warning > not_after) {
      const auto days =
          std::chrono::duration_cast<std::chrono::hours>(not_after - now).count() / 24;
      warn(files.chain_path + ": the certificate of " + title() + " expires in " +
           std::to_string(days) + " days, on " + in_words(X509_get0_notAfter(own())) +
           "; renew it");
    }
    for (size_t i = 1; i < chain.size(); ++i) {
      if (now > to_wall_time(X509_get0_notAfter(chain[i].get())))
        warn(files.chain_path + ": certificate " + std::to_string(i + 1) + " (" +
             distinguished_name(X509_get_subject_name(chain[i].get())) + ") expired on " +
             in_words(X509_get0_notAfter(chain[i].get())) + "; put the issuer's new one there");
    }
  }

  void judge_signatures() {
    for (size_t i = 0; i < chain.size(); ++i) {
      int digest = NID_undef;
      if (is_self_issued(chain[i].get()) ||
          X509_get_signature_info(chain[i].get(), &digest, nullptr, nullptr, nullptr) != 1)
        continue;
      if (digest == NID_sha1 || digest == NID_md5 || digest == NID_md5_sha1)
        complain(files.chain_path + ": certificate " + std::to_string(i + 1) + " (" +
                 distinguished_name(X509_get_subject_name(chain[i].get())) + ") is signed with " +
                 (digest == NID_sha1 ? "SHA-1" : "MD5") +
                 ", which clients refuse; have it issued again with SHA-256");
    }
  }

  void judge_chain() {
    for (size_t i = 0; i + 1 < chain.size(); ++i) {
      if (X509_check_issued(chain[i + 1].get(), chain[i].get()) == X509_V_OK) continue;
      warn(files.chain_path + ": certificate " + std::to_string(i + 2) +
           " did not issue certificate " + std::to_string(i + 1) +
           "; put the server's own first, and behind each the one that issued it");
      return;
    }
    if (chain.size() == 1 && !is_self_issued(own()))
      warn(files.chain_path + ": the certificate of the issuer, " +
           distinguished_name(X509_get_issuer_name(own())) +
           ", is not in this file; clients that do not hold it refuse the connection. Append the "
           "intermediates; nothing is missing if the issuer is a root that all clients hold");
  }

  void judge_purpose() {
    if (dns_names(own()).empty())
      warn(files.chain_path +
           ": names no DNS name (subjectAltName); it serves as the first "
           "certificate, for clients that ask for none");
    if (X509_check_purpose(own(), X509_PURPOSE_SSL_SERVER, 0) != 1)
      warn(files.chain_path + ": the certificate of " + title() +
           " is not for servers (extendedKeyUsage), and clients refuse it");
  }

  void judge() {
    read_chain();
    if (reading.complaints.empty()) read_key();
    if (reading.complaints.empty()) match();
    KeyType type{};
    if (!reading.complaints.empty() || !judge_key(type)) return;
    judge_signatures();
    if (!reading.complaints.empty()) return;
    judge_dates();
    judge_chain();
    judge_purpose();
    core::WallTime ocsp_until{};
    if (!files.ocsp.empty()) {
      const OcspReading staple = judge_ocsp(files.ocsp, chain, now);
      ocsp_until = staple.until;
      if (!staple.complaint.empty()) {
        warn(files.ocsp_path + ": " + staple.complaint + "; nothing is stapled");
        files.ocsp.clear();
      }
    }
    std::shared_ptr<Certificate> made{new Certificate};
    made->names_ = dns_names(own());
    made->title_ = title();
    made->fingerprint_ = fingerprint_of(own());
    made->key_type_ = type;
    made->not_after_ = to_wall_time(X509_get0_notAfter(own()));
    made->ocsp_until_ = ocsp_until;
    made->files_ = std::move(files);
    reading.certificate = std::move(made);
  }
};

CertificateReading read_certificate(CertificateFiles files, core::WallTime now) {
  CertificateJudge judge{std::move(files), now};
  judge.judge();
  return std::move(judge.reading);
}

}  // namespace sluice::tls
