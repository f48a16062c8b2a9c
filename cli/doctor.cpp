// sluice doctor: examines the host and what a configuration names, and says what to do.
#include <fmt/core.h>
#include <unistd.h>

#include "cli/commands.h"
#include "config/environment.h"
#include "config/reader.h"
#include "core/affinity.h"
#include "core/kernel.h"
#include "gateway/doctor.h"
#include "gateway/gateway.h"
#include "gateway/reachability.h"
#include "gateway/service.h"

namespace sluice::cli {

namespace {

using gateway::Finding;
using gateway::Verdict;

std::string json_text(std::string_view text) {
  std::string out = "\"";
  for (const char byte : text) {
    if (byte == '"' || byte == '\\')
      out += std::string{'\\', byte};
    else if (static_cast<unsigned char>(byte) < 0x20)
      out += fmt::format("\\u{:04x}", static_cast<unsigned char>(byte));
    else
      out += byte;
  }
  return out + '"';
}

void print_json(const std::vector<Finding>& findings) {
  fmt::print("[");
  const char* separator = "\n";
  for (const Finding& finding : findings) {
    fmt::print("{}  {{\"verdict\": {}, \"topic\": {}, \"detail\": {}, \"remedy\": {}}}", separator,
               json_text(to_string(finding.verdict)), json_text(finding.topic),
               json_text(finding.detail), json_text(finding.remedy));
    separator = ",\n";
  }
  fmt::print("\n]\n");
}

const char* colour_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::fine: return "\033[32m";
    case Verdict::improvable: return "\033[33m";
    case Verdict::failing: return "\033[31m";
  }
  return "";
}

void print_text(const std::vector<Finding>& findings) {
  const bool in_colour = ::isatty(STDOUT_FILENO) != 0 && ::getenv("NO_COLOR") == nullptr;
  for (const Finding& finding : findings) {
    fmt::print("{}{:<15}{} {}: {}\n", in_colour ? colour_of(finding.verdict) : "",
               to_string(finding.verdict), in_colour ? "\033[0m" : "", finding.topic,
               finding.detail);
    if (!finding.remedy.empty()) fmt::print("{:<15}   -> {}\n", "", finding.remedy);
  }
}

// What the file says, or the defaults of a gateway without one.
std::vector<Finding> examine_config(const std::string& path, config::Config& config) {
  if (path.empty()) {
    config.cores = core::available_cores();
    return {};
  }
  std::vector<Finding> findings;
  config::stand_in_for_missing_secrets();
  config::ConfigReading reading = config::read_config(path);
  for (const std::string& complaint : reading.complaints)
    findings.push_back({Verdict::failing, "configuration", complaint, "sluice check " + path});
  for (const std::string& warning : reading.warnings)
    findings.push_back({Verdict::improvable, "configuration", warning, "sluice check " + path});
  if (findings.empty()) findings.push_back({.topic = "configuration", .detail = path + " is good"});
  if (reading.config) {
    config = std::move(*reading.config);
  } else {
    config.cores = core::available_cores();
  }
  return findings;
}

// The ring is this thread's and goes with it.
std::string try_to_open_ring() {
  core::KernelUnavailable unavailable;
  const auto kernel =
      core::Kernel::open({.submission_entries = 8, .completion_entries = 16}, unavailable);
  return kernel == nullptr ? unavailable.reason : "";
}

}  // namespace

int doctor_command(const std::string& path, Form form) {
  config::Config config;
  std::vector<Finding> findings = examine_config(path, config);
  gateway::HostView host = gateway::view_host();
  host.ring_failure = try_to_open_ring();
  const auto add = [&](std::vector<Finding> more) {
    findings.insert(findings.end(), more.begin(), more.end());
  };
  add(gateway::examine_host(host, config));
  if (!path.empty()) {
    add(gateway::examine_listeners(config));
    add(gateway::examine_endpoints(config));
  }
  form == Form::json ? print_json(findings) : print_text(findings);
  if (!host.ring_failure.empty()) return gateway::exit_no_io_uring;
  for (const Finding& finding : findings) {
    if (finding.verdict == Verdict::failing) return gateway::exit_usage;
  }
  return gateway::exit_clean;
}

}  // namespace sluice::cli
