// Prints tokens, each of another subject, a line each: for the loads of bench/run.
// usage: mint_tokens COUNT SECRET             HS256
//        mint_tokens COUNT --forge KEY.pem    one signature of the private key, changed a little
//        each time: forged
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

#include "auth/base64url.h"
#include "auth/mint.h"

int main(int argc, char** argv) {
  using namespace sluice::auth;
  if (argc < 3) return 2;
  const auto count = std::strtoul(argv[1], nullptr, 10);
  const bool forge = std::strcmp(argv[2], "--forge") == 0 && argc > 3;
  SigningKey key = signing_secret(argv[2]);
  if (forge) {
    std::ostringstream pem;
    pem << std::ifstream{argv[3]}.rdbuf();
    auto read = read_signing_key(pem.str(), std::nullopt, "");
    if (std::holds_alternative<KeyComplaint>(read)) return 2;
    key = std::move(std::get<SigningKey>(read));
    key.kid = thumbprint(key);
  }
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  const MintOptions options{
      .key = &key, .subject = "user0", .issued_at = now, .expires = now + std::chrono::hours{12}};
  const std::string first = forge ? mint(options) : "";
  for (unsigned long i = 0; i < count; ++i) {
    if (!forge) {
      MintOptions each = options;
      const std::string subject = "user" + std::to_string(i);
      each.subject = subject;
      std::puts(mint(each).c_str());
      continue;
    }
    // Five characters in the middle of the signature count up.
    std::string token = first;
    constexpr char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (unsigned digit = 0; digit < 5; ++digit)
      token[token.size() - 20 + digit] = alphabet[i >> (6 * digit) & 63];
    std::puts(token.c_str());
  }
  return 0;
}
