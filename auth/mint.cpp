// Signs tokens and generates keys with OpenSSL.
#include "auth/mint.h"

#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>

#include <array>
#include <cstdio>
#include <cstring>

#include "auth/base64url.h"
#include "auth/jwks.h"

namespace sluice::auth {

namespace {

std::string encode(std::string_view text) {
  return base64url_encode({reinterpret_cast<const unsigned char*>(text.data()), text.size()});
}

std::string json_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      std::array<char, 8> escape{};
      std::snprintf(escape.data(), escape.size(), "\\u%04x", static_cast<unsigned>(c));
      out += escape.data();
    } else {
      out += c;
    }
  }
  return out + "\"";
}

// DER -> r and s side by side, each as long as the curve has it (RFC 7518 3.4).
std::vector<unsigned char> to_jose(const AlgorithmTraits& of,
                                   const std::vector<unsigned char>& der) {
  const unsigned char* cursor = der.data();
  const EcdsaSignature pair{d2i_ECDSA_SIG(nullptr, &cursor, static_cast<long>(der.size()))};
  std::vector<unsigned char> out(2 * of.coordinate_bytes);
  const auto half = static_cast<int>(of.coordinate_bytes);
  BN_bn2binpad(ECDSA_SIG_get0_r(pair.get()), out.data(), half);
  BN_bn2binpad(ECDSA_SIG_get0_s(pair.get()), out.data() + half, half);
  return out;
}

std::string to_text(BIO* memory) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(memory, &data);
  return {data, static_cast<size_t>(size)};
}

}  // namespace

SigningKey signing_secret(std::string_view secret, Algorithm algorithm) {
  return {.algorithm = algorithm, .secret = std::string{secret}};
}

KeyResult<SigningKey> read_signing_key(const std::string& pem, std::optional<Algorithm> algorithm,
                                       std::string kid) {
  const Bio memory{BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))};
  Pkey pkey{PEM_read_bio_PrivateKey(memory.get(), nullptr, nullptr, nullptr)};
  if (pkey == nullptr) return KeyComplaint{"no private key in PEM"};
  std::array<char, 64> curve{};
  size_t size = 0;
  EVP_PKEY_get_group_name(pkey.get(), curve.data(), curve.size(), &size);
  const int type = EVP_PKEY_get_base_id(pkey.get());
  for (const AlgorithmTraits& of : all_algorithms()) {
    const bool fits =
        (type == EVP_PKEY_RSA && (of.family == Family::rsa || of.family == Family::rsa_pss)) ||
        (type == EVP_PKEY_EC && of.family == Family::ecdsa &&
         std::strcmp(of.curve, curve.data()) == 0) ||
        (type == EVP_PKEY_ED25519 && of.family == Family::eddsa);
    if (!fits || (algorithm && *algorithm != of.algorithm)) continue;
    return SigningKey{.algorithm = of.algorithm, .kid = std::move(kid), .pkey = std::move(pkey)};
  }
  return KeyComplaint{algorithm ? "a key that does not fit " + std::string{to_string(*algorithm)}
                                : "a key that no algorithm fits"};
}

KeyResult<SigningKey> generate_signing_key(Algorithm algorithm, std::string kid,
                                           unsigned rsa_bits) {
  const AlgorithmTraits& of = traits(algorithm);
  SigningKey key{.algorithm = algorithm, .kid = std::move(kid)};
  switch (of.family) {
    case Family::hmac:
      return KeyComplaint{
          "HS algorithms have a secret, not a pair of keys; take 32 random bytes or more"};
    case Family::rsa:
    case Family::rsa_pss:
      key.pkey.reset(EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", static_cast<size_t>(rsa_bits)));
      break;
    case Family::ecdsa: key.pkey.reset(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", of.curve)); break;
    case Family::eddsa: key.pkey.reset(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")); break;
  }
  if (key.pkey == nullptr) return KeyComplaint{"OpenSSL made no key"};
  if (key.kid.empty()) key.kid = thumbprint(key);
  return key;
}

std::string to_private_pem(const SigningKey& key) {
  const Bio memory{BIO_new(BIO_s_mem())};
  PEM_write_bio_PrivateKey(memory.get(), key.pkey.get(), nullptr, nullptr, 0, nullptr, nullptr);
  return to_text(memory.get());
}

std::string to_public_pem(const SigningKey& key) {
  const Bio memory{BIO_new(BIO_s_mem())};
  PEM_write_bio_PUBKEY(memory.get(), key.pkey.get());
  return to_text(memory.get());
}

// RFC 7638 3: the required members alone, in the order of the alphabet, without blanks.
std::string thumbprint(const SigningKey& key) {
  const std::string jwk = to_jwk(key.algorithm, key.pkey.get(), "");
  const auto value = [&](const std::string& name) {
    const std::string member = "\"" + name + "\":\"";
    const size_t begin = jwk.find(member) + member.size();
    return member + jwk.substr(begin, jwk.find('"', begin) - begin) + "\"";
  };
  std::string text;
  switch (family(key.algorithm)) {
    case Family::rsa:
    case Family::rsa_pss: text = value("e") + "," + value("kty") + "," + value("n"); break;
    case Family::ecdsa:
      text = value("crv") + "," + value("kty") + "," + value("x") + "," + value("y");
      break;
    case Family::eddsa: text = value("crv") + "," + value("kty") + "," + value("x"); break;
    case Family::hmac: break;
  }
  text = "{" + text + "}";
  std::array<unsigned char, 32> hash;
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), hash.data());
  return base64url_encode(hash);
}

std::vector<unsigned char> sign(const SigningKey& key, std::string_view text) {
  const AlgorithmTraits& of = traits(key.algorithm);
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  if (of.family == Family::hmac) {
    std::vector<unsigned char> out(of.digest_bytes);
    unsigned size = 0;
    HMAC(EVP_get_digestbyname(of.digest), key.secret.data(), static_cast<int>(key.secret.size()),
         bytes, text.size(), out.data(), &size);
    return out;
  }
  const DigestContext context{EVP_MD_CTX_new()};
  EVP_PKEY_CTX* inner = nullptr;
  if (EVP_DigestSignInit_ex(context.get(), &inner, of.digest, nullptr, nullptr, key.pkey.get(),
                            nullptr) != 1)
    return {};
  if (of.family == Family::rsa_pss) {
    EVP_PKEY_CTX_set_rsa_padding(inner, RSA_PKCS1_PSS_PADDING);
    EVP_PKEY_CTX_set_rsa_pss_saltlen(inner, RSA_PSS_SALTLEN_DIGEST);
  }
  size_t size = 0;
  if (EVP_DigestSign(context.get(), nullptr, &size, bytes, text.size()) != 1) return {};
  std::vector<unsigned char> out(size);
  if (EVP_DigestSign(context.get(), out.data(), &size, bytes, text.size()) != 1) return {};
  out.resize(size);
  return of.family == Family::ecdsa ? to_jose(of, out) : out;
}

std::string mint_raw(std::string_view header, std::string_view payload, const SigningKey& key) {
  const std::string text = encode(header) + "." + encode(payload);
  return text + "." + base64url_encode(sign(key, text));
}

std::string mint(const MintOptions& options) {
  const SigningKey secret = signing_secret(options.secret);
  const SigningKey& key = options.key != nullptr ? *options.key : secret;
  std::string header = R"({"alg":")" + std::string{to_string(key.algorithm)} + R"(","typ":"JWT")";
  if (!key.kid.empty()) header += R"(,"kid":)" + json_text(key.kid);
  std::string payload = R"({"sub":)" + json_text(options.subject) + R"(,"iat":)" +
                        std::to_string(options.issued_at.time_since_epoch().count()) +
                        R"(,"exp":)" + std::to_string(options.expires.time_since_epoch().count());
  for (const auto& [name, value] : options.claims)
    payload += "," + json_text(name) + ":" + json_text(value);
  if (!options.more.empty()) payload += "," + std::string{options.more};
  return mint_raw(header + "}", payload + "}", key);
}

}  // namespace sluice::auth
