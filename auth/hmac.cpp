#include "auth/hmac.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <stdexcept>

#include "core/assert.h"

namespace sluice::auth {

std::string_view to_string(HmacAlgorithm algorithm) {
  switch (algorithm) {
    case HmacAlgorithm::hs256: return "HS256";
    case HmacAlgorithm::hs384: return "HS384";
    case HmacAlgorithm::hs512: return "HS512";
  }
  SLUICE_UNREACHABLE();
}

std::optional<HmacAlgorithm> parse_hmac_algorithm(std::string_view text) {
  if (text == "HS256") return HmacAlgorithm::hs256;
  if (text == "HS384") return HmacAlgorithm::hs384;
  if (text == "HS512") return HmacAlgorithm::hs512;
  return std::nullopt;
}

size_t signature_bytes(HmacAlgorithm algorithm) {
  switch (algorithm) {
    case HmacAlgorithm::hs256: return 32;
    case HmacAlgorithm::hs384: return 48;
    case HmacAlgorithm::hs512: return 64;
  }
  SLUICE_UNREACHABLE();
}

void Hmac::Free::operator()(EVP_MAC_CTX* context) const { EVP_MAC_CTX_free(context); }

Hmac::Hmac(HmacAlgorithm algorithm, std::string_view secret) : algorithm_(algorithm) {
  EVP_MAC* mac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  if (mac != nullptr) context_.reset(EVP_MAC_CTX_new(mac));
  EVP_MAC_free(mac);
  char digest[] = "SHA000";
  const auto bits = std::to_string(signature_bytes(algorithm) * 8);
  bits.copy(digest + 3, 3);
  const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0), OSSL_PARAM_construct_end()};
  const auto* key = reinterpret_cast<const unsigned char*>(secret.data());
  if (context_ == nullptr || EVP_MAC_init(context_.get(), key, secret.size(), parameters) != 1) {
    throw std::runtime_error{"OpenSSL has no HMAC with " + std::string{digest}};
  }
}

bool Hmac::sign(std::string_view text, std::span<unsigned char, signature_bytes_max> out) {
  size_t size = 0;
  // A null key keeps the one that the context was made with.
  return EVP_MAC_init(context_.get(), nullptr, 0, nullptr) == 1 &&
         EVP_MAC_update(context_.get(), reinterpret_cast<const unsigned char*>(text.data()), text.size()) == 1 &&
         EVP_MAC_final(context_.get(), out.data(), &size, out.size()) == 1 && size == signature_bytes(algorithm_);
}

bool Hmac::verify(std::string_view text, std::span<const unsigned char> signature) {
  std::array<unsigned char, signature_bytes_max> expected;
  if (signature.size() != signature_bytes(algorithm_) || !sign(text, expected)) return false;
  return CRYPTO_memcmp(expected.data(), signature.data(), signature.size()) == 0;
}

}  // namespace sluice::auth
