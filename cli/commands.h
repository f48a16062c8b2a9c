// The subcommands. Each returns the exit code of the process.
#pragma once

#include <string>
#include <vector>

#include "cli/options.h"

namespace sluice::cli {

int run_command(const RunFlags& flags);
int demo_command(const RunFlags& flags);
int check_command(const std::string& path);
int backend_command(const std::string& listen);

struct TokenFlags {
  std::string subject = "demo";
  std::string ttl = "1h";
  std::string algorithm = "HS256";
  std::vector<std::string> claims;  // "name=value"
};
int token_command(const TokenFlags& flags);

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
