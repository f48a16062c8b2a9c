// Makes keys from PEM, JWK members and secrets, and checks that each is sound.
#include "auth/key.h"

#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>
#include <stdexcept>

namespace sluice::auth {

namespace {

constexpr int rsa_bits_min = 2048;
constexpr int rsa_bits_max = 8192;

// Ed25519 public keys of small order (RFC 8032 5.1; the eight points whose order divides the
// cofactor, and their other encodings): a signature under one of them proves nothing.
bool is_small_order(std::span<const unsigned char, 32> key) {
  static constexpr std::array<std::array<unsigned char, 32>, 5> y_coordinates{{
      {},   // 0: order 4
      {1},  // 1: order 1
      {0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4,
       0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6,
       0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},  // order 8
      {0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b,
       0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39,
       0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a},  // order 8
      {0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
       0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
       0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},  // p - 1: order 2
  }};
  return std::any_of(y_coordinates.begin(), y_coordinates.end(), [&](const auto& y) {
    return std::equal(y.begin(), y.end() - 1, key.begin()) && (key[31] & 0x7f) == y[31];
  });
}

// The y coordinate is below p = 2^255 - 19 (RFC 8032 5.1.3).
bool is_canonical(std::span<const unsigned char, 32> key) {
  if ((key[31] & 0x7f) != 0x7f) return true;
  for (size_t i = 1; i < 31; ++i) {
    if (key[i] != 0xff) return true;
  }
  return key[0] < 0xed;
}

std::vector<Algorithm> fitting(std::span<const Algorithm> allowed, auto&& fits) {
  std::vector<Algorithm> found;
  std::copy_if(allowed.begin(), allowed.end(), std::back_inserter(found),
               [&](Algorithm each) { return fits(traits(each)); });
  return found;
}

std::optional<KeyComplaint> check_pkey(Algorithm algorithm, EVP_PKEY* pkey) {
  const AlgorithmTraits& of = traits(algorithm);
  if (of.family == Family::rsa || of.family == Family::rsa_pss) {
    const int bits = EVP_PKEY_get_bits(pkey);
    if (bits < rsa_bits_min)
      return KeyComplaint{"an RSA key of " + std::to_string(bits) +
                          " bits; at least 2048 are needed (RFC 7518 3.3)"};
    if (bits > rsa_bits_max)
      return KeyComplaint{"an RSA key of " + std::to_string(bits) +
                          " bits; at most 8192 are possible"};
  }
  if (of.family == Family::eddsa) {
    std::array<unsigned char, 32> raw;
    size_t size = raw.size();
    if (EVP_PKEY_get_raw_public_key(pkey, raw.data(), &size) != 1 || size != raw.size())
      return KeyComplaint{"no Ed25519 key"};
    if (!is_canonical(raw))
      return KeyComplaint{"an Ed25519 key that is not encoded canonically (RFC 8032 5.1.3)"};
    if (is_small_order(raw))
      return KeyComplaint{"an Ed25519 key of small order, under which anybody could sign"};
  }
  return std::nullopt;
}

// What a verification of something wrong takes: the middle of a few.
std::chrono::nanoseconds measure(const Key& key) {
  if (family(key.algorithm) == Family::hmac) return {};
  SignatureChecker checker{key};
  const size_t size = family(key.algorithm) == Family::ecdsa
                          ? 2 * traits(key.algorithm).coordinate_bytes
                          : static_cast<size_t>(EVP_PKEY_get_size(key.pkey.get()));
  // In the range of what a signature may be, so that nothing is refused early.
  std::vector<unsigned char> signature(size, 0x11);
  signature[0] = signature[size / 2] = 0;
  std::array<std::chrono::nanoseconds, 5> taken;
  for (auto& each : taken) {
    const auto begin = std::chrono::steady_clock::now();
    static_cast<void>(checker.verify("what a verification costs", signature));
    each = std::chrono::steady_clock::now() - begin;
  }
  std::sort(taken.begin(), taken.end());
  return taken[taken.size() / 2];
}

KeyResult<SharedKey> finish(Algorithm algorithm, Pkey pkey, const std::string& kid) {
  if (auto complaint = check_pkey(algorithm, pkey.get())) return *complaint;
  auto key = std::make_shared<Key>();
  key->algorithm = algorithm;
  key->kid = kid;
  key->pkey = std::move(pkey);
  try {
    key->cost = measure(*key);
  } catch (const std::runtime_error& failure) {  // an RSA-PSS key with other parameters, say
    return KeyComplaint{failure.what()};
  }
  return SharedKey{std::move(key)};
}

// The same key for each algorithm; OpenSSL may refuse some of them (RSA-PSS with other parameters).
KeyResult<SharedKeys> finish_each(std::span<const Algorithm> for_use, const Pkey& pkey,
                                  const std::string& kid) {
  if (pkey == nullptr) return KeyComplaint{"OpenSSL can't make a key of it"};
  SharedKeys keys;
  std::optional<KeyComplaint> first;
  for (const Algorithm algorithm : for_use) {
    EVP_PKEY_up_ref(pkey.get());
    auto key = finish(algorithm, Pkey{pkey.get()}, kid);
    if (auto* complaint = std::get_if<KeyComplaint>(&key)) {
      if (!first) first = std::move(*complaint);
    } else {
      keys.push_back(std::move(std::get<SharedKey>(key)));
    }
  }
  if (keys.empty()) return *first;
  return keys;
}

Pkey from_parameters(const char* type, OSSL_PARAM_BLD* builder) {
  OSSL_PARAM* parameters = OSSL_PARAM_BLD_to_param(builder);
  const PkeyContext context{EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr)};
  EVP_PKEY* pkey = nullptr;
  if (parameters != nullptr && context != nullptr && EVP_PKEY_fromdata_init(context.get()) == 1) {
    EVP_PKEY_fromdata(context.get(), &pkey, EVP_PKEY_PUBLIC_KEY, parameters);
  }
  OSSL_PARAM_free(parameters);
  return Pkey{pkey};
}

using Builder = std::unique_ptr<OSSL_PARAM_BLD, OpensslFree<OSSL_PARAM_BLD_free>>;

}  // namespace

SharedKey make_secret_key(Algorithm algorithm, std::string secret, std::string kid) {
  auto key = std::make_shared<Key>();
  key->algorithm = algorithm;
  key->kid = std::move(kid);
  key->secret = std::move(secret);
  return key;
}

bool is_long_enough(const Key& key) {
  return family(key.algorithm) != Family::hmac ||
         key.secret.size() >= traits(key.algorithm).digest_bytes;
}

std::optional<std::string> weakness(const Key& key) {
  if (is_long_enough(key)) return std::nullopt;
  return "the secret has " + std::to_string(key.secret.size()) + " bytes; " +
         std::string{to_string(key.algorithm)} + " wants " +
         std::to_string(traits(key.algorithm).digest_bytes) + " or more (RFC 7518 3.2)";
}

KeyResult<SharedKey> make_pem_key(const std::string& pem, std::span<const Algorithm> allowed,
                                  const std::string& kid) {
  auto keys = make_pem_keys(pem, allowed, kid);
  if (auto* complaint = std::get_if<KeyComplaint>(&keys)) return std::move(*complaint);
  return std::get<SharedKeys>(keys).front();
}

KeyResult<SharedKeys> make_pem_keys(const std::string& pem, std::span<const Algorithm> allowed,
                                    const std::string& kid) {
  if (pem.find("PRIVATE KEY-----") != std::string::npos)
    return KeyComplaint{"a private key; only its public key belongs here"};
  const auto memory = [&] {
    return Bio{BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))};
  };
  Pkey pkey{PEM_read_bio_PUBKEY(memory().get(), nullptr, nullptr, nullptr)};
  if (pkey == nullptr) {
    const Certificate certificate{PEM_read_bio_X509(memory().get(), nullptr, nullptr, nullptr)};
    if (certificate != nullptr) pkey.reset(X509_get_pubkey(certificate.get()));
  }
  if (pkey == nullptr) return KeyComplaint{"neither a public key nor a certificate in PEM"};
  std::array<char, 64> curve{};
  size_t size = 0;
  EVP_PKEY_get_group_name(pkey.get(), curve.data(), curve.size(), &size);
  const int type = EVP_PKEY_get_base_id(pkey.get());
  const std::vector<Algorithm> for_use = fitting(allowed, [&](const AlgorithmTraits& of) {
    switch (of.family) {
      case Family::hmac: return false;
      case Family::rsa: return type == EVP_PKEY_RSA;
      case Family::rsa_pss: return type == EVP_PKEY_RSA || type == EVP_PKEY_RSA_PSS;
      case Family::ecdsa: return type == EVP_PKEY_EC && std::strcmp(of.curve, curve.data()) == 0;
      case Family::eddsa: return type == EVP_PKEY_ED25519;
    }
    return false;
  });
  if (for_use.empty())
    return KeyComplaint{
        std::string{"a key that none of the algorithms fits which are allowed here ("} +
        EVP_PKEY_get0_type_name(pkey.get()) + ")"};
  return finish_each(for_use, pkey, kid);
}

KeyResult<SharedKeys> make_rsa_keys(std::span<const Algorithm> for_use,
                                    std::span<const unsigned char> modulus,
                                    std::span<const unsigned char> exponent,
                                    const std::string& kid) {
  const Bignum n{BN_bin2bn(modulus.data(), static_cast<int>(modulus.size()), nullptr)};
  const Bignum e{BN_bin2bn(exponent.data(), static_cast<int>(exponent.size()), nullptr)};
  if (n == nullptr || e == nullptr || BN_num_bits(e.get()) < 2 || BN_num_bits(e.get()) > 64 ||
      BN_is_odd(e.get()) == 0) {
    return KeyComplaint{"an RSA exponent that is none"};
  }
  const Builder builder{OSSL_PARAM_BLD_new()};
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get());
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get());
  return finish_each(for_use, from_parameters("RSA", builder.get()), kid);
}

KeyResult<SharedKeys> make_ec_keys(Algorithm algorithm, std::span<const unsigned char> x,
                                   std::span<const unsigned char> y, const std::string& kid) {
  const AlgorithmTraits& of = traits(algorithm);
  if (x.size() != of.coordinate_bytes || y.size() != of.coordinate_bytes) {
    return KeyComplaint{"coordinates of " + std::to_string(x.size()) + " bytes; " +
                        std::string{of.jwk_curve} + " has " + std::to_string(of.coordinate_bytes)};
  }
  std::vector<unsigned char> point{4};  // uncompressed
  point.insert(point.end(), x.begin(), x.end());
  point.insert(point.end(), y.begin(), y.end());
  const Builder builder{OSSL_PARAM_BLD_new()};
  OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, of.curve, 0);
  OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                   point.size());
  Pkey pkey = from_parameters("EC", builder.get());
  const PkeyContext check{
      pkey == nullptr ? nullptr : EVP_PKEY_CTX_new_from_pkey(nullptr, pkey.get(), nullptr)};
  if (check == nullptr || EVP_PKEY_public_check(check.get()) != 1)
    return KeyComplaint{"a point that is not on the curve " + std::string{of.jwk_curve}};
  return finish_each({&algorithm, 1}, pkey, kid);
}

KeyResult<SharedKeys> make_ed25519_keys(std::span<const unsigned char> x, const std::string& kid) {
  if (x.size() != 32)
    return KeyComplaint{"an Ed25519 key of " + std::to_string(x.size()) + " bytes; it has 32"};
  constexpr Algorithm algorithm = Algorithm::eddsa;
  return finish_each(
      {&algorithm, 1},
      Pkey{EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, x.data(), x.size())}, kid);
}

}  // namespace sluice::auth
