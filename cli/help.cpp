// Help on a topic, and the command that was probably meant.
#include "cli/help.h"

#include <cstdio>

#include "cli/completion.h"
#include "cli/man_page.h"
#include "config/schema.h"
#include "gateway/gateway.h"

namespace sluice::cli {

namespace {

int print(const std::string& text) {
  std::fputs(text.c_str(), stdout);
  return gateway::exit_clean;
}

int refuse(const std::string& what, const std::string& known) {
  std::fprintf(stderr, "sluice: there is no %s; there is %s\n", what.c_str(), known.c_str());
  return gateway::exit_usage;
}

}  // namespace

const std::vector<ExitCode>& exit_codes() {
  static const std::vector<ExitCode> codes = {
      {gateway::exit_clean, "Everything was done. A gateway has drained and finished what it had."},
      {1,
       "What was asked about is bad: a token that was refused, a host on which Sluice will fail."},
      {gateway::exit_usage, "The command line or the configuration is wrong; nothing was started."},
      {gateway::exit_cut,
       "A gateway stopped, and its drain was cut at the deadline or by a second signal."},
      {gateway::exit_no_io_uring,
       "io_uring is not available here; the message says how to allow it."},
      {gateway::exit_cannot_bind, "An address could not be listened on."},
  };
  return codes;
}

int help_topic_command(const std::string& topic) {
  if (topic != "exit-codes") return refuse("help on " + topic, "exit-codes, and every command");
  std::string text;
  for (const ExitCode& of : exit_codes()) {
    text.append(std::to_string(of.code)).append("  ").append(of.means).append("\n");
  }
  return print(text);
}

int completion_command(const Command& program, const std::string& shell) {
  if (shell == "bash") return print(completion_for_bash(program));
  if (shell == "zsh") return print(completion_for_zsh(program));
  if (shell == "fish") return print(completion_for_fish(program));
  return refuse("completion for " + shell, "bash, zsh and fish");
}

int man_command(const Command& program, const std::string& page) {
  if (page == "sluice") return print(man_of_program(program, exit_codes()));
  if (page == "sluice.yaml") return print(man_of_file(config::config_schema()));
  return refuse("manual page " + page, "sluice and sluice.yaml");
}

}  // namespace sluice::cli
