// What the command line takes, as CLI11 has it: the one definition that help, completions and
// manual pages share.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
}

namespace sluice::cli {

// An option, a flag or an argument of a command.
struct Parameter {
  std::vector<std::string> names;  // "-c", "--config"; none: it has no other form than its place
  std::string place;               // what an argument is called; empty: it is given by name only
  std::string value;  // what is written after it, e.g. "FILE" or "on|off"; empty: a flag
  std::string help;
  bool is_required = false;
};

struct Command {
  std::string path;  // all names, e.g. "sluice token mint"
  std::string name;  // the last of them
  std::string help;
  std::vector<Parameter> parameters;
  std::vector<Command> commands;
};

[[nodiscard]] Command read_command_tree(const CLI::App& app);

// The words of a value that is one of several, e.g. "on|off"; none if any text may stand there.
[[nodiscard]] std::vector<std::string_view> choices_of(const Parameter& parameter);
[[nodiscard]] bool names_file(const Parameter& parameter);

// A complaint about the first word that should be a command and is none, with the one that may be
// meant; empty if there is no such word. `words` are the arguments of the process without its name.
[[nodiscard]] std::string wrong_command(const Command& program,
                                        const std::vector<std::string_view>& words);

// The one that a path of words names, e.g. {"token", "mint"}; nullptr if there is none.
[[nodiscard]] const Command* find_command(const Command& program,
                                          const std::vector<std::string>& words);

}  // namespace sluice::cli
