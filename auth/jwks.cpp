// Judges a key set key by key: what cannot be used is passed over and named.
#include "auth/jwks.h"

#include <openssl/core_names.h>
#include <simdjson.h>

#include <algorithm>
#include <array>
#include <iterator>
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

// The key's own algorithm, or those of the allowed ones that fit its kind; or why there is none.
KeyResult<std::vector<Algorithm>> algorithms_of(object entry, std::string_view type,
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
    return std::vector{*algorithm};
  }
  std::vector<Algorithm> found;
  std::copy_if(allowed.begin(), allowed.end(), std::back_inserter(found), fits);
  if (!found.empty()) return found;
  return KeyComplaint{"no algorithm that is allowed here fits its kind (" + std::string{type} +
                      (curve.empty() ? "" : " ") + std::string{curve} + ")"};
}

KeyComplaint missing(const char* what) {
  return KeyComplaint{std::string{"its "} + what + " is missing or no canonical base64url"};
}

KeyResult<SharedKeys> read_secret(object entry, std::span<const Algorithm> for_use,
                                  KeySetOrigin origin, const std::string& kid) {
  if (origin == KeySetOrigin::url)
    return KeyComplaint{"a secret, in a set that is fetched; everybody could read it there"};
  const auto secret = bytes_of(entry, "k");
  if (!secret) return missing("k");
  SharedKeys keys;
  for (const Algorithm algorithm : for_use)
    keys.push_back(make_secret_key(algorithm, {secret->begin(), secret->end()}, kid));
  return keys;
}

KeyResult<SharedKeys> read_key(object entry, std::span<const Algorithm> allowed,
                               KeySetOrigin origin, const std::string& kid) {
  const auto type = text_of(entry, "kty");
  if (!type) return KeyComplaint{"it has no kty"};
  simdjson::dom::element ignored;
  if (entry.at_key("d").get(ignored) == simdjson::SUCCESS)
    return KeyComplaint{"it is a private key; only its public half belongs here"};
  const auto chosen = algorithms_of(entry, *type, allowed);
  if (const auto* complaint = std::get_if<KeyComplaint>(&chosen)) return *complaint;
  const auto& for_use = std::get<std::vector<Algorithm>>(chosen);
  if (*type == "oct") return read_secret(entry, for_use, origin, kid);
  if (*type == "RSA") {
    const auto modulus = bytes_of(entry, "n"), exponent = bytes_of(entry, "e");
    if (!modulus || !exponent) return missing("n or e");
    return make_rsa_keys(for_use, *modulus, *exponent, kid);
  }
  const auto x = bytes_of(entry, "x");
  if (!x) return missing("x");
  if (*type == "OKP") return make_ed25519_keys(*x, kid);
  const auto y = bytes_of(entry, "y");
  if (!y) return missing("y");
  return make_ec_keys(for_use.front(), *x, *y, kid);
}

// The key's name; nothing if it is no text. Absent and null are the empty one: any kid will do.
std::optional<std::string> kid_of(object entry) {
  simdjson::dom::element element;
  if (entry.at_key("kid").get(element) != simdjson::SUCCESS || element.is_null())
    return std::string{};
  std::string_view text;
  if (element.get_string().get(text) != simdjson::SUCCESS || text.empty() ||
      text.size() > kid_bytes_max)
    return std::nullopt;
  return std::string{text};
}

// For messages, of which it must not make two.
std::string shown(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
  return text;
}

// One set being read.
class SetReader {
 public:
  SetReader(std::span<const Algorithm> allowed, KeySetOrigin origin, KeyStrength strength)
      : allowed_(allowed), origin_(origin), strength_(strength) {}

  void read(const simdjson::dom::element& element) {
    const std::string where = "key " + std::to_string(++number_);
    object entry;
    if (element.get_object().get(entry) != simdjson::SUCCESS) {
      pass_over(where + " is no object");
      return;
    }
    const auto kid = kid_of(entry);
    const std::string named =
        where + (kid && !kid->empty() ? " (kid \"" + shown(*kid) + "\")" : "");
    simdjson::dom::element secret;
    if (entry.at_key("k").get(secret) == simdjson::SUCCESS ||
        entry.at_key("d").get(secret) == simdjson::SUCCESS)
      reading.holds_secrets = true;
    if (number_ > keys_max) {
      pass_over(named + ": more than " + std::to_string(keys_max) + " keys");
    } else if (!kid) {
      pass_over(named + ": its kid is no text, or longer than " + std::to_string(kid_bytes_max));
    } else if (!is_for_signatures(entry)) {
      pass_over(named + ": it is not for signatures");
    } else {
      auto keys = read_key(entry, allowed_, origin_, *kid);
      if (const auto* complaint = std::get_if<KeyComplaint>(&keys)) {
        pass_over(named + ": " + complaint->text);
      } else {
        take(named, std::get<SharedKeys>(keys));
      }
    }
  }

  KeySetReading reading;

 private:
  void pass_over(std::string why) { reading.passed_over.push_back(std::move(why)); }

  void take(const std::string& named, const SharedKeys& keys) {
    bool is_used = false;
    std::string why;
    for (const SharedKey& key : keys) {
      const auto weak = weakness(*key);
      if (weak && strength_ == KeyStrength::strict) {
        why = *weak;
      } else if (!key->kid.empty() && !seen_.insert({key->kid, key->algorithm}).second) {
        why = "another key has this kid and is for " + std::string{to_string(key->algorithm)} +
              ", too";
      } else {
        if (weak && !is_used) reading.warnings.push_back(named + ": " + *weak);
        reading.keys.push_back(key);
        is_used = true;
      }
    }
    if (is_used) {
      ++reading.usable;
    } else {
      pass_over(named + ": " + why);
    }
  }

  std::span<const Algorithm> allowed_;
  KeySetOrigin origin_;
  KeyStrength strength_;
  std::set<std::pair<std::string, Algorithm>> seen_;
  size_t number_ = 0;
};

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
                        KeySetOrigin origin, KeyStrength strength) {
  SetReader reader{allowed, origin, strength};
  KeySetReading& reading = reader.reading;
  simdjson::dom::parser parser;
  simdjson::dom::array entries;
  const simdjson::padded_string padded{text};
  simdjson::dom::element root;
  if (parser.parse(padded).get(root) != simdjson::SUCCESS) {
    const bool is_html = text.substr(0, 100).find('<') != std::string_view::npos;
    reading.complaint = is_html ? "this is no JSON; it looks like a web page" : "this is no JSON";
    return std::move(reading);
  }
  if (root.at_key("keys").get_array().get(entries) != simdjson::SUCCESS) {
    reading.complaint = "this is no key set: there is no array \"keys\" (RFC 7517 5)";
    return std::move(reading);
  }
  for (const auto element : entries) reader.read(element);
  if (reading.keys.empty()) {
    reading.complaint = "this key set has no key of use for signatures";
    for (const std::string& each : reading.passed_over) reading.complaint += "; " + each;
  }
  return std::move(reading);
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
