// Looks up users and groups in the system's databases.
#include "config/user.h"

#include <grp.h>
#include <pwd.h>

namespace sluice::config {

std::optional<unsigned> find_group(const std::string& name) {
  const ::group* group = ::getgrnam(name.c_str());
  if (group == nullptr) return std::nullopt;
  return group->gr_gid;
}

std::optional<User> find_user(const std::string& text) {
  const auto colon = text.find(':');
  const passwd* entry = ::getpwnam(text.substr(0, colon).c_str());
  if (entry == nullptr) return std::nullopt;
  User user{.name = text, .id = entry->pw_uid, .group = entry->pw_gid};
  if (colon == std::string::npos) return user;
  const ::group* group = ::getgrnam(text.substr(colon + 1).c_str());
  if (group == nullptr) return std::nullopt;
  user.group = group->gr_gid;
  return user;
}

}  // namespace sluice::config
