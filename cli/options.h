// What the command line and the environment say, as a Config. Every complaint is one line that says
// what to write instead.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "config/values.h"

namespace sluice::cli {

// The text of the flags of `sluice run`, as given; empty means the default.
struct RunFlags {
  std::string config;
  std::string listen;
  std::string upstream;
  std::string rate;
  std::string burst;
  std::string delay;
  std::string cores;
  std::string log;
  std::string user;
  std::string sandbox;
  std::string upstream_timeout;
  std::string control;
  std::string auth;            // jwt or none
  bool takes_over = false;     // of the gateway that listens there now
  bool shows_shaping = false;  // a second route, /shaped, whose limit holds back what is above it
  bool demo_routes = false;
};

using config::Complaint;

// From the file that --config names, or else from flags and JWT_SECRET alone; resolves names.
[[nodiscard]] std::variant<config::Config, Complaint> make_config(const RunFlags& flags);

// What holds where no file says anything: who gets in, and how often.
[[nodiscard]] std::string defaults_in_words(const RunFlags& flags, const config::Config& config);

// JWT_SECRET, or else the first line of the file jwt-secret in $CREDENTIALS_DIRECTORY.
[[nodiscard]] std::variant<std::string, Complaint> read_secret();

}  // namespace sluice::cli
