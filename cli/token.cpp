// sluice token: mints a token with JWT_SECRET.
#include <cstdio>
#include <cstdlib>

#include "auth/mint.h"
#include "cli/commands.h"
#include "cli/serve.h"
#include "proxy/gateway.h"

namespace sluice::cli {

int token_command(const TokenFlags& flags) {
  const auto complain = [](const std::string& text) {
    say(text);
    return proxy::exit_usage;
  };
  const auto secret = read_secret();
  if (const auto* complaint = std::get_if<Complaint>(&secret)) return complain(complaint->text);
  const auto algorithm = auth::parse_hmac_algorithm(flags.algorithm);
  if (!algorithm) return complain("--alg \"" + flags.algorithm + "\" is none of HS256, HS384, HS512");
  std::string ttl_text = flags.ttl;
  std::chrono::seconds ttl{};
  const auto parsed = proxy::parse_duration(ttl_text);
  if (const auto* complaint = std::get_if<Complaint>(&parsed)) return complain("--ttl: " + complaint->text);
  ttl = std::chrono::duration_cast<std::chrono::seconds>(std::get<core::Duration>(parsed));
  if (ttl.count() <= 0) return complain("--ttl \"" + flags.ttl + "\" is no time to live; write for example 30s, 15m or 1h");
  auth::MintOptions options{.secret = std::get<std::string>(secret), .algorithm = *algorithm, .subject = flags.subject};
  options.issued_at = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  options.expires = options.issued_at + ttl;
  for (const std::string& claim : flags.claims) {
    const auto equals = claim.find('=');
    if (equals == std::string::npos || equals == 0) return complain("--claim \"" + claim + "\" is not NAME=VALUE");
    const std::string name = claim.substr(0, equals);
    if (name == "sub" || name == "iat" || name == "exp") return complain("--claim " + name + ": use --sub and --ttl");
    options.claims.emplace_back(name, claim.substr(equals + 1));
  }
  std::puts(auth::mint(options).c_str());
  return proxy::exit_clean;
}

}  // namespace sluice::cli
