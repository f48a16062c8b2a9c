// Checks one signature with OpenSSL; its contexts are made once and used again.
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <openssl/rsa.h>

#include <array>
#include <cstring>
#include <stdexcept>

#include "auth/key.h"

namespace sluice::auth {

namespace {

constexpr size_t hash_bytes_max = 64;
constexpr size_t der_bytes_max = 160;  // an ECDSA signature of P-521 has at most 139

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

MacContext make_mac(const Key& key) {
  const Mac mac{EVP_MAC_fetch(nullptr, "HMAC", nullptr)};
  MacContext context{mac == nullptr ? nullptr : EVP_MAC_CTX_new(mac.get())};
  std::array<char, 16> digest{};
  std::strncpy(digest.data(), traits(key.algorithm).digest, digest.size() - 1);
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest.data(), 0),
      OSSL_PARAM_construct_end()};
  if (context == nullptr ||
      EVP_MAC_init(context.get(), bytes_of(key.secret), key.secret.size(), parameters) != 1)
    return nullptr;
  return context;
}

// Ready for EVP_PKEY_verify with a hash; nothing if OpenSSL refuses.
PkeyContext make_context(const Key& key, const EVP_MD* digest) {
  PkeyContext context{EVP_PKEY_CTX_new_from_pkey(nullptr, key.pkey.get(), nullptr)};
  if (context == nullptr || EVP_PKEY_verify_init(context.get()) != 1) return nullptr;
  const Family of = family(key.algorithm);
  if (of != Family::ecdsa) {
    const int padding = of == Family::rsa ? RSA_PKCS1_PADDING : RSA_PKCS1_PSS_PADDING;
    if (EVP_PKEY_CTX_set_rsa_padding(context.get(), padding) != 1) return nullptr;
  }
  if (EVP_PKEY_CTX_set_signature_md(context.get(), digest) != 1) return nullptr;
  // RFC 7518 3.5: the same digest for the mask, and a salt as long as it.
  if (of == Family::rsa_pss &&
      (EVP_PKEY_CTX_set_rsa_mgf1_md(context.get(), digest) != 1 ||
       EVP_PKEY_CTX_set_rsa_pss_saltlen(context.get(), RSA_PSS_SALTLEN_DIGEST) != 1)) {
    return nullptr;
  }
  return context;
}

}  // namespace

bool has_signature_form(const Key& key, size_t signature_bytes) {
  const AlgorithmTraits& of = traits(key.algorithm);
  switch (of.family) {
    case Family::hmac: return signature_bytes == of.digest_bytes;
    case Family::ecdsa: return signature_bytes == 2 * of.coordinate_bytes;
    case Family::rsa:
    case Family::rsa_pss:
      return signature_bytes == static_cast<size_t>(EVP_PKEY_get_size(key.pkey.get()));
    case Family::eddsa: return signature_bytes == 64;
  }
  return false;
}

SignatureChecker::SignatureChecker(const Key& key) : key_(key) {
  const AlgorithmTraits& of = traits(key.algorithm);
  if (of.family == Family::hmac) {
    mac_ = make_mac(key);
  } else if (of.family == Family::eddsa) {
    digest_context_.reset(EVP_MD_CTX_new());
  } else {
    digest_.reset(EVP_MD_fetch(nullptr, of.digest, nullptr));
    digest_context_.reset(EVP_MD_CTX_new());
    if (digest_ != nullptr) context_ = make_context(key, digest_.get());
  }
  const bool is_ready =
      of.family == Family::hmac
          ? mac_ != nullptr
          : digest_context_ != nullptr && (of.family == Family::eddsa || context_ != nullptr);
  if (!is_ready) throw std::runtime_error{"OpenSSL can't verify " + std::string{of.name}};
}

bool SignatureChecker::verify_hmac(std::string_view text,
                                   std::span<const unsigned char> signature) {
  std::array<unsigned char, hash_bytes_max> expected;
  size_t size = 0;
  // A null key keeps the one that the context was made with.
  return EVP_MAC_init(mac_.get(), nullptr, 0, nullptr) == 1 &&
         EVP_MAC_update(mac_.get(), bytes_of(text), text.size()) == 1 &&
         EVP_MAC_final(mac_.get(), expected.data(), &size, expected.size()) == 1 &&
         size == signature.size() && CRYPTO_memcmp(expected.data(), signature.data(), size) == 0;
}

// r and s side by side -> DER, which is what OpenSSL takes. That they are in range, OpenSSL checks
// (FIPS 186-5 6.4.2).
bool SignatureChecker::verify_ecdsa(std::span<const unsigned char> hash,
                                    std::span<const unsigned char> signature) {
  const auto half = static_cast<int>(signature.size() / 2);
  const EcdsaSignature pair{ECDSA_SIG_new()};
  Bignum r{BN_bin2bn(signature.data(), half, nullptr)};
  Bignum s{BN_bin2bn(signature.data() + half, half, nullptr)};
  if (pair == nullptr || r == nullptr || s == nullptr ||
      ECDSA_SIG_set0(pair.get(), r.get(), s.get()) != 1)
    return false;
  static_cast<void>(r.release());  // the pair's now
  static_cast<void>(s.release());
  std::array<unsigned char, der_bytes_max> der;
  const int size = i2d_ECDSA_SIG(pair.get(), nullptr);
  if (size <= 0 || static_cast<size_t>(size) > der.size()) return false;
  unsigned char* cursor = der.data();
  i2d_ECDSA_SIG(pair.get(), &cursor);
  return EVP_PKEY_verify(context_.get(), der.data(), static_cast<size_t>(size), hash.data(),
                         hash.size()) == 1;
}

bool SignatureChecker::verify(std::string_view text, std::span<const unsigned char> signature) {
  if (!has_signature_form(key_, signature.size())) return false;
  const Family of = family(key_.algorithm);
  if (of == Family::hmac) return verify_hmac(text, signature);
  if (of == Family::eddsa) {
    EVP_MD_CTX_reset(digest_context_.get());
    return EVP_DigestVerifyInit(digest_context_.get(), nullptr, nullptr, nullptr,
                                key_.pkey.get()) == 1 &&
           EVP_DigestVerify(digest_context_.get(), signature.data(), signature.size(),
                            bytes_of(text), text.size()) == 1;
  }
  std::array<unsigned char, hash_bytes_max> hash;
  unsigned hash_size = 0;
  if (EVP_DigestInit_ex2(digest_context_.get(), digest_.get(), nullptr) != 1 ||
      EVP_DigestUpdate(digest_context_.get(), text.data(), text.size()) != 1 ||
      EVP_DigestFinal_ex(digest_context_.get(), hash.data(), &hash_size) != 1) {
    return false;
  }
  if (of == Family::ecdsa) return verify_ecdsa({hash.data(), hash_size}, signature);
  return EVP_PKEY_verify(context_.get(), signature.data(), signature.size(), hash.data(),
                         hash_size) == 1;
}

}  // namespace sluice::auth
