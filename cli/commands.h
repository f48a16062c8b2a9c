// The subcommands. Each returns the exit code of the process.
#pragma once

#include <string>
#include <vector>

#include "cli/options.h"

namespace sluice::cli {

int run_command(const RunFlags& flags);
int demo_command(const RunFlags& flags);
int backend_command(const std::string& listen);

struct TokenFlags {
  std::string subject = "demo";
  std::string ttl = "1h";
  std::string algorithm = "HS256";
  std::vector<std::string> claims;  // "name=value"
};
int token_command(const TokenFlags& flags);

}  // namespace sluice::cli
