// What a test may ask of a simulated kernel beside the seam that production code sees.
#pragma once

#include "core/kernel.h"
#include "tests/simulation/world.h"

namespace sluice::simulation {

// Makes a listening descriptor of `kernel` for a socket of the world.
int adopt(core::Kernel& kernel, SocketId socket);
// What submit_and_wait() begins with: hands over what was asked for, and sleeps for at most
// `timeout`.
void submit(core::Kernel& kernel, core::Duration timeout);
// Whether the kernel has something for its owner now, or its wait is over.
bool is_runnable(core::Kernel& kernel);
core::Instant wakes_at(core::Kernel& kernel);
// Executes operations that are ready. With `eagerly`, all of them.
void pump(core::Kernel& kernel, bool eagerly);
// Nothing open, nothing in flight.
bool is_clean(core::Kernel& kernel, std::string& why);
// Whether its owner sleeps, with nothing to wake it but time.
bool is_asleep(core::Kernel& kernel);
// Allocations made while production code runs (that is, not in the world or in a simulated kernel)
// are counted by the allocation test through these.
extern void (*on_enter_kernel)();
extern void (*on_leave_kernel)();

}  // namespace sluice::simulation
