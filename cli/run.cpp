// sluice run, sluice backend
#include "cli/commands.h"
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
  return serve(std::move(std::get<proxy::Config>(config)), {});
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
