// Looks up users and groups in the system's databases.
#include "config/user.h"

#include <grp.h>
#include <pwd.h>

#include <cerrno>
#include <map>

namespace sluice::config {

namespace {

// Remembered, because the sandbox closes /etc/passwd and /etc/group, and a reload reads the same
// names again. One thread at a time reads a configuration.
template <typename Found, typename LookUp>
std::optional<Found> remembered(std::map<std::string, Found>& known, const std::string& text,
                                LookUp&& look_up) {
  if (const auto found = known.find(text); found != known.end()) return found->second;
  errno = 0;
  std::optional<Found> found = look_up(text);
  if (found) known.emplace(text, *found);
  return found;
}

std::optional<unsigned> look_up_group(const std::string& name) {
  const ::group* group = ::getgrnam(name.c_str());
  if (group == nullptr) return std::nullopt;
  return group->gr_gid;
}

std::optional<User> look_up_user(const std::string& text) {
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

}  // namespace

std::optional<unsigned> find_group(const std::string& name) {
  static std::map<std::string, unsigned> known;
  return remembered(known, name, look_up_group);
}

std::optional<User> find_user(const std::string& text) {
  static std::map<std::string, User> known;
  return remembered(known, text, look_up_user);
}

}  // namespace sluice::config
