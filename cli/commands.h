// The subcommands. Each returns the exit code of the process.
#pragma once

#include <string>
#include <vector>

#include "cli/options.h"

namespace sluice::cli {

int run_command(const RunFlags& flags);
int demo_command(const RunFlags& flags);
// Whether the names of endpoints are looked up.
enum class Resolving : uint8_t { no, yes };
// Whether secrets of the environment, and files that hold one, must be there.
enum class Secrets : uint8_t { needed, not_needed };
int check_command(const std::string& path, Resolving resolving, Secrets secrets);
enum class ReasonForm : uint8_t { text, markdown };
// What a code means; all of them if none is given.
int reasons_command(const std::string& code, ReasonForm form);
// How what is listed is printed.
enum class Form : uint8_t { text, json };
// `path` is a configuration file; empty: the host alone is examined.
int doctor_command(const std::string& path, Form form);
enum class Showing : uint8_t { effective, schema };
int config_command(const RunFlags& flags, Showing showing);
// `control` is the path of the gateway's control socket; empty: the default.
int reload_command(const std::string& control);
int backend_command(const std::string& listen);

// The text of the flags, as given; empty means the default.
struct MintFlags {
  std::string subject = "demo";
  std::string ttl = "1h";
  std::string algorithm;  // HS256, or what fits the key
  std::string key;        // a private key in PEM; empty: JWT_SECRET
  std::string kid;
  std::vector<std::string> claims;  // "name=value", a text
  std::vector<std::string> json;    // "name=JSON"
};
int token_mint_command(const MintFlags& flags);
int token_inspect_command(const std::string& token);
struct VerifyFlags {
  std::string config;
  std::string auth;  // a name of auth:; empty: all of them
  std::string token;
};
int token_verify_command(const VerifyFlags& flags);

struct KeyFlags {
  std::string algorithm = "ES256";
  std::string kid;
  std::string out = "key";  // OUT.pem and OUT.pub.pem
};
int keys_generate_command(const KeyFlags& flags);
int keys_jwks_command(const std::vector<std::string>& files);
// A certificate that vouches for itself, for trials: OUT.pem and OUT.key.
struct CertificateFlags {
  std::vector<std::string> names{"localhost", "127.0.0.1", "::1"};
  uint32_t days = 30;
  std::string out = "certificate";
};
int keys_certificate_command(const CertificateFlags& flags);
int keys_api_command(const std::string& id, const std::string& subject);

// The text of the flags of `sluice limits verify`.
struct LimitsFlags {
  std::string rate = "100/s";
  std::string burst = "50";
  std::string cores = "2";
  std::string addresses = "8";
  std::string duration = "3s";
};
int limits_verify_command(const LimitsFlags& flags);

}  // namespace sluice::cli
