// Which paths and system calls a configuration needs.
#include "gateway/sandbox_plan.h"

#include <filesystem>

#include "gateway/resolver.h"
#include "metrics/log_target.h"

namespace sluice::gateway {

namespace {

// A file that is replaced is another file with its name: what counts is the folder.
void add_folder_of(std::vector<std::string>& paths, const std::string& file) {
  if (file.empty()) return;
  std::error_code failure;
  const auto folder = std::filesystem::absolute(file, failure).parent_path();
  if (!failure) paths.push_back(folder);
}

}  // namespace

SandboxPlan sandbox_plan(const config::Config& config) {
  SandboxPlan plan;
  plan.readable = {"/proc/self", "/dev/null", "/dev/urandom"};
  bool asks_others = false;
  for (const config::AuthConfig& entry : config.auth) {
    const config::KeySources& sources = entry.key_sources;
    add_folder_of(plan.readable, sources.jwks_file);
    add_folder_of(plan.readable, sources.api_keys_file);
    add_folder_of(plan.readable, sources.passwords_file);
    add_folder_of(plan.readable, sources.jwks_ca);
    add_folder_of(plan.writable, sources.jwks_copy);
    asks_others |= !sources.jwks_url.empty();
  }
  add_folder_of(plan.readable, config.revocations_file);
  for (const std::string& file : config::tls_files(config)) add_folder_of(plan.readable, file);
  for (const config::UpstreamConfig& upstream : config.upstreams)
    asks_others |= upstream.tls != nullptr && !upstream.health.path.empty();
  // A configuration that is read again may have other listeners.
  plan.may_bind = !config.files.empty();
  for (const std::string& file : config.files) add_folder_of(plan.readable, file);
  // Names of users and groups are looked up again then.
  if (!config.files.empty()) {
    for (const char* path : {"/etc/passwd", "/etc/group", "/etc/nsswitch.conf"})
      plan.readable.emplace_back(path);
  }
  for (const config::ListenerConfig& listener : config.listeners) {
    if (listener.address.is_unix() && listener.address.path().front() != '@')
      add_folder_of(plan.writable, listener.address.path());
    plan.may_change_access |= listener.mode.has_value() || listener.group.has_value();
  }
  add_folder_of(plan.writable, config.control_path);
  asks_others |= !names_of(config).empty();
  // Names are looked up, and certificates judged, by what stands there.
  if (asks_others) {
    for (const char* path :
         {"/etc", "/usr/lib", "/usr/share", "/lib", "/lib64", "/run/systemd/resolve"})
      plan.readable.emplace_back(path);
  }
  // A log that is opened anew may be a new file.
  if (config.log_path != metrics::log_to_stdout && config.log_path != metrics::log_to_stderr &&
      config.log_path != metrics::log_to_nobody)
    add_folder_of(plan.writable, config.log_path);
  return plan;
}

}  // namespace sluice::gateway
