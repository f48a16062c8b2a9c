#include "http/uri.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "http/field.h"

namespace sluice::http {

namespace {

enum : unsigned char { in_path = 1, in_query = 2, unreserved = 4, in_host = 8 };

constexpr std::array<unsigned char, 256> classes = [] {
  std::array<unsigned char, 256> table{};
  for (unsigned c = 0x21; c < 0x7f; ++c) table[c] = in_path | in_query;
  for (const char c : std::string_view{"#<>"}) table[static_cast<unsigned char>(c)] = 0;
  // Servers that take a backslash for a slash would see other segments than we do.
  for (const char c : std::string_view{"\\`"}) table[static_cast<unsigned char>(c)] = in_query;
  table['?'] = in_query;
  for (unsigned char c = 'a'; c <= 'z'; ++c)
    table[c] = table[c - 32U] = in_path | in_query | unreserved | in_host;
  for (unsigned char c = '0'; c <= '9'; ++c) table[c] = in_path | in_query | unreserved | in_host;
  for (const char c : std::string_view{"-._~"})
    table[static_cast<unsigned char>(c)] |= unreserved | in_host;
  for (const char c : std::string_view{"!$&'()*+,;="})
    table[static_cast<unsigned char>(c)] |= in_host;
  return table;
}();

bool has(char c, unsigned char wanted) {
  return (classes[static_cast<unsigned char>(c)] & wanted) != 0;
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// The value of the two hex digits after a '%', or -1.
int decode(const char* digits, const char* end) {
  if (end - digits < 2) return -1;
  const int high = hex_value(digits[0]);
  const int low = hex_value(digits[1]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

Rule check_query(std::string_view query) {
  const char* end = query.data() + query.size();
  for (const char* c = query.data(); c < end; ++c) {
    if (*c == '%') {
      const int value = decode(c + 1, end);
      if (value <= 0) return Rule::target_encoding;
    } else if (!has(*c, in_query)) {
      return Rule::target;
    }
  }
  return Rule::none;
}

// Whether the path is in normal form already: the usual case, and nothing is written then.
bool is_plain_path(std::string_view path) {
  char before = 0;
  for (const char c : path) {
    if (!has(c, in_path) || c == '%' || (before == '/' && c == '.')) return false;
    before = c;
  }
  return true;
}

// Removes the last segment of [begin, out), which ends in '/': "/a/b/" -> "/a/". The root stays.
char* drop_segment(char* begin, char* out) {
  if (out - begin > 1) --out;
  while (out > begin + 1 && out[-1] != '/') --out;
  return out;
}

struct Normalized {
  Rule rule;
  size_t size;
};

Normalized normalize_path(char* begin, size_t size) {
  if (is_plain_path({begin, size})) return {Rule::none, size};
  const char* in = begin;
  const char* end = begin + size;
  char* out = begin;
  char* segment = begin + 1;  // where the current segment starts in the output
  const auto close_segment = [&](bool slash_follows) {
    const std::string_view text{segment, static_cast<size_t>(out - segment)};
    if (text == ".") {
      out = segment;  // "/a/." is "/a/"
    } else if (text == "..") {
      out = drop_segment(begin, segment);
    } else if (slash_follows) {
      *out++ = '/';
    }
    segment = out;
  };
  ++in;  // the first '/'
  ++out;
  while (in < end) {
    const char c = *in;
    if (c == '/') {
      close_segment(true);
      ++in;
    } else if (c == '%') {
      const int value = decode(in + 1, end);
      if (value <= 0) return {Rule::target_encoding, 0};
      if (has(static_cast<char>(value), unreserved)) {
        *out++ = static_cast<char>(value);
      } else {
        constexpr std::string_view digits = "0123456789ABCDEF";
        *out++ = '%';
        *out++ = digits[static_cast<size_t>(value) >> 4];
        *out++ = digits[static_cast<size_t>(value) & 15];
      }
      in += 3;
    } else {
      if (!has(c, in_path)) return {Rule::target, 0};
      *out++ = c;
      ++in;
    }
  }
  close_segment(false);
  return {Rule::none, static_cast<size_t>(out - begin)};
}

// scheme "://" authority [ path ] [ "?" query ], of which only http and https are served.
Target split_absolute(char*& begin, size_t& size) {
  const std::string_view text{begin, size};
  size_t host = 0;
  if (text.size() > 7 && equals_ignoring_case(text.substr(0, 7), "http://")) host = 7;
  if (text.size() > 8 && equals_ignoring_case(text.substr(0, 8), "https://")) host = 8;
  if (host == 0) return {.rule = Rule::target};
  const auto found = text.find_first_of("/?#", host);
  const size_t end = found == std::string_view::npos ? text.size() : found;
  const auto authority = text.substr(host, end - host);
  if (!is_valid_authority(authority)) return {.rule = Rule::host_invalid};
  if (end < text.size() && text[end] == '#') return {.rule = Rule::target};
  if (end < text.size() && text[end] != '?') {
    begin += end;
    size -= end;
    return {.authority = authority};
  }
  // An empty path is "/" (RFC 9110 4.2.3): the authority moves left over the scheme's last slash to
  // make room for it.
  std::memmove(begin + host - 1, begin + host, authority.size());
  const std::string_view moved{begin + host - 1, authority.size()};
  begin += end - 1;
  *begin = '/';
  size -= end - 1;
  return {.authority = moved};
}

}  // namespace

bool is_valid_authority(std::string_view authority) {
  if (authority.empty() || authority.size() > 261) return false;
  std::string_view port;
  bool has_port = false;
  if (authority.front() == '[') {
    const auto close = authority.find(']');
    if (close == std::string_view::npos || close < 3) return false;
    for (const char c : authority.substr(1, close - 1)) {
      if (hex_value(c) < 0 && c != ':' && c != '.') return false;
    }
    const auto rest = authority.substr(close + 1);
    has_port = !rest.empty();
    if (has_port && rest.front() != ':') return false;
    if (has_port) port = rest.substr(1);
  } else {
    const auto colon = authority.find(':');
    const auto host = authority.substr(0, colon);
    if (host.empty()) return false;
    for (size_t i = 0; i < host.size(); ++i) {
      if (host[i] == '%') {
        const int value = decode(host.data() + i + 1, host.data() + host.size());
        if (value < 0x21 || value == 0x7f) return false;
        i += 2;
      } else if (!has(host[i], in_host)) {
        return false;
      }
    }
    has_port = colon != std::string_view::npos;
    if (has_port) port = authority.substr(colon + 1);
  }
  if (!has_port) return true;
  if (port.empty()) return true;  // "host:" is the default port (RFC 3986 3.2.3)
  if (port.size() > 5) return false;
  unsigned number = 0;
  for (const char c : port) {
    if (c < '0' || c > '9') return false;
    number = number * 10 + static_cast<unsigned>(c - '0');
  }
  return number > 0 && number <= 65535;
}

Target normalize_target(Method method, char* begin, size_t size) {
  Target target;
  if (size == 1 && *begin == '*') {
    target.text = target.path = {begin, 1};
    target.rule = method == Method::options ? Rule::none : Rule::target;
    return target;
  }
  if (size == 0) return {.rule = Rule::target};
  if (*begin != '/') {
    target = split_absolute(begin, size);
    if (target.rule != Rule::none) return target;
  }
  const std::string_view whole{begin, size};
  const auto mark = whole.find('?');
  const size_t path_size = mark == std::string_view::npos ? size : mark;
  if (mark != std::string_view::npos) {
    target.rule = check_query(whole.substr(mark + 1));
    if (target.rule != Rule::none) return target;
  }
  const Normalized path = normalize_path(begin, path_size);
  target.rule = path.rule;
  if (target.rule != Rule::none) return target;
  const size_t tail = size - path_size;  // with the '?'
  if (path.size != path_size) std::memmove(begin + path.size, begin + path_size, tail);
  target.text = {begin, path.size + tail};
  target.path = {begin, path.size};
  if (tail > 0) target.query = {begin + path.size + 1, tail - 1};
  return target;
}

std::optional<std::string_view> find_parameter(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (pair == name) return std::string_view{};
    if (pair.size() > name.size() && pair.starts_with(name) && pair[name.size()] == '=')
      return pair.substr(name.size() + 1);
  }
  return std::nullopt;
}

void decode_parameter(RequestHead& head, char* bytes, std::string_view name) {
  if (head.query.find('%') == std::string_view::npos) return;
  const auto digit = [](char c) { return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10; };
  std::string_view rest = head.query;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('&'), rest.size());
    const std::string_view pair = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (pair.size() <= name.size() || !pair.starts_with(name) || pair[name.size()] != '=') continue;
    const std::string_view value = pair.substr(name.size() + 1);
    char* out = bytes + (value.data() - bytes);
    // The target was normalised: every '%' has two digits behind it.
    for (size_t at = 0; at < value.size(); ++at) {
      char byte = value[at];
      if (byte == '%') byte = static_cast<char>(digit(value[at + 1]) * 16 + digit(value[at + 2]));
      if (value[at] == '%' && has(byte, unreserved))
        at += 2;
      else
        byte = value[at];
      *out++ = byte;
    }
    while (out != value.data() + value.size()) *out++ = '&';
  }
}

void remove_parameter(RequestHead& head, char* bytes, std::string_view name) {
  if (head.query.empty()) return;
  char* out = bytes + (head.query.data() - bytes);
  const char* begin = out;
  std::string_view rest = head.query;
  bool is_first = true;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('&'), rest.size());
    const std::string_view pair = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (pair.size() > name.size() && pair.starts_with(name) && pair[name.size()] == '=') continue;
    if (!is_first) *out++ = '&';
    is_first = false;
    std::memmove(out, pair.data(), pair.size());
    out += pair.size();
  }
  head.query = {begin, static_cast<size_t>(out - begin)};
  // Without a parameter there is no '?' either.
  const auto path_size = static_cast<size_t>(begin - head.target.data());
  head.target =
      head.target.substr(0, head.query.empty() ? path_size - 1 : path_size + head.query.size());
}

}  // namespace sluice::http
