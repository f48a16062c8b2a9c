// Walks the commands and options of the program as CLI11 knows them.
#include "cli/command_tree.h"

#include <CLI/CLI.hpp>

#include <algorithm>

#include "config/values.h"

namespace sluice::cli {

namespace {

Parameter read_parameter(const CLI::Option& option) {
  Parameter parameter{.place = option.get_positional() ? option.get_name(true) : "",
                      .help = option.get_description(),
                      .is_required = option.get_required()};
  for (const std::string& name : option.get_snames()) parameter.names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) parameter.names.push_back("--" + name);
  if (option.get_items_expected_max() > 0) parameter.value = option.get_type_name();
  return parameter;
}

Command read_command(const CLI::App& app, const std::string& before) {
  Command command{
      .path = before + app.get_name(), .name = app.get_name(), .help = app.get_description()};
  for (const CLI::Option* option : app.get_options()) {
    command.parameters.push_back(read_parameter(*option));
  }
  for (const CLI::App* part : app.get_subcommands([](const CLI::App*) { return true; })) {
    command.commands.push_back(read_command(*part, command.path + " "));
  }
  return command;
}

const Command* part_of(const Command& command, std::string_view name) {
  const auto found = std::ranges::find(command.commands, name, &Command::name);
  return found == command.commands.end() ? nullptr : &*found;
}

bool takes_words(const Command& command) {
  return std::ranges::any_of(command.parameters,
                             [](const Parameter& of) { return !of.place.empty(); });
}

// Whether the word after this one belongs to it.
bool takes_value(const Command& command, std::string_view word) {
  return std::ranges::any_of(command.parameters, [&](const Parameter& of) {
    return !of.value.empty() && std::ranges::find(of.names, word) != of.names.end();
  });
}

}  // namespace

Command read_command_tree(const CLI::App& app) { return read_command(app, ""); }

std::vector<std::string_view> choices_of(const Parameter& parameter) {
  std::vector<std::string_view> choices;
  std::string_view rest = parameter.value;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('|'), rest.size());
    const std::string_view word = rest.substr(0, end);
    // What is written large stands for something else, as does a number with its unit.
    if (word.empty() || !std::ranges::all_of(word, [](char c) {
          return (c >= 'a' && c <= 'z') || c == '-' || c == '.';
        })) {
      return {};
    }
    choices.push_back(word);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return choices.size() > 1 ? choices : std::vector<std::string_view>{};
}

bool names_file(const Parameter& parameter) {
  return parameter.value.starts_with("FILE") || parameter.value.starts_with("PATH") ||
         parameter.place.starts_with("file");
}

std::string wrong_command(const Command& program, const std::vector<std::string_view>& words) {
  const Command* at = &program;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string_view word = words[i];
    if (word.starts_with("-")) {
      if (takes_value(*at, word)) ++i;
      continue;
    }
    const Command* next = part_of(*at, word);
    if (next == nullptr) {
      if (at->commands.empty() || takes_words(*at)) return "";
      std::vector<std::string_view> known;
      for (const Command& of : at->commands) known.push_back(of.name);
      const std::string_view meant = config::nearest(word, known);
      const std::string asked = at->path + " " + std::string{word};
      return meant.empty() ? "there is no command " + asked + "; see " + at->path + " --help"
                           : "there is no command " + asked + "; did you mean " + at->path + " " +
                                 std::string{meant} + "?";
    }
    at = next;
  }
  return "";
}

const Command* find_command(const Command& program, const std::vector<std::string>& words) {
  const Command* at = &program;
  for (const std::string& word : words) {
    at = part_of(*at, word);
    if (at == nullptr) return nullptr;
  }
  return at;
}

}  // namespace sluice::cli
