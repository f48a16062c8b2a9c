// sluice reasons: what the codes of refusals and failures mean.
#include <fmt/core.h>

#include "cli/commands.h"
#include "gateway/gateway.h"
#include "gateway/service.h"
#include "proxy/reason_words.h"

namespace sluice::cli {

namespace {

void print_markdown() {
  fmt::print(
      "# Reason codes\n\n"
      "Every refusal and failure has one code: in the answer (`code` of the problem, `details` of "
      "Proxy-Status), in the access\nlog (`reason`) and in the metrics. This page is what "
      "`sluice reasons --markdown` prints.\n\n"
      "| code | status | what happened | who must do what |\n| --- | --- | --- | --- |\n");
  for (const proxy::ReasonWords& words : proxy::all_reason_words())
    fmt::print("| `{}` | {} | {} | {} |\n", words.code, words.status, words.what, words.who);
}

void print_one(const proxy::ReasonWords& words, const std::string& code) {
  fmt::print("{} ({})\n  {}\n  {}\n", code, words.status, words.what, words.who);
}

}  // namespace

int reasons_command(const std::string& code, ReasonForm form) {
  if (form == ReasonForm::markdown) {
    print_markdown();
    return gateway::exit_clean;
  }
  if (code.empty()) {
    for (const proxy::ReasonWords& words : proxy::all_reason_words())
      print_one(words, std::string{words.code});
    return gateway::exit_clean;
  }
  const proxy::ReasonWords* words = proxy::words_of(code);
  if (words == nullptr) {
    gateway::say("\"" + code + "\" is no reason code; sluice reasons lists them all");
    return gateway::exit_usage;
  }
  print_one(*words, code);
  return gateway::exit_clean;
}

}  // namespace sluice::cli
