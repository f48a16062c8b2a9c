// Secrets that the environment holds.
#pragma once

#include <optional>
#include <string>

namespace sluice::config {

// The value of a variable that is a secret; nothing if it is not set. Once read it stands no longer
// where others of this user and core dumps could find it (/proc/PID/environ): it is kept here, for
// when the configuration is read again. One thread at a time, as configurations are read.
[[nodiscard]] std::optional<std::string> secret_of_environment(const std::string& name);

// From now on what stands for a secret that is missing is another one, long enough for every
// algorithm: to judge a configuration where its secrets are not (sluice check --no-secrets). Before
// any other thread begins.
void stand_in_for_missing_secrets();
[[nodiscard]] std::optional<std::string> stand_in_for_secret();

}  // namespace sluice::config
