// sluice limits verify: see for yourself that a limit is exact.
#include <fmt/core.h>

#include "cli/commands.h"
#include "cli/limits_verify.h"
#include "config/values.h"
#include "gateway/gateway.h"
#include "gateway/service.h"

namespace sluice::cli {

namespace {

using config::Complaint;

// What is wrong with the flags, or nothing.
std::optional<std::string> read_flags(const LimitsFlags& flags, VerifyOptions& options) {
  const auto number = [](const char* name, const std::string& text, uint64_t least, uint64_t most,
                         auto& into) -> std::optional<std::string> {
    const auto parsed = config::parse_number(text, least, most);
    if (const auto* complaint = std::get_if<Complaint>(&parsed))
      return std::string{name} + ": " + complaint->text;
    into = static_cast<std::remove_reference_t<decltype(into)>>(std::get<uint64_t>(parsed));
    return std::nullopt;
  };
  const auto rate = config::parse_rate(flags.rate);
  if (const auto* complaint = std::get_if<Complaint>(&rate)) return "--rate: " + complaint->text;
  options.policy.rate = std::get<limiter::Rate>(rate);
  if (auto wrong = number("--burst", flags.burst, 1, limiter::burst_max, options.policy.burst))
    return wrong;
  options.policy.delay = options.policy.burst;
  if (auto wrong = number("--cores", flags.cores, 1, 64, options.cores)) return wrong;
  if (auto wrong = number("--addresses", flags.addresses, 1, 250, options.addresses)) return wrong;
  const auto duration = config::parse_duration(flags.duration);
  if (const auto* complaint = std::get_if<Complaint>(&duration)) return "--for: " + complaint->text;
  options.duration =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::get<core::Duration>(duration));
  if (options.duration > std::chrono::seconds{60})
    return "--for: more than a minute is more than can be written down";
  if (const auto complaint = limiter::check_policy(options.policy)) return complaint->text;
  return std::nullopt;
}

}  // namespace

int limits_verify_command(const LimitsFlags& flags) {
  VerifyOptions options;
  if (const auto wrong = read_flags(flags, options)) {
    gateway::say(*wrong);
    return gateway::exit_usage;
  }
  fmt::print(
      "A gateway with {} worker{} and the limit {}; {} clients with {} connections each ask as "
      "fast as they can for {} ms.\n",
      options.cores, options.cores == 1 ? "" : "s", config::in_words({.policy = options.policy}),
      options.addresses, options.connections, options.duration.count());
  std::fflush(stdout);
  const VerifyReport report = verify_limits(options);
  if (report.failure) {
    gateway::say(*report.failure);
    return gateway::exit_usage;
  }
  fmt::print("\n{:>6} {:>10} {:>10} {:>10} {:>7}\n", "client", "asked", "admitted", "expected",
             "error");
  unsigned number = 0;
  bool all_saturated = true;
  for (const VerifiedKey& key : report.keys) {
    fmt::print("{:>6} {:>10} {:>10} {:>10} {:>7}\n", ++number, key.asked, key.admitted,
               key.expected,
               static_cast<int64_t>(key.admitted) - static_cast<int64_t>(key.expected));
    all_saturated &= key.asked > 0;
  }
  fmt::print(
      "\nOwners admitted {}, clients saw {} answers 200, {} answers 429, {} others; {} decisions "
      "were made by another core.\nError: {}\n",
      report.admitted_by_owners, report.answers_200, report.answers_429, report.answers_else,
      report.remote_checks, report.error());
  if (!all_saturated)
    fmt::print(
        "A client was never refused since its bucket was last empty: the rate is above what this "
        "load asks for. Try a lower one.\n");
  return report.error() == 0 && all_saturated ? gateway::exit_clean : 1;
}

}  // namespace sluice::cli
