// Completion of the command line for shells, written from the command tree.
#pragma once

#include <string>

#include "cli/command_tree.h"

namespace sluice::cli {

[[nodiscard]] std::string completion_for_bash(const Command& program);
[[nodiscard]] std::string completion_for_zsh(const Command& program);
[[nodiscard]] std::string completion_for_fish(const Command& program);

}  // namespace sluice::cli
