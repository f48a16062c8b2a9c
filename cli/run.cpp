// sluice run, sluice reload, sluice backend
#include "cli/commands.h"
#include "cli/control_socket.h"
#include "cli/example_service.h"
#include "cli/serve.h"
#include "proxy/gateway.h"

namespace sluice::cli {

int run_command(const RunFlags& flags) {
  block_signals();
  auto config = make_config(flags);
  if (const auto* complaint = std::get_if<Complaint>(&config)) {
    say(complaint->text);
    return proxy::exit_usage;
  }
  ServeOptions options;
  if (flags.takes_over) options.take_over = std::get<config::Config>(config).control_path;
  if (flags.takes_over && options.take_over.empty()) {
    say("--take-over: no control socket is known; write --control PATH, or control: PATH in the configuration");
    return proxy::exit_usage;
  }
  if (!flags.config.empty()) options.read_again = [&flags] { return make_config(flags); };
  return serve(std::move(std::get<config::Config>(config)), options);
}

int reload_command(const std::string& path) {
  const std::string control = path.empty() ? default_control_path() : path;
  if (control.empty()) {
    say("no control socket is known; write --control PATH");
    return proxy::exit_usage;
  }
  if (const auto why = ask_to_reload(control)) {
    say("reload: " + *why);
    return proxy::exit_usage;
  }
  return proxy::exit_clean;
}

int backend_command(const std::string& listen) {
  const auto address = core::SocketAddress::parse(listen);
  if (!address) {
    say("--listen \"" + listen + "\" is not an address like 127.0.0.1:9001");
    return proxy::exit_usage;
  }
  ExampleService service;
  if (const auto complaint = service.listen(*address)) {
    say(*complaint);
    return proxy::exit_cannot_bind;
  }
  say("example service on port " + std::to_string(service.port()) + "; Ctrl-C ends it");
  service.run();
  return proxy::exit_clean;
}

}  // namespace sluice::cli
