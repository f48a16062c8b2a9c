// Validates hosts and authorities and brings them to one spelling.
#include "http/host.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

namespace sluice::http {

namespace {

// IPv6 addresses have no zone here (RFC 9110 4.2), and nothing else stands in brackets.
struct Brackets {
  in6_addr address{};
  bool valid = false;
};
Brackets read_brackets(std::string_view text) {
  std::array<char, INET6_ADDRSTRLEN> copy{};
  Brackets brackets;
  if (text.size() >= copy.size()) return brackets;
  std::copy(text.begin(), text.end(), copy.begin());
  brackets.valid = inet_pton(AF_INET6, copy.data(), &brackets.address) == 1;
  return brackets;
}

constexpr std::array<bool, 256> host_characters = [] {
  std::array<bool, 256> table{};
  for (unsigned char c = 'a'; c <= 'z'; ++c) table[c] = table[c - 32U] = true;
  for (unsigned char c = '0'; c <= '9'; ++c) table[c] = true;
  for (const char c : std::string_view{"-._~!$&'()*+,;="})
    table[static_cast<unsigned char>(c)] = true;
  return table;
}();

bool is_name(std::string_view name) {
  char before = '.';
  for (const char c : name) {
    if (!host_characters[static_cast<unsigned char>(c)] || (c == '.' && before == '.'))
      return false;
    before = c;
  }
  return !name.empty();
}

}  // namespace

bool is_valid_port(std::string_view port) {
  if (port.size() > 5) return false;
  unsigned number = 0;
  for (const char c : port) {
    if (c < '0' || c > '9') return false;
    number = number * 10 + static_cast<unsigned>(c - '0');
  }
  return number > 0 && number <= 65535;
}

bool is_valid_authority(std::string_view authority) {
  if (authority.empty() || authority.size() > 261) return false;
  size_t end = 0;
  if (authority.front() == '[') {
    end = authority.find(']');
    if (end == std::string_view::npos || !read_brackets(authority.substr(1, end - 1)).valid)
      return false;
    ++end;
  } else {
    end = std::min(authority.find(':'), authority.size());
    if (!is_name(authority.substr(0, end))) return false;
  }
  if (end == authority.size()) return true;
  if (authority[end] != ':') return false;
  // "host:" is the default port (RFC 3986 3.2.3).
  return end + 1 == authority.size() || is_valid_port(authority.substr(end + 1));
}

bool is_same_authority(std::string_view a, std::string_view b) {
  if (!is_valid_authority(a) || !is_valid_authority(b)) return false;
  const auto port = [](std::string_view authority) {
    const size_t colon = authority.rfind(':');
    const bool has_port = colon != std::string_view::npos && !authority.ends_with(']');
    const std::string_view text = has_port ? authority.substr(colon + 1) : std::string_view{};
    return text.empty() ? std::string_view{"80"} : text;
  };
  std::array<char, host_bytes_max> one, other;
  return port(a) == port(b) && canonical_host(a, one) == canonical_host(b, other);
}

std::string_view canonical_host(std::string_view authority, std::span<char> memory) {
  if (authority.starts_with('[')) {
    const Brackets brackets = read_brackets(authority.substr(1, authority.find(']') - 1));
    memory[0] = '[';
    if (!brackets.valid || inet_ntop(AF_INET6, &brackets.address, memory.data() + 1,
                                     static_cast<socklen_t>(memory.size() - 2)) == nullptr)
      return {};
    const size_t size = std::strlen(memory.data());
    memory[size] = ']';
    return {memory.data(), size + 1};
  }
  std::string_view host = authority.substr(0, authority.find(':'));
  if (host.ends_with('.')) host.remove_suffix(1);
  if (host.size() > memory.size()) return {};
  std::transform(host.begin(), host.end(), memory.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
  return {memory.data(), host.size()};
}

}  // namespace sluice::http
