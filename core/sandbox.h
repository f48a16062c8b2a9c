// What the process gives up before it starts threads and meets its first client: root, new privileges, files that it does not
// need, and system calls that it never makes. Each part is taken as far as the kernel has it; what it lacks is said, not fatal.
// Rings are restricted apart from this (kernel_linux.cpp), because system call filters do not see what a ring is asked for.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace sluice::core {

// Who the process becomes.
struct User {
  std::string name;
  unsigned id = 0;
  unsigned group = 0;
  bool operator==(const User&) const = default;
};
// "name" or "name:group" of the system's users; nothing if there is none.
[[nodiscard]] std::optional<User> find_user(const std::string& text);

struct SandboxPlan {
  // Files, or folders with everything below them. What does not exist is left out.
  std::vector<std::string> readable;
  // Folders in which files may be written, made and replaced.
  std::vector<std::string> writable;
  // Whether TCP ports may be bound later on.
  bool may_bind = false;
};

// Drops root for good. Why not, or nothing.
[[nodiscard]] std::optional<std::string> become(const User& user);
[[nodiscard]] bool is_root();

// Of this thread and of those that it starts; there is no way back. Returns a line for each part that this kernel does not have.
[[nodiscard]] std::vector<std::string> enter_sandbox(const SandboxPlan& plan);

}  // namespace sluice::core
