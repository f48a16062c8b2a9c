// What the program says about itself beyond the help of its commands: exit codes, completions,
// manual pages.
#pragma once

#include <string>
#include <vector>

#include "cli/command_tree.h"

namespace sluice::cli {

struct ExitCode {
  int code;
  std::string_view means;
};
[[nodiscard]] const std::vector<ExitCode>& exit_codes();

// `topic` is exit-codes.
int help_topic_command(const std::string& topic);
// `shell` is bash, zsh or fish.
int completion_command(const Command& program, const std::string& shell);
// `page` is sluice or sluice.yaml.
int man_command(const Command& program, const std::string& page);

}  // namespace sluice::cli
