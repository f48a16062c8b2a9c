// Manual pages in the man(7) macros: of the program from its command tree, of the configuration
// file from its schema.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/help.h"

namespace sluice::cli {

[[nodiscard]] std::string man_of_program(const Command& program,
                                         const std::vector<ExitCode>& codes);
// `schema` is the JSON Schema of the file.
[[nodiscard]] std::string man_of_file(std::string_view schema);

}  // namespace sluice::cli
