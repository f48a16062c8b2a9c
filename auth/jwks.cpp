#include "auth/jwks.h"

#include <openssl/core_names.h>
#include <simdjson.h>

#include <algorithm>
#include <array>
#include <set>

#include "auth/base64url.h"

namespace sluice::auth {

namespace {

constexpr size_t keys_max = 256;

using simdjson::dom::object;

std::optional<std::string_view> text_of(object entry, const char* name) {
  std::string_view text;
  if (entry.at_key(name).get_string().get(text) != simdjson::SUCCESS) return std::nullopt;
  return text;
}

std::optional<std::vector<unsigned char>> bytes_of(object entry, const char* name) {
  const auto text = text_of(entry, name);
  if (!text || text->empty()) return std::nullopt;
  std::vector<unsigned char> bytes(text->size());
  const auto size = base64url_decode(*text, bytes);
  if (!size) return std::nullopt;
  bytes.resize(*size);
  return bytes;
}

bool is_for_signatures(object entry) {
  if (const auto use = text_of(entry, "use"); use && *use != "sig") return false;
  simdjson::dom::array operations;
  if (entry.at_key("key_ops").get_array().get(operations) != simdjson::SUCCESS) return true;
  return std::any_of(operations.begin(), operations.end(), [](const auto operation) {
    std::string_view text;
    return operation.get_string().get(text) == simdjson::SUCCESS && text == "verify";
  });
}

// The key's own algorithm, or the one of those allowed that fits its kind; or why there is none.
KeyResult<Algorithm> algorithm_of(object entry, std::string_view type,
                                  std::span<const Algorithm> allowed) {
  const auto curve = text_of(entry, "crv").value_or("");
  const auto fits = [&](Algorithm algorithm) {
    const AlgorithmTraits& of = traits(algorithm);
    switch (of.family) {
      case Family::hmac: return type == "oct";
      case Family::rsa:
      case Family::rsa_pss: return type == "RSA";
      case Family::ecdsa: return type == "EC" && of.jwk_curve == curve;
      case Family::eddsa: return type == "OKP" && of.jwk_curve == curve;
    }
    return false;
  };
  if (const auto name = text_of(entry, "alg")) {
    const auto algorithm = parse_algorithm(*name);
    if (!algorithm)
      return KeyComplaint{"its algorithm \"" + std::string{*name} + "\" is not supported"};
    if (!fits(*algorithm))
      return KeyComplaint{"its algorithm " + std::string{*name} + " does not fit its kind " +
                          std::string{type} + " " + std::string{curve}};
    if (std::find(allowed.begin(), allowed.end(), *algorithm) == allowed.end()) {
      return KeyComplaint{"its algorithm " + std::string{*name} +
                          " is not among those that are allowed here"};
    }
    return *algorithm;
  }
  const auto found = std::find_if(allowed.begin(), allowed.end(), fits);
  if (found != allowed.end()) return *found;
  return KeyComplaint{"no algorithm that is allowed here fits its kind (" + std::string{type} +
                      (curve.empty() ? "" : " ") + std::string{curve} + ")"};
}

KeyResult<SharedKey> read_key(object entry, std::span<const Algorithm> allowed,
                              KeySetOrigin origin) {
  const auto type = text_of(entry, "kty");
  if (!type) return KeyComplaint{"it has no kty"};
  simdjson::dom::element ignored;
  if (entry.at_key("d").get(ignored) == simdjson::SUCCESS)
    return KeyComplaint{"it is a private key; only its public half belongs here"};
  const auto chosen = algorithm_of(entry, *type, allowed);
  if (const auto* complaint = std::get_if<KeyComplaint>(&chosen)) return *complaint;
  const Algorithm algorithm = std::get<Algorithm>(chosen);
  std::string kid{text_of(entry, "kid").value_or("")};
  const auto missing = [](const char* what) {
    return KeyComplaint{std::string{"its "} + what + " is missing or no canonical base64url"};
  };
  if (*type == "oct") {
    if (origin == KeySetOrigin::url)
      return KeyComplaint{"a secret, in a set that is fetched; everybody could read it there"};
    const auto secret = bytes_of(entry, "k");
    if (!secret) return missing("k");
    return make_secret_key(algorithm, {secret->begin(), secret->end()}, std::move(kid));
  }
  if (*type == "RSA") {
    const auto modulus = bytes_of(entry, "n"), exponent = bytes_of(entry, "e");
    if (!modulus || !exponent) return missing("n or e");
    return make_rsa_key(algorithm, *modulus, *exponent, std::move(kid));
  }
  const auto x = bytes_of(entry, "x");
  if (!x) return missing("x");
  if (*type == "OKP") return make_ed25519_key(*x, std::move(kid));
  const auto y = bytes_of(entry, "y");
  if (!y) return missing("y");
  return make_ec_key(algorithm, *x, *y, std::move(kid));
}

std::string member(EVP_PKEY* pkey, const char* parameter, size_t size) {
  BIGNUM* number = nullptr;
  if (EVP_PKEY_get_bn_param(pkey, parameter, &number) != 1) return {};
  const Bignum owned{number};
  std::vector<unsigned char> bytes(size == 0 ? static_cast<size_t>(BN_num_bytes(number)) : size);
  BN_bn2binpad(number, bytes.data(), static_cast<int>(bytes.size()));
  return base64url_encode(bytes);
}

}  // namespace

KeySetReading read_jwks(std::string_view text, std::span<const Algorithm> allowed,
                        KeySetOrigin origin) {
  KeySetReading reading;
  simdjson::dom::parser parser;
  simdjson::dom::array entries;
  const simdjson::padded_string padded{text};
  simdjson::dom::element root;
  if (parser.parse(padded).get(root) != simdjson::SUCCESS) {
    const bool is_html = text.substr(0, 100).find('<') != std::string_view::npos;
    reading.complaints.push_back(is_html ? "this is no JSON; it looks like a web page"
                                         : "this is no JSON");
    return reading;
  }
  if (root.at_key("keys").get_array().get(entries) != simdjson::SUCCESS) {
    reading.complaints.push_back("this is no key set: there is no array \"keys\" (RFC 7517 5)");
    return reading;
  }
  std::set<std::string> seen;
  size_t number = 0;
  for (const auto element : entries) {
    const std::string where = "key " + std::to_string(++number);
    object entry;
    if (number > keys_max) {
      reading.complaints.push_back("more than " + std::to_string(keys_max) + " keys");
      break;
    }
    if (element.get_object().get(entry) != simdjson::SUCCESS) {
      reading.complaints.push_back(where + " is no object");
      continue;
    }
    if (!is_for_signatures(entry)) continue;
    auto key = read_key(entry, allowed, origin);
    const std::string kid{text_of(entry, "kid").value_or("")};
    const std::string named = where + (kid.empty() ? "" : " (kid \"" + kid + "\")");
    if (const auto* complaint = std::get_if<KeyComplaint>(&key)) {
      reading.complaints.push_back(named + ": " + complaint->text);
    } else if (!kid.empty() && !seen.insert(kid).second) {
      reading.complaints.push_back(named + ": another key has this kid");
    } else {
      reading.keys.push_back(std::move(std::get<SharedKey>(key)));
    }
  }
  if (reading.keys.empty() && reading.complaints.empty())
    reading.complaints.push_back("this key set has no key for signatures");
  return reading;
}

std::string to_jwk(Algorithm algorithm, EVP_PKEY* pkey, std::string_view kid) {
  const AlgorithmTraits& of = traits(algorithm);
  std::string jwk =
      R"({"kid":")" + std::string{kid} + R"(","use":"sig","alg":")" + std::string{of.name} + "\",";
  switch (of.family) {
    case Family::rsa:
    case Family::rsa_pss:
      jwk += R"("kty":"RSA","n":")" + member(pkey, OSSL_PKEY_PARAM_RSA_N, 0) + R"(","e":")" +
             member(pkey, OSSL_PKEY_PARAM_RSA_E, 0);
      break;
    case Family::ecdsa:
      jwk += R"("kty":"EC","crv":")" + std::string{of.jwk_curve} + R"(","x":")" +
             member(pkey, OSSL_PKEY_PARAM_EC_PUB_X, of.coordinate_bytes) + R"(","y":")" +
             member(pkey, OSSL_PKEY_PARAM_EC_PUB_Y, of.coordinate_bytes);
      break;
    case Family::eddsa: {
      std::array<unsigned char, 32> raw{};
      size_t size = raw.size();
      EVP_PKEY_get_raw_public_key(pkey, raw.data(), &size);
      jwk += R"("kty":"OKP","crv":"Ed25519","x":")" + base64url_encode({raw.data(), size});
      break;
    }
    case Family::hmac: return {};
  }
  return jwk + "\"}";
}

}  // namespace sluice::auth
