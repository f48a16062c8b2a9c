// Reads PEM texts, and says names and times.
#include "tls/pem.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <array>
#include <cstdio>
#include <ctime>

namespace sluice::tls {

namespace {

BioPtr over(std::string_view text) {
  return BioPtr{BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))};
}

int refuse_passphrase(char*, int, int, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

// Whether reading ended because there is nothing more, and not in the middle of something broken.
bool is_at_end() {
  const unsigned long last = ERR_peek_last_error();
  ERR_clear_error();
  return ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
}

std::string content_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<size_t>(size)};
}

}  // namespace

std::vector<X509Ptr> read_certificates(std::string_view pem, OSSL_LIB_CTX* library) {
  const BioPtr bio = over(pem);
  std::vector<X509Ptr> found;
  ERR_clear_error();
  for (;;) {
    X509* one = X509_new_ex(library, nullptr);
    if (PEM_read_bio_X509(bio.get(), &one, nullptr, nullptr) == nullptr) {
      X509_free(one);
      break;
    }
    found.emplace_back(one);
  }
  if (!is_at_end()) found.clear();
  return found;
}

std::vector<CrlPtr> read_revocation_lists(std::string_view pem, OSSL_LIB_CTX* library) {
  const BioPtr bio = over(pem);
  std::vector<CrlPtr> found;
  ERR_clear_error();
  for (;;) {
    X509_CRL* one = X509_CRL_new_ex(library, nullptr);
    if (PEM_read_bio_X509_CRL(bio.get(), &one, nullptr, nullptr) == nullptr) {
      X509_CRL_free(one);
      break;
    }
    found.emplace_back(one);
  }
  if (!is_at_end()) found.clear();
  return found;
}

KeyReading read_private_key(std::string_view pem, OSSL_LIB_CTX* library) {
  const BioPtr bio = over(pem);
  KeyReading reading;
  reading.key.reset(PEM_read_bio_PrivateKey_ex(bio.get(), nullptr, refuse_passphrase,
                                               &reading.is_passphrase_needed, library, nullptr));
  ERR_clear_error();
  return reading;
}

std::string distinguished_name(const X509_NAME* name) {
  const BioPtr bio{BIO_new(BIO_s_mem())};
  X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
  return content_of(bio.get());
}

std::string in_words(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return "an unreadable time";
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S UTC", &parts);
  return text.data();
}

}  // namespace sluice::tls
