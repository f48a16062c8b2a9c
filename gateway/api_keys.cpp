// The file of API keys.
#include <algorithm>
#include <array>
#include <sstream>

#include "gateway/key_keeper.h"

namespace sluice::gateway {

namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

template <size_t Size>
bool read_hex(const std::string& text, std::array<unsigned char, Size>& out) {
  if (text.size() != 2 * Size) return false;
  for (size_t i = 0; i < Size; ++i) {
    const int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    out[i] = static_cast<unsigned char>(high * 16 + low);
  }
  return true;
}

}  // namespace

std::vector<auth::ApiKey> read_api_keys(std::string_view text, std::string& complaint) {
  std::vector<auth::ApiKey> keys;
  std::istringstream lines{std::string{text}};
  std::string line;
  for (size_t number = 1; std::getline(lines, line); ++number) {
    if (line.empty() || line.front() == '#') continue;
    std::istringstream words{line};
    std::string salt, hash, rest;
    auth::ApiKey key;
    words >> key.id >> salt >> hash >> key.subject;
    const bool is_right = words && !(words >> rest) && read_hex(salt, key.salt) &&
                          read_hex(hash, key.hash) && key.id.find('.') == std::string::npos;
    const bool is_new = std::none_of(keys.begin(), keys.end(),
                                     [&](const auth::ApiKey& other) { return other.id == key.id; });
    if (!is_right || !is_new) {
      complaint = "line " + std::to_string(number) +
                  (is_right ? ": the id " + key.id + " is there twice"
                            : ": write ID SALT HASH SUBJECT, as sluice keys api prints it");
      return {};
    }
    keys.push_back(std::move(key));
  }
  std::sort(keys.begin(), keys.end(),
            [](const auth::ApiKey& a, const auth::ApiKey& b) { return a.id < b.id; });
  return keys;
}

}  // namespace sluice::gateway
