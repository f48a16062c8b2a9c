// What the process gives up before it starts threads and meets its first client: root, new
// privileges, files that it does not need, and system calls that it never makes. Each part is taken
// as far as the kernel has it; what it lacks is said, not fatal. Rings are restricted apart from
// this (core/kernel_linux.cpp), because system call filters do not see what a ring is asked for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/user.h"

namespace sluice::gateway {

struct SandboxPlan {
  // Files, or folders with everything below them. What does not exist is left out.
  std::vector<std::string> readable;
  // Folders in which files may be written, made and replaced.
  std::vector<std::string> writable;
  // Whether TCP ports may be bound later on.
  bool may_bind = false;
  // Whether a reload may give unix sockets another mode or group.
  bool may_change_access = false;
};

// Drops root for good. Why not, or nothing.
[[nodiscard]] std::optional<std::string> become(const config::User& user);
[[nodiscard]] bool is_root();

// Of root that stays root: every capability but the one that a reload may need, to bind a port
// below 1024 (if `plan` says so). Why not, or nothing. Files of others are then as far away as for
// anybody.
[[nodiscard]] std::optional<std::string> drop_capabilities(const SandboxPlan& plan);

// Nobody of this user may read our memory or trace us, and no core dump has it. `off` to debug.
enum class Memory : uint8_t { is_private, may_be_traced };
void guard_memory(Memory memory);

// Of this thread and of those that it starts; there is no way back. Returns a line for each part
// that this kernel does not have.
[[nodiscard]] std::vector<std::string> enter_sandbox(const SandboxPlan& plan);

}  // namespace sluice::gateway
