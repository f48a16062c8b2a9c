// One listener of one core. A worker has a few, each on its own; a new configuration opens some and
// closes others.
#pragma once

#include <cstdint>

#include "config/config.h"
#include "core/timer_wheel.h"

namespace sluice::proxy {

// Those of one configuration, and those of the one before that are still being closed.
inline constexpr size_t acceptors_max = 2 * config::listeners_max;

// Accepts that may already be posted when the bound is near.
inline constexpr uint32_t accept_margin = 256;

struct Acceptor {
  // How new connections come in.
  enum class State : uint8_t {
    stopped,     // no listener: free
    pausing,     // nothing armed: full, or out of descriptors for a moment
    multishot,   // armed for many
    once,        // armed for one: near the bound
    cancelling,  // asked to end
  };
  State state = State::stopped;
  bool is_leaving = false;  // no new accept: it stops when nothing is armed
  int listener = -1;        // closed by the worker when it stops listening
  config::ListenerConfig config;
  core::Timer timer;
};

}  // namespace sluice::proxy
