// The user that the process becomes once it listens.
#pragma once

#include <optional>
#include <string>

namespace sluice::config {

struct User {
  std::string name;
  unsigned id = 0;
  unsigned group = 0;
  bool operator==(const User&) const = default;
};

// The number of a group of the system's; nothing if there is none.
[[nodiscard]] std::optional<unsigned> find_group(const std::string& name);
// "name" or "name:group" of the system's users; nothing if there is none.
[[nodiscard]] std::optional<User> find_user(const std::string& text);

}  // namespace sluice::config
