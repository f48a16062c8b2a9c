// Takes targets apart, checks them, and normalises them.
#include "http/uri.h"

#include <algorithm>
#include <cstring>

#include "http/field.h"
#include "http/host.h"
#include "http/path.h"
#include "http/percent.h"

namespace sluice::http {

namespace {

// '#', blanks, control bytes and bytes above 0x7e never; |[]{}^"\\` as browsers send them.
bool may_stand_in_query(char c) { return c > 0x20 && c < 0x7f && c != '#' && c != '<' && c != '>'; }

Rule check_query(std::string_view query) {
  const char* end = query.data() + query.size();
  for (const char* c = query.data(); c < end; ++c) {
    if (*c == '%') {
      const int value = decode_percent(c + 1, end);
      if (value <= 0) return Rule::target_encoding;
    } else if (!may_stand_in_query(*c)) {
      return Rule::target;
    }
  }
  return Rule::none;
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
  const PathOutcome path = normalize_path(begin, path_size);
  target.rule = path.rule;
  target.path_form = path.form;
  target.has_encoded_separator = path.has_encoded_separator;
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
  const auto is_unreserved = [](char c) {
    const char lower = static_cast<char>(c | 0x20);
    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_' || c == '~';
  };
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
      if (byte == '%' && at + 2 < value.size())
        byte = static_cast<char>(digit(value[at + 1]) * 16 + digit(value[at + 2]));
      if (value[at] == '%' && is_unreserved(byte))
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
