// Comparing, trimming and recognising field names and values.
#include "http/field.h"

namespace sluice::http {

namespace {

constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

bool matches(std::string_view name, std::string_view lower_case) {
  for (size_t i = 0; i < name.size(); ++i) {
    if (lower(name[i]) != lower_case[i]) return false;
  }
  return true;
}

FieldName if_matches(std::string_view name, std::string_view lower_case, FieldName id) {
  return name.size() == lower_case.size() && matches(name, lower_case) ? id : FieldName::other;
}

}  // namespace

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

std::string_view trim_blanks(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Told apart by first letter, then compared once or twice.
FieldName recognize_field(std::string_view name) {
  if (name.empty()) return FieldName::other;
  const auto try_two = [&](std::string_view first, FieldName first_id, std::string_view second,
                           FieldName second_id) {
    const FieldName found = if_matches(name, first, first_id);
    return found != FieldName::other ? found : if_matches(name, second, second_id);
  };
  switch (lower(name[0])) {
    case 'a': return if_matches(name, "authorization", FieldName::authorization);
    case 'c':
      return try_two("connection", FieldName::connection, "content-length",
                     FieldName::content_length);
    case 'd': return if_matches(name, "date", FieldName::date);
    case 'e': return if_matches(name, "expect", FieldName::expect);
    case 'f': return if_matches(name, "forwarded", FieldName::forwarded);
    case 'h': return if_matches(name, "host", FieldName::host);
    case 'k': return if_matches(name, "keep-alive", FieldName::keep_alive);
    case 'l': return if_matches(name, "location", FieldName::location);
    case 'm': return if_matches(name, "max-forwards", FieldName::max_forwards);
    case 'p':
      if (const auto found = if_matches(name, "proxy-connection", FieldName::proxy_connection);
          found != FieldName::other)
        return found;
      return try_two("proxy-authenticate", FieldName::proxy_authenticate, "proxy-authorization",
                     FieldName::proxy_authorization);
    case 't':
      if (name.size() == 2) return if_matches(name, "te", FieldName::te);
      if (name.size() == 7) return if_matches(name, "trailer", FieldName::trailer);
      return try_two("transfer-encoding", FieldName::transfer_encoding, "traceparent",
                     FieldName::traceparent);
    case 'u': return if_matches(name, "upgrade", FieldName::upgrade);
    case 'v': return if_matches(name, "via", FieldName::via);
    case 'x':
      if (name.size() > 12 && matches(name.substr(0, 12), "x-forwarded-"))
        return FieldName::x_forwarded;
      return try_two("x-real-ip", FieldName::x_real_ip, "x-request-id", FieldName::x_request_id);
    default: return FieldName::other;
  }
}

}  // namespace sluice::http
