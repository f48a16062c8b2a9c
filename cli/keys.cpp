// sluice keys generate | jwks | certificate | api
#include <fcntl.h>
#include <fmt/core.h>
#include <openssl/rand.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <fstream>
#include <sstream>

#include "auth/authenticator.h"
#include "auth/base64url.h"
#include "auth/jwks.h"
#include "auth/mint.h"
#include "cli/commands.h"
#include "gateway/gateway.h"
#include "gateway/service.h"
#include "tls/self_signed.h"

namespace sluice::cli {

namespace {

// A new file that nobody else may read if it is secret; never one that is there already.
bool write_new(const std::string& path, const std::string& text, mode_t mode) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (file < 0) {
    gateway::say(path + ": " + std::strerror(errno));
    return false;
  }
  const bool written = ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::close(file);
  return written;
}

std::string hex(std::span<const unsigned char> bytes) {
  std::string text;
  for (const unsigned char byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

}  // namespace

int keys_generate_command(const KeyFlags& flags) {
  const auto algorithm = auth::parse_algorithm(flags.algorithm);
  if (!algorithm) {
    gateway::say("--alg \"" + flags.algorithm +
                 "\" is none of RS256, PS256, ES256 (and 384, 512 of each), EdDSA");
    return gateway::exit_usage;
  }
  auto key = auth::generate_signing_key(*algorithm, flags.kid);
  if (const auto* complaint = std::get_if<auth::KeyComplaint>(&key)) {
    gateway::say(complaint->text);
    return gateway::exit_usage;
  }
  const auth::SigningKey& made = std::get<auth::SigningKey>(key);
  constexpr mode_t secret = 0600, open = 0644;
  if (!write_new(flags.out + ".pem", auth::to_private_pem(made), secret) ||
      !write_new(flags.out + ".pub.pem", auth::to_public_pem(made), open)) {
    return gateway::exit_usage;
  }
  fmt::print("{{\"keys\":[{}]}}\n", auth::to_jwk(made.algorithm, made.pkey.get(), made.kid));
  gateway::say("wrote " + flags.out + ".pem, which signs and is secret, and " + flags.out +
               ".pub.pem; above is the key set to publish");
  return gateway::exit_clean;
}

int keys_jwks_command(const std::vector<std::string>& files) {
  std::string entries;
  for (const std::string& path : files) {
    std::ifstream file{path};
    std::ostringstream pem;
    if (!file || !(pem << file.rdbuf())) {
      gateway::say(path + ": this file can't be read");
      return gateway::exit_usage;
    }
    std::vector<auth::Algorithm> all;
    for (const auto& of : auth::all_algorithms()) all.push_back(of.algorithm);
    auto key = auth::make_pem_key(pem.str(), all);
    if (const auto* complaint = std::get_if<auth::KeyComplaint>(&key)) {
      gateway::say(path + ": " + complaint->text);
      return gateway::exit_usage;
    }
    const auth::SharedKey& shared = std::get<auth::SharedKey>(key);
    EVP_PKEY_up_ref(shared->pkey.get());
    const auth::SigningKey named{.algorithm = shared->algorithm,
                                 .pkey = auth::Pkey{shared->pkey.get()}};
    entries += (entries.empty() ? "" : ",") +
               auth::to_jwk(shared->algorithm, shared->pkey.get(), auth::thumbprint(named));
  }
  fmt::print("{{\"keys\":[{}]}}\n", entries);
  return gateway::exit_clean;
}

int keys_certificate_command(const CertificateFlags& flags) {
  for (const std::string& name : flags.names) {
    if (tls::is_certificate_name(name)) continue;
    gateway::say("\"" + name + "\" is not a name like api.example, *.example or 127.0.0.1");
    return gateway::exit_usage;
  }
  const auto made =
      tls::make_self_signed(flags.names, std::chrono::hours{24} * static_cast<int>(flags.days));
  if (!made) {
    gateway::say("no certificate could be made; at most 32 names are possible");
    return gateway::exit_usage;
  }
  constexpr mode_t secret = 0600, open = 0644;
  if (!write_new(flags.out + ".key", made->key, secret) ||
      !write_new(flags.out + ".pem", made->chain, open))
    return gateway::exit_usage;
  gateway::say("wrote " + flags.out + ".pem and " + flags.out +
               ".key, for trials: nobody vouches "
               "for it, so that clients must be told to believe it (curl --cacert " +
               flags.out + ".pem)");
  fmt::print("tls: {{ certificates: [{{ chain: {0}.pem, key: {0}.key }}] }}\n", flags.out);
  return gateway::exit_clean;
}

int keys_api_command(const std::string& id, const std::string& subject) {
  const auto is_word = [](const std::string& text) {
    return !text.empty() && text.size() <= 64 && text.find_first_of(". \t\n#") == std::string::npos;
  };
  if (!is_word(id) || !is_word(subject)) {
    gateway::say("an id and a subject are words of at most 64 characters, without dots and blanks");
    return gateway::exit_usage;
  }
  std::array<unsigned char, 32> secret;
  std::array<unsigned char, 16> salt;
  RAND_bytes(secret.data(), static_cast<int>(secret.size()));
  RAND_bytes(salt.data(), static_cast<int>(salt.size()));
  const std::string shown = auth::base64url_encode(secret);
  fmt::print("{} {} {} {}\n", id, hex(salt), hex(auth::hash_api_secret(salt, shown)), subject);
  gateway::say("above is the line for the file of keys; the key, which is not kept anywhere: " +
               id + "." + shown);
  return gateway::exit_clean;
}

}  // namespace sluice::cli
