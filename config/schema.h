// The form of the configuration file, as a JSON Schema: for editors, and for showing what holds
// where nothing is said.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/values.h"

namespace sluice::config {

// JSON Schema, 2020-12; config/schema.json in the tree.
[[nodiscard]] std::string_view config_schema();

// A value that something else than the file decides: a flag.
struct Override {
  std::string path;    // "log", "workers.cores"
  std::string value;   // as YAML
  std::string origin;  // "--log"
};
// The file as YAML with everything that holds: what the file and those it includes say, and the
// defaults; each value with its origin. The file must be good.
[[nodiscard]] std::variant<std::string, Complaint> effective_config(
    const std::string& path, const std::vector<Override>& overrides);

}  // namespace sluice::config
