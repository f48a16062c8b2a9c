// The second reading, rule by rule.
#include "tests/fuzz/strict.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <set>

namespace sluice::strict {

namespace {

bool is_tchar(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
         (c != 0 && std::string_view{"!#$%&'*+-.^_`|~"}.find(c) != std::string_view::npos);
}
bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_tchar);
}
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex(char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; }
bool is_text(char c) { return c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f); }

std::string lower(std::string_view text) {
  std::string out{text};
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::vector<std::string_view> split(std::string_view text, std::string_view separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const auto at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + separator.size());
  }
}

bool is_method(std::string_view method) {
  static const std::set<std::string_view> known = {
      "DELETE",     "GET",      "HEAD",       "POST",     "PUT",    "CONNECT",   "OPTIONS",
      "TRACE",      "COPY",     "LOCK",       "MKCOL",    "MOVE",   "PROPFIND",  "PROPPATCH",
      "SEARCH",     "UNLOCK",   "BIND",       "REBIND",   "UNBIND", "ACL",       "REPORT",
      "MKACTIVITY", "CHECKOUT", "MERGE",      "M-SEARCH", "NOTIFY", "SUBSCRIBE", "UNSUBSCRIBE",
      "PATCH",      "PURGE",    "MKCALENDAR", "LINK",     "UNLINK", "SOURCE",    "QUERY"};
  return known.contains(method);
}

bool is_host(std::string_view host) {
  if (host.empty()) return false;
  if (host.front() == '[') {
    if (host.size() < 4 || host.back() != ']') return false;
    const auto inside = host.substr(1, host.size() - 2);
    std::array<unsigned char, 16> address;
    return inet_pton(AF_INET6, std::string{inside}.c_str(), address.data()) == 1;
  }
  if (host == "." || host.front() == '.' || host.find("..") != std::string_view::npos) return false;
  for (size_t i = 0; i < host.size(); ++i) {
    if (std::isalnum(static_cast<unsigned char>(host[i])) == 0 &&
        std::string_view{"-._~!$&'()*+,;="}.find(host[i]) == std::string_view::npos) {
      return false;
    }
  }
  return true;
}

bool is_authority(std::string_view text) {
  if (text.size() > 261) return false;
  std::string_view host = text;
  std::string_view port;
  const auto colon = text.rfind(':');
  if (colon != std::string_view::npos && (text.front() != '[' || text.find(']') < colon)) {
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
  }
  if (!is_host(host) || port.size() > 5 || !std::all_of(port.begin(), port.end(), is_digit))
    return false;
  return port.empty() ||
         (std::stoul(std::string{port}) > 0 && std::stoul(std::string{port}) < 65536);
}

// Percent-encodings in one form; nothing if one of them is none.
std::optional<std::string> decoded(std::string_view segment) {
  std::string out;
  for (size_t i = 0; i < segment.size(); ++i) {
    const char c = segment[i];
    if (c != '%') {
      const bool fine = static_cast<unsigned char>(c) > 0x20 &&
                        static_cast<unsigned char>(c) < 0x7f &&
                        std::string_view{"#<>\\`"}.find(c) == std::string_view::npos;
      if (!fine) return std::nullopt;
      out += c;
      continue;
    }
    if (i + 2 >= segment.size() || !is_hex(segment[i + 1]) || !is_hex(segment[i + 2]))
      return std::nullopt;
    const auto value =
        static_cast<char>(std::strtoul(std::string{segment.substr(i + 1, 2)}.c_str(), nullptr, 16));
    if (value == 0) return std::nullopt;
    // Overlong forms of UTF-8.
    const auto after = [&] {
      if (i + 5 >= segment.size() || segment[i + 3] != '%' || !is_hex(segment[i + 4]) ||
          !is_hex(segment[i + 5]))
        return 0UL;
      return std::strtoul(std::string{segment.substr(i + 4, 2)}.c_str(), nullptr, 16);
    }();
    const auto first = static_cast<unsigned char>(value);
    const bool overlong = ((first == 0xc0 || first == 0xc1) && after >= 0x80 && after < 0xc0) ||
                          (first == 0xe0 && after >= 0x80 && after < 0xa0) ||
                          (first == 0xf0 && after >= 0x80 && after < 0x90);
    if (overlong) return std::nullopt;
    const bool plain = (static_cast<unsigned char>(value) < 0x80 &&
                        std::isalnum(static_cast<unsigned char>(value)) != 0) ||
                       std::string_view{"-._~"}.find(value) != std::string_view::npos;
    if (plain) {
      out += value;
    } else {
      out += '%';
      for (const char digit : segment.substr(i + 1, 2))
        out += static_cast<char>(std::toupper(static_cast<unsigned char>(digit)));
    }
    i += 2;
  }
  return out;
}

bool is_query(std::string_view query) {
  for (size_t i = 0; i < query.size(); ++i) {
    const auto c = static_cast<unsigned char>(query[i]);
    if (c == '%') {
      if (i + 2 >= query.size() || !is_hex(query[i + 1]) || !is_hex(query[i + 2]) ||
          query.substr(i + 1, 2) == "00")
        return false;
    } else if (c <= 0x20 || c >= 0x7f || c == '#' || c == '<' || c == '>') {
      return false;
    }
  }
  return true;
}

// Everything that requests and responses have in common.
std::optional<Head> read_fields(std::string_view head, std::string_view& start_line) {
  Head read;
  if (!std::all_of(head.begin(), head.end(),
                   [](char c) { return is_text(c) || c == '\r' || c == '\n'; }))
    return std::nullopt;
  auto lines = split(head, "\r\n");
  for (const std::string_view line : lines) {
    if (line.find_first_of("\r\n") != std::string_view::npos) return std::nullopt;
  }
  start_line = lines.front();
  lines.erase(lines.begin());
  unsigned lengths = 0;
  unsigned encodings = 0;
  if (lines.size() > 100) return std::nullopt;
  for (const std::string_view line : lines) {
    const auto colon = line.find(':');
    if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) return std::nullopt;
    const std::string name = lower(line.substr(0, colon));
    const std::string value{trimmed(line.substr(colon + 1))};
    read.fields.emplace_back(name, value);
    if (name == "content-length") {
      if (++lengths > 1 || value.empty() || value.size() > 18 ||
          !std::all_of(value.begin(), value.end(), is_digit))
        return std::nullopt;
      read.length = std::stoull(value);
    }
    if (name == "transfer-encoding" && (++encodings > 1 || lower(value) != "chunked"))
      return std::nullopt;
  }
  if (lengths > 0 && encodings > 0) return std::nullopt;
  read.framing = encodings > 0     ? Framing::chunked
                 : read.length > 0 ? Framing::length
                                   : Framing::none;
  return read;
}

}  // namespace

std::optional<std::string> normal_target(std::string_view method, std::string_view target,
                                         std::string& authority) {
  if (target == "*") return method == "OPTIONS" ? std::optional<std::string>{"*"} : std::nullopt;
  if (target.empty()) return std::nullopt;
  if (target.front() != '/') {
    const std::string small = lower(target.substr(0, 8));
    const size_t scheme = small.starts_with("http://") ? 7 : small == "https://" ? 8 : 0;
    if (scheme == 0) return std::nullopt;
    const auto end = std::min(target.find_first_of("/?#", scheme), target.size());
    authority = target.substr(scheme, end - scheme);
    if (!is_authority(authority)) return std::nullopt;
    target.remove_prefix(end);
  }
  const auto mark = target.find('?');
  std::string_view path = target.substr(0, mark);
  if (path.empty()) path = "/";
  if (path.front() != '/') return std::nullopt;
  if (mark != std::string_view::npos && !is_query(target.substr(mark + 1))) return std::nullopt;
  std::vector<std::string> kept;
  const auto segments = split(path.substr(1), "/");
  for (size_t i = 0; i < segments.size(); ++i) {
    const auto segment = decoded(segments[i]);
    if (!segment) return std::nullopt;
    for (const char* dots : {".;", "..;", ".%3B", "..%3B"}) {
      if (segment->starts_with(dots)) return std::nullopt;
    }
    // Between encoded slashes there are no dots.
    std::string slashes = *segment;
    for (const char* encoded : {"%2F", "%5C"}) {
      for (size_t found = 0; (found = slashes.find(encoded)) != std::string::npos;)
        slashes.replace(found, 3, "/");
    }
    if (slashes.find('/') != std::string::npos) {
      for (const std::string_view part : split(slashes, "/")) {
        const std::string_view name = part.substr(0, std::min(part.find(';'), part.find("%3B")));
        if (name == "." || name == "..") return std::nullopt;
      }
    }
    if (*segment == "..") {
      while (!kept.empty() && kept.back().empty()) kept.pop_back();
      if (kept.empty()) return std::nullopt;
      kept.pop_back();
    }
    if (*segment != "." && *segment != "..")
      kept.push_back(*segment);
    else if (i + 1 == segments.size())
      kept.emplace_back();
  }
  std::string normal;
  for (const std::string& segment : kept) normal += "/" + segment;
  if (normal.empty()) normal = "/";
  if (mark != std::string_view::npos) normal += target.substr(mark);
  return normal;
}

Reading read_request(std::string_view bytes) {
  Reading reading;
  const size_t skipped = bytes.starts_with("\r\n") ? 2 : 0;
  const auto end = bytes.find("\r\n\r\n", skipped);
  reading.is_whole = end != std::string_view::npos;
  if (!reading.is_whole || end + 4 - skipped > 32 * 1024) return reading;
  std::string_view line;
  auto head = read_fields(bytes.substr(skipped, end - skipped), line);
  if (!head) return reading;
  head->end = end + 4;
  const auto parts = split(line, " ");
  if (parts.size() != 3 || !is_method(parts[0]) ||
      (parts[2] != "HTTP/1.1" && parts[2] != "HTTP/1.0") || parts[1].size() > 8192)
    return reading;
  head->method = parts[0];
  head->is_http_1_1 = parts[2] == "HTTP/1.1";
  unsigned hosts = 0;
  for (const auto& [name, value] : head->fields) {
    if (name == "host") {
      if (!is_authority(value)) return reading;
      head->authority = value;
      ++hosts;
    }
    if (name == "expect" && head->is_http_1_1 && lower(value) != "100-continue") return reading;
    if (name == "transfer-encoding" && !head->is_http_1_1) return reading;
  }
  if (hosts > 1 || (hosts == 0 && head->is_http_1_1)) return reading;
  if (head->method != "CONNECT") {
    const auto target = normal_target(head->method, parts[1], head->authority);
    if (!target) return reading;
    head->target = *target;
  }
  reading.head = std::move(head);
  return reading;
}

Reading read_response(std::string_view bytes) {
  Reading reading;
  const auto end = bytes.find("\r\n\r\n");
  reading.is_whole = end != std::string_view::npos;
  if (!reading.is_whole || end + 4 > 32 * 1024) return reading;
  std::string_view line;
  auto head = read_fields(bytes.substr(0, end), line);
  if (!head) return reading;
  head->end = end + 4;
  head->is_http_1_1 = line.starts_with("HTTP/1.1 ");
  if (!head->is_http_1_1 && !line.starts_with("HTTP/1.0 ")) return reading;
  const std::string_view rest = line.substr(9);
  if (rest.size() < 3 || !std::all_of(rest.begin(), rest.begin() + 3, is_digit) ||
      (rest.size() > 3 && rest[3] != ' '))
    return reading;
  head->status = static_cast<unsigned>(std::stoul(std::string{rest.substr(0, 3)}));
  if (head->status < 100 || head->status > 599) return reading;
  const bool has_length =
      std::any_of(head->fields.begin(), head->fields.end(),
                  [](const auto& field) { return field.first == "content-length"; });
  if (head->framing == Framing::chunked && !head->is_http_1_1) return reading;
  if (head->status < 200 || head->status == 204 || head->status == 304) {
    head->framing = Framing::none;
  } else if (head->framing == Framing::none && !has_length) {
    head->framing = Framing::until_close;
  }
  reading.head = std::move(head);
  return reading;
}

Body read_chunked(std::string_view bytes) {
  Body body;
  const auto broken = [&] {
    body.state = Body::State::broken;
    return body;
  };
  size_t at = 0;
  while (true) {
    const auto end = bytes.find('\n', at);
    if (end == std::string_view::npos) {
      // What can still become right; a bound on the line is all that is certain.
      if (bytes.size() - at > 1024) return broken();
      body.may_be_refused = true;
      return body;
    }
    const std::string_view line = bytes.substr(at, end - at + 1);
    if (line.size() > 1024 || !line.ends_with("\r\n")) return broken();
    const auto digits = std::min(line.find_first_not_of("0123456789abcdefABCDEF"), line.size());
    const std::string size_text{line.substr(0, digits)};
    const auto significant = size_text.find_first_not_of('0');
    if (digits == 0 || (significant != std::string::npos && size_text.size() - significant > 16))
      return broken();
    const std::string_view extensions = line.substr(digits, line.size() - digits - 2);
    const auto first = extensions.find_first_not_of(" \t");
    if (!extensions.empty() && (first == std::string_view::npos || extensions[first] != ';'))
      return broken();
    if (!std::all_of(extensions.begin(), extensions.end(), is_text)) return broken();
    if (!extensions.empty()) body.may_be_refused = true;
    const uint64_t size = std::strtoull(size_text.c_str(), nullptr, 16);
    at = end + 1;
    if (size == 0) break;
    if (bytes.size() - at < size) {
      body.payload += bytes.substr(at);
      return body;
    }
    body.payload += bytes.substr(at, size);
    at += size;
    const std::string_view tail = bytes.substr(at, 2);
    if (tail != std::string_view{"\r\n"}.substr(0, tail.size())) return broken();
    if (tail.size() < 2) return body;
    at += 2;
  }
  const size_t section = at;
  while (true) {
    const auto end = bytes.find("\r\n", at);
    if (end == std::string_view::npos) {
      body.may_be_refused = true;
      return bytes.size() - section > 8192 ? broken() : body;
    }
    const std::string_view line = bytes.substr(at, end - at);
    if (end + 2 - section > 8192) return broken();
    if (line.empty()) {
      body.end = end + 2;
      body.state = Body::State::complete;
      return body;
    }
    const auto colon = line.find(':');
    if (colon == std::string_view::npos || !is_token(line.substr(0, colon)) ||
        !std::all_of(line.begin(), line.end(), is_text))
      return broken();
    const std::string name = lower(line.substr(0, colon));
    body.trailers.emplace_back(name, std::string{trimmed(line.substr(colon + 1))});
    if (body.trailers.size() > 100) return broken();
    at = end + 2;
  }
}

}  // namespace sluice::strict
