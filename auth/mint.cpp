#include "auth/mint.h"

#include <array>
#include <cstdio>

#include "auth/base64url.h"

namespace sluice::auth {

namespace {

std::string encode(std::string_view text) { return base64url_encode({reinterpret_cast<const unsigned char*>(text.data()), text.size()}); }

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

}  // namespace

std::string mint_raw(std::string_view header, std::string_view payload, std::string_view secret, HmacAlgorithm algorithm) {
  std::string text = encode(header) + "." + encode(payload);
  std::array<unsigned char, signature_bytes_max> signature;
  Hmac{algorithm, secret}.sign(text, signature);
  return text + "." + base64url_encode({signature.data(), signature_bytes(algorithm)});
}

std::string mint(const MintOptions& options) {
  const std::string header = R"({"alg":")" + std::string{to_string(options.algorithm)} + R"(","typ":"JWT"})";
  std::string payload = R"({"sub":)" + json_text(options.subject) + R"(,"iat":)" +
                        std::to_string(options.issued_at.time_since_epoch().count()) + R"(,"exp":)" +
                        std::to_string(options.expires.time_since_epoch().count());
  for (const auto& [name, value] : options.claims) payload += "," + json_text(name) + ":" + json_text(value);
  return mint_raw(header, payload + "}", options.secret, options.algorithm);
}

}  // namespace sluice::auth
