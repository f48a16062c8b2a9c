// Writes completions for bash, zsh and fish.
#include "cli/completion.h"

#include <algorithm>
#include <functional>

namespace sluice::cli {

namespace {

std::string replaced(std::string_view text, char what, std::string_view by) {
  std::string out;
  for (const char c : text) c == what ? out.append(by) : out.append(1, c);
  return out;
}

std::string in_shell_quotes(std::string_view text) {
  return "'" + replaced(text, '\'', "'\\''") + "'";
}

std::string joined(const auto& words, std::string_view between) {
  std::string out;
  for (const auto& word : words) out.append(out.empty() ? "" : between).append(word);
  return out;
}

void for_each_command(const Command& command, const std::function<void(const Command&)>& visit) {
  visit(command);
  for (const Command& part : command.commands) for_each_command(part, visit);
}

bool takes_files(const Command& command) {
  return std::ranges::any_of(
      command.parameters, [](const Parameter& of) { return !of.place.empty() && names_file(of); });
}

// The patterns of a case: each name of the parameter after the path of its command.
std::string bash_patterns(const Command& command, const Parameter& parameter) {
  std::vector<std::string> patterns;
  for (const std::string& name : parameter.names) {
    patterns.push_back(in_shell_quotes(command.path + " " + name));
  }
  return joined(patterns, "|");
}

std::string bash_value(const Parameter& parameter) {
  if (names_file(parameter)) return "COMPREPLY=($(compgen -f -- \"$current\"))";
  const auto choices = choices_of(parameter);
  if (choices.empty()) return "COMPREPLY=()";
  return "COMPREPLY=($(compgen -W " + in_shell_quotes(joined(choices, " ")) + " -- \"$current\"))";
}

std::string zsh_action(const Parameter& parameter) {
  if (names_file(parameter)) return "_files";
  return choices_of(parameter).empty() ? " " : "(" + joined(choices_of(parameter), " ") + ")";
}

std::string zsh_function(const Command& command) { return "_" + replaced(command.path, ' ', "_"); }

// One or more arguments of _arguments: every name of a parameter, and its place.
std::string zsh_arguments(const Parameter& parameter) {
  std::string help = replaced(parameter.help, '[', "(");
  help = replaced(replaced(help, ']', ")"), ':', "\\:");
  const std::string value = replaced(parameter.value, ':', "\\:");
  std::string out;
  const std::string others = "(" + joined(parameter.names, " ") + ")";
  for (const std::string& name : parameter.names) {
    std::string spec = others + name + "[" + help + "]";
    if (!parameter.value.empty()) spec += ":" + value + ":" + zsh_action(parameter);
    out += " \\\n    " + in_shell_quotes(spec);
  }
  if (!parameter.place.empty()) {
    out += " \\\n    " + in_shell_quotes("*:" + parameter.place + ":" + zsh_action(parameter));
  }
  return out;
}

void write_zsh_command(const Command& command, std::string& out) {
  out += zsh_function(command) + "() {\n  local state line\n  _arguments -C";
  for (const Parameter& parameter : command.parameters) out += zsh_arguments(parameter);
  if (command.commands.empty()) {
    out += "\n}\n";
    return;
  }
  out +=
      " \\\n    '1: :->command' '*:: :->rest'\n  case $state in\n  command)\n    local -a known=(";
  for (const Command& part : command.commands) {
    out += "\n      " + in_shell_quotes(part.name + ":" + replaced(part.help, ':', "\\:"));
  }
  out += ")\n    _describe command known ;;\n  rest)\n    case $line[1] in\n";
  for (const Command& part : command.commands) {
    out += "    " + part.name + ") " + zsh_function(part) + " ;;\n";
  }
  out += "    esac ;;\n  esac\n}\n";
}

// What must have been typed already, and what not, for words of the command to make sense.
std::string fish_condition(const Command& command) {
  std::string condition;
  std::string_view rest = command.path;
  for (size_t space = rest.find(' '); space != std::string_view::npos; space = rest.find(' ')) {
    rest.remove_prefix(space + 1);
    condition.append(condition.empty() ? "" : "; and ")
        .append("__fish_seen_subcommand_from ")
        .append(rest.substr(0, rest.find(' ')));
  }
  if (command.commands.empty()) return condition;
  if (condition.empty()) return "__fish_use_subcommand";
  std::vector<std::string> names;
  for (const Command& part : command.commands) names.push_back(part.name);
  return condition + "; and not __fish_seen_subcommand_from " + joined(names, " ");
}

std::string fish_parameter(const Parameter& parameter) {
  std::string out;
  for (const std::string& name : parameter.names) {
    out += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
  }
  if (!parameter.value.empty()) out += names_file(parameter) ? " -r -F" : " -x";
  if (const auto choices = choices_of(parameter); !choices.empty()) {
    out += " -a " + in_shell_quotes(joined(choices, " "));
  }
  return out + " -d " + in_shell_quotes(parameter.help);
}

}  // namespace

std::string completion_for_bash(const Command& program) {
  std::string paths;
  std::string values;
  std::string words;
  for_each_command(program, [&](const Command& command) {
    if (&command != &program) paths += (paths.empty() ? "" : "|") + in_shell_quotes(command.path);
    std::vector<std::string> known;
    for (const Command& part : command.commands) known.push_back(part.name);
    for (const Parameter& parameter : command.parameters) {
      known.insert(known.end(), parameter.names.begin(), parameter.names.end());
      if (!parameter.place.empty()) {
        const auto choices = choices_of(parameter);
        known.insert(known.end(), choices.begin(), choices.end());
      }
      if (parameter.value.empty() || parameter.names.empty()) continue;
      values +=
          "  " + bash_patterns(command, parameter) + ") " + bash_value(parameter) + "; return ;;\n";
    }
    words +=
        "  " + in_shell_quotes(command.path) + ") words=" + in_shell_quotes(joined(known, " "));
    words += takes_files(command) ? "; files=yes ;;\n" : " ;;\n";
  });
  return "# bash completion for sluice, written by `sluice completion bash`\n"
         "_sluice() {\n"
         "  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}\n"
         "  local path=sluice word words='' files=''\n"
         "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
         "    case \"$path $word\" in\n    " +
         paths +
         ") path=\"$path $word\" ;;\n    esac\n  done\n"
         "  case \"$path $previous\" in\n" +
         values + "  esac\n  case \"$path\" in\n" + words +
         "  esac\n"
         "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
         "  [ -z \"$files\" ] || COMPREPLY+=($(compgen -f -- \"$current\"))\n"
         "}\n"
         "complete -o filenames -F _sluice sluice\n";
}

std::string completion_for_zsh(const Command& program) {
  std::string out =
      "#compdef sluice\n# zsh completion for sluice, written by `sluice completion zsh`\n";
  for_each_command(program, [&](const Command& command) { write_zsh_command(command, out); });
  return out +
         "if [ \"$funcstack[1]\" = _sluice ]; then _sluice \"$@\"; else compdef _sluice sluice; "
         "fi\n";
}

std::string completion_for_fish(const Command& program) {
  std::string out =
      "# fish completion for sluice, written by `sluice completion fish`\n"
      "complete -c sluice -f\n";
  for_each_command(program, [&](const Command& command) {
    const std::string line = "complete -c sluice -n " + in_shell_quotes(fish_condition(command));
    for (const Command& part : command.commands) {
      out += line + " -a " + part.name + " -d " + in_shell_quotes(part.help) + "\n";
    }
    for (const Parameter& parameter : command.parameters) {
      const auto choices = choices_of(parameter);
      if (!parameter.names.empty()) {
        out += line + fish_parameter(parameter) + "\n";
      } else if (!choices.empty()) {
        out += line + " -a " + in_shell_quotes(joined(choices, " ")) + "\n";
      }
    }
    if (takes_files(command)) out += line + " -F\n";
  });
  return out;
}

}  // namespace sluice::cli
