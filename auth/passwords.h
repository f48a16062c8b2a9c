// Users with passwords: Basic credentials (RFC 7617), and files of hashes as htpasswd -B and
// mkpasswd -m sha-512 make them.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "auth/refusal.h"

namespace sluice::auth {

// One user. The hash says how it is made (crypt(5)): bcrypt or SHA-512 crypt.
struct PasswordUser {
  std::string name;
  std::string hash;
};

inline constexpr size_t user_bytes_max = 128;
inline constexpr size_t basic_bytes_max = 512;  // of the credentials in base64

struct BasicCredentials {
  std::string_view user;
  std::string_view password;
};
using BasicMemory = std::array<unsigned char, basic_bytes_max>;
// base64 of "USER:PASSWORD", with or without its padding; views into `memory`.
[[nodiscard]] std::optional<BasicCredentials> read_basic(std::string_view encoded,
                                                         BasicMemory& memory);

// Whether `encoded` holds the password of this hash. Takes as long as the hash was made to take
// (tens of milliseconds): never on a core.
[[nodiscard]] Refusal check_password(const PasswordUser& user, std::string_view encoded);

// Lines "USER:HASH", sorted by user; `complaint` says which line is wrong, and why.
[[nodiscard]] std::vector<PasswordUser> read_passwords(std::string_view text,
                                                       std::string& complaint);

// By name, or nullptr. `users` is sorted.
[[nodiscard]] const PasswordUser* find_user(std::span<const PasswordUser> users,
                                            std::string_view name);

}  // namespace sluice::auth
