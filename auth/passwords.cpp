// Reads files of users and checks passwords with libcrypt.
#include "auth/passwords.h"

#include <crypt.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "auth/base64url.h"
#include "auth/claims.h"

namespace sluice::auth {

namespace {

// A hash that takes longer than a second would let a few callers keep the pool busy.
constexpr unsigned bcrypt_cost_max = 14;
constexpr unsigned sha512_rounds_max = 1'000'000;

unsigned number_of(std::string_view text) {
  unsigned number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  return parsed.ec == std::errc{} && parsed.ptr == text.data() + text.size() ? number : UINT32_MAX;
}

bool is_of_crypt(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
           c == '/';
  });
}

// "$2y$10$" and 53 characters.
std::string judge_bcrypt(std::string_view hash) {
  const unsigned cost = hash.size() == 60 && hash[6] == '$' ? number_of(hash.substr(4, 2)) : 0;
  if (cost < 4 || cost > 31 || !is_of_crypt(hash.substr(7))) return "this is not a bcrypt hash";
  if (cost <= bcrypt_cost_max) return "";
  return "a cost of " + std::to_string(cost) + " takes too long; at most " +
         std::to_string(bcrypt_cost_max) + " is possible";
}

// "$6$", perhaps "rounds=N$", a salt of at most 16, "$" and 86 characters.
std::string judge_sha512(std::string_view hash) {
  constexpr std::string_view named = "rounds=";
  std::string_view rest = hash.substr(3);
  if (rest.starts_with(named)) {
    const size_t end = std::min(rest.find('$'), rest.size());
    const unsigned rounds = number_of(rest.substr(named.size(), end - named.size()));
    if (rounds > sha512_rounds_max)
      return "so many rounds take too long; at most " + std::to_string(sha512_rounds_max) +
             " are possible";
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  const size_t salt = rest.find('$');
  const bool is_whole = salt != std::string_view::npos && salt > 0 && salt <= 16 &&
                        rest.size() == salt + 87 && is_of_crypt(rest.substr(0, salt)) &&
                        is_of_crypt(rest.substr(salt + 1));
  return is_whole ? "" : "this is not a SHA-512 hash of crypt(5)";
}

std::string judge_hash(std::string_view hash) {
  if (hash.starts_with("$2y$") || hash.starts_with("$2b$") || hash.starts_with("$2a$"))
    return judge_bcrypt(hash);
  if (hash.starts_with("$6$")) return judge_sha512(hash);
  return "its hash is neither bcrypt ($2y$, as htpasswd -B makes it) nor SHA-512 ($6$, as mkpasswd "
         "-m sha-512 makes it)";
}

}  // namespace

std::optional<BasicCredentials> read_basic(std::string_view encoded, BasicMemory& memory) {
  if (encoded.size() > basic_bytes_max) return std::nullopt;
  while (encoded.ends_with('=')) encoded.remove_suffix(1);
  std::array<char, basic_bytes_max> url;
  for (size_t at = 0; at < encoded.size(); ++at) {
    const char c = encoded[at];
    if (c == '-' || c == '_') return std::nullopt;
    url[at] = c == '+' ? '-' : c == '/' ? '_' : c;
  }
  const auto size = base64url_decode({url.data(), encoded.size()}, memory);
  if (!size) return std::nullopt;
  const std::string_view text{reinterpret_cast<const char*>(memory.data()), *size};
  const size_t colon = text.find(':');
  // No controls in either (RFC 7617 2); a user becomes the value of fields.
  if (colon == std::string_view::npos || colon == 0 || colon > user_bytes_max ||
      !is_field_text(text.substr(0, colon)) || text.find('\0') != std::string_view::npos)
    return std::nullopt;
  return BasicCredentials{text.substr(0, colon), text.substr(colon + 1)};
}

Refusal check_password(const PasswordUser& user, std::string_view encoded) {
  BasicMemory memory;
  const auto credentials = read_basic(encoded, memory);
  if (!credentials) return Refusal::password_form;
  std::array<char, basic_bytes_max + 1> password{};
  credentials->password.copy(password.data(), credentials->password.size());
  struct crypt_data work {};
  const char* made = ::crypt_r(password.data(), user.hash.c_str(), &work);
  const bool is_right = made != nullptr && std::strlen(made) == user.hash.size() &&
                        CRYPTO_memcmp(made, user.hash.data(), user.hash.size()) == 0;
  OPENSSL_cleanse(password.data(), password.size());
  OPENSSL_cleanse(memory.data(), memory.size());
  return is_right ? Refusal::none : Refusal::password_wrong;
}

std::vector<PasswordUser> read_passwords(std::string_view text, std::string& complaint) {
  std::vector<PasswordUser> users;
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.front() == '#') continue;
    const size_t colon = std::min(line.find(':'), line.size());
    PasswordUser user{.name = std::string{line.substr(0, colon)},
                      .hash = std::string{line.substr(std::min(colon + 1, line.size()))}};
    std::string why;
    if (colon == line.size() || colon == 0) {
      why = "write USER:HASH, as htpasswd -B makes it";
    } else if (user.name.size() > user_bytes_max || !is_field_text(user.name)) {
      why = "a user has at most " + std::to_string(user_bytes_max) +
            " bytes, no controls, and no blanks at its ends";
    } else {
      why = judge_hash(user.hash);
    }
    if (!why.empty()) {
      complaint = "line " + std::to_string(number) + ": " + why;
      return {};
    }
    users.push_back(std::move(user));
  }
  const auto by_name = [](const PasswordUser& a, const PasswordUser& b) { return a.name < b.name; };
  std::sort(users.begin(), users.end(), by_name);
  const auto twice = std::adjacent_find(
      users.begin(), users.end(),
      [](const PasswordUser& a, const PasswordUser& b) { return a.name == b.name; });
  if (twice != users.end()) {
    complaint = "the user " + twice->name + " is there twice";
    return {};
  }
  return users;
}

const PasswordUser* find_user(std::span<const PasswordUser> users, std::string_view name) {
  const auto found = std::lower_bound(
      users.begin(), users.end(), name,
      [](const PasswordUser& user, std::string_view wanted) { return user.name < wanted; });
  return found != users.end() && found->name == name ? &*found : nullptr;
}

}  // namespace sluice::auth
