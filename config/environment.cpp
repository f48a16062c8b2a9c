// Takes secrets from the environment and wipes them there.
#include "config/environment.h"

#include <cstdlib>
#include <cstring>
#include <map>

namespace sluice::config {

namespace {
bool stands_in = false;
}

void stand_in_for_missing_secrets() { stands_in = true; }

std::optional<std::string> stand_in_for_secret() {
  if (!stands_in) return std::nullopt;
  return std::string(64, 's');
}

std::optional<std::string> secret_of_environment(const std::string& name) {
  static std::map<std::string, std::string> taken;
  char* value = std::getenv(name.c_str());
  if (value == nullptr) {
    taken.erase(name);
    return std::nullopt;
  }
  if (*value != 0) {
    taken[name] = value;
    ::explicit_bzero(value, std::strlen(value));
  }
  const auto found = taken.find(name);
  return found == taken.end() ? std::string{} : found->second;
}

}  // namespace sluice::config
