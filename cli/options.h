// What the command line and the environment say, as a Config. Every complaint is one line that says what to write instead.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "proxy/config.h"

namespace sluice::cli {

// The text of the flags of `sluice run`, as given; empty means the default.
struct RunFlags {
  std::string listen;
  std::string upstream;
  std::string rate;
  std::string burst;
  std::string delay;
  std::string cores;
  std::string log;
  std::string upstream_timeout;
  bool demo_routes = false;
};

struct Complaint {
  std::string text;
};

// Reads JWT_SECRET, resolves the upstream's name.
[[nodiscard]] std::variant<proxy::Config, Complaint> make_config(const RunFlags& flags);

// JWT_SECRET, or else the first line of the file jwt-secret in $CREDENTIALS_DIRECTORY.
[[nodiscard]] std::variant<std::string, Complaint> read_secret();
// "2s", "500ms", "1m"; a unit is required.
[[nodiscard]] std::variant<core::Duration, Complaint> parse_duration(const std::string& text);
// "http://HOST[:PORT]", nothing behind it.
[[nodiscard]] std::variant<proxy::Endpoint, Complaint> parse_upstream(const std::string& text);

}  // namespace sluice::cli
