// Runs a gateway until it is told to stop: SIGINT and SIGTERM drain (a second one ends at once),
// SIGUSR1 reopens the log, SIGHUP and the control socket reload. Tells a service manager what it
// does.
#pragma once

#include <functional>
#include <string>
#include <variant>

#include "config/config.h"
#include "config/values.h"
#include "gateway/words.h"

namespace sluice::gateway {

struct ServeOptions {
  std::function<void(uint16_t port)> when_ready;  // once requests are served
  // The configuration as it is written now; empty: there is no file.
  std::function<std::variant<config::Config, config::Complaint>()> read_again;
  std::string take_over;  // the control socket of the gateway whose place is taken; empty: of none
};

// Call first, before any thread is started: the signals are taken by serve() alone.
void block_signals();
// Returns the exit code.
int serve(config::Config config, const ServeOptions& options);

}  // namespace sluice::gateway
