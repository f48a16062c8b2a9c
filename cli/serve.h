// Runs a gateway until a signal ends it: SIGINT and SIGTERM drain (a second one ends at once), SIGUSR1 reopens the log.
#pragma once

#include <functional>
#include <string>

#include "proxy/config.h"

namespace sluice::cli {

// Call first, before any thread is started: the signals are taken by serve() alone.
void block_signals();
// `when_ready` is called with the port once requests are served. Returns the exit code.
int serve(proxy::Config config, const std::function<void(uint16_t port)>& when_ready);
// One line to standard error, "sluice: ...".
void say(const std::string& text);

}  // namespace sluice::cli
