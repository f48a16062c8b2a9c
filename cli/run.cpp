// sluice run, sluice reload, sluice backend
#include "cli/commands.h"
#include "cli/example_service.h"
#include "gateway/control_socket.h"
#include "gateway/gateway.h"
#include "gateway/sandbox.h"
#include "gateway/service.h"

namespace sluice::cli {

int run_command(const RunFlags& flags) {
  gateway::block_signals();
  gateway::guard_memory(gateway::Memory::is_private);
  auto config = make_config(flags);
  if (const auto* complaint = std::get_if<Complaint>(&config)) {
    gateway::say(complaint->text);
    return gateway::exit_usage;
  }
  if (std::get<config::Config>(config).sandbox == config::Sandbox::off)
    gateway::guard_memory(gateway::Memory::may_be_traced);
  gateway::ServeOptions options;
  if (flags.takes_over) options.take_over = std::get<config::Config>(config).control_path;
  if (flags.takes_over && options.take_over.empty()) {
    gateway::say(
        "--take-over: no control socket is known; write --control PATH, or control: PATH in the "
        "configuration");
    return gateway::exit_usage;
  }
  if (!flags.config.empty()) options.read_again = [&flags] { return make_config(flags); };
  if (flags.config.empty()) {
    options.when_ready = [said = defaults_in_words(flags, std::get<config::Config>(config))](
                             uint16_t) { gateway::say(said); };
  }
  return gateway::serve(std::move(std::get<config::Config>(config)), options);
}

int reload_command(const std::string& path) {
  const std::string control = path.empty() ? gateway::default_control_path() : path;
  if (control.empty()) {
    gateway::say("no control socket is known; write --control PATH");
    return gateway::exit_usage;
  }
  if (const auto why = gateway::ask_to_reload(control)) {
    gateway::say("reload: " + *why);
    return gateway::exit_usage;
  }
  return gateway::exit_clean;
}

int backend_command(const std::string& listen) {
  const auto address = core::SocketAddress::parse(listen);
  if (!address) {
    gateway::say("--listen \"" + listen + "\" is not an address like 127.0.0.1:9001");
    return gateway::exit_usage;
  }
  ExampleService service;
  if (const auto complaint = service.listen(*address)) {
    gateway::say(*complaint);
    return gateway::exit_cannot_bind;
  }
  gateway::say("example service on port " + std::to_string(service.port()) + "; Ctrl-C ends it");
  service.run();
  return gateway::exit_clean;
}

}  // namespace sluice::cli
