// The configuration file (YAML): read whole, judged whole. Nothing is guessed; all that is wrong is
// said at once, each with file:line:column, what was found, and what is accepted.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/config.h"

namespace sluice::config {

struct ConfigReading {
  std::optional<Config> config;         // complete(); nothing if there are complaints
  std::vector<std::string> complaints;  // a line each
  std::vector<std::string> warnings;
};

inline constexpr size_t config_bytes_max = 1 << 20;  // of each file
inline constexpr size_t config_files_max = 1000;

// Reads the file, those it includes, and the secrets that they name. Names of endpoints are left to
// be resolved.
[[nodiscard]] ConfigReading read_config(const std::string& path);
// The same from memory; `name` stands where the file's would.
[[nodiscard]] ConfigReading read_config_text(const std::string& name, const std::string& text);

}  // namespace sluice::config
