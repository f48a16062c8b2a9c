// Reads the forwarded fields of trusted peers and writes our own.
#include "http/forwarded.h"

#include <algorithm>

#include "http/host.h"
#include "http/serializer.h"

namespace sluice::http {

namespace {

constexpr std::string_view x_for = "x-forwarded-for";
constexpr std::string_view x_proto = "x-forwarded-proto";
constexpr std::string_view x_host = "x-forwarded-host";
constexpr std::string_view x_port = "x-forwarded-port";
constexpr std::string_view x_prefix = "x-forwarded-prefix";
constexpr std::string_view ours[] = {x_for, x_proto, x_host, x_port, x_prefix};

bool is_alphanumeric(char c) {
  return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

bool is_secure(std::string_view proto) {
  return equals_ignoring_case(proto, "https") || equals_ignoring_case(proto, "wss");
}
bool is_proto(std::string_view text) {
  return is_secure(text) || equals_ignoring_case(text, "http") || equals_ignoring_case(text, "ws");
}

// Whole segments, which can be joined in front of a path.
bool is_prefix(std::string_view text) {
  if (!text.starts_with('/') || text.size() > forwarded_value_bytes_max) return false;
  char before = 0;
  for (const char c : text) {
    const bool is_good =
        is_alphanumeric(c) || std::string_view{"/-._~%@:+=$"}.find(c) != std::string_view::npos;
    if (!is_good || (before == '/' && (c == '/' || c == '.'))) return false;
    before = c;
  }
  return true;
}

// The first element of the first field of that name: what the outermost proxy said.
std::string_view first_of(const Fields& fields, std::string_view name) {
  for (const Field& field : fields) {
    if (field.id != FieldName::x_forwarded || !equals_ignoring_case(fields.name(field), name))
      continue;
    const std::string_view list = fields.value(field);
    const std::string_view value = trim_blanks(list.substr(0, list.find(',')));
    return value.size() <= forwarded_value_bytes_max ? value : std::string_view{};
  }
  return {};
}

std::string_view port_of(std::string_view authority) {
  const size_t colon = authority.rfind(':');
  if (colon == std::string_view::npos || authority.ends_with(']')) return {};
  return authority.substr(colon + 1);
}

size_t chain_bytes(const Fields& fields) {
  size_t bytes = 0;
  for (const Field& field : fields) {
    if (field.id == FieldName::forwarded) bytes += field.value_size + 2U;
  }
  return bytes;
}

// for="[2001:db8::1]", for=192.0.2.1, for=unknown (RFC 7239 6).
void put_node(Writer& writer, std::string_view address) {
  if (address.find(':') != std::string_view::npos)
    writer.put("for=\"[").put(address).put("]\"");
  else
    writer.put("for=").put(!address.empty() && address.front() <= '9' ? address : "unknown");
}

void put_chain(Writer& writer, const Fields& fields, const Forwarding& forwarding) {
  writer.put("Forwarded: ");
  if (forwarding.trust == Trust::peer && chain_bytes(fields) <= forwarded_chain_bytes_max) {
    for (const Field& field : fields) {
      if (field.id == FieldName::forwarded && field.value_size > 0)
        writer.put(fields.value(field)).put(", ");
    }
  }
  put_node(writer, forwarding.peer);
  writer.put(";proto=").put(forwarding.proto);
  if (!forwarding.host.empty()) writer.put(";host=\"").put(forwarding.host).put("\"");
  writer.put("\r\n");
}

// Several fields of a name are one list (RFC 9110 5.3).
void put_addresses(Writer& writer, const Fields& fields, const Forwarding& forwarding) {
  writer.put("X-Forwarded-For: ");
  for (const Field& field : fields) {
    if (forwarding.trust == Trust::none) break;
    if (field.id != FieldName::x_forwarded || !equals_ignoring_case(fields.name(field), x_for))
      continue;
    if (field.value_size > 0) writer.put(fields.value(field)).put(", ");
  }
  writer.put(forwarding.peer).put("\r\n");
}

}  // namespace

Forwarding read_forwarding(const Fields& fields, const Forwarding& by_us) {
  Forwarding known = by_us;
  if (known.trust == Trust::peer) {
    if (const auto proto = first_of(fields, x_proto); is_proto(proto)) known.proto = proto;
    if (const auto host = first_of(fields, x_host); is_valid_authority(host)) known.host = host;
    if (const auto port = first_of(fields, x_port); is_valid_port(port) && port.front() != '0')
      known.port = port;
    if (auto prefix = first_of(fields, x_prefix); is_prefix(prefix)) {
      while (prefix.ends_with('/')) prefix.remove_suffix(1);
      known.outer_prefix = prefix;
    }
  }
  if (known.port.empty()) known.port = port_of(known.host);
  if (known.port.empty()) known.port = is_secure(known.proto) ? "443" : "80";
  return known;
}

std::string_view read_request_id(const Fields& fields) {
  const Field* field = fields.find(FieldName::x_request_id);
  if (field == nullptr) return {};
  const std::string_view text = fields.value(*field);
  const bool is_good = std::all_of(text.begin(), text.end(), [](char c) {
    return is_alphanumeric(c) || std::string_view{"-_.:=+/@"}.find(c) != std::string_view::npos;
  });
  return is_good && text.size() <= request_id_bytes_max ? text : std::string_view{};
}

bool keeps_forwarded(const Fields& fields, const Field& field, ForwardedForm form, Trust trust) {
  if (trust == Trust::none || form == ForwardedForm::none) return false;
  if (field.id == FieldName::forwarded)
    return form == ForwardedForm::x && chain_bytes(fields) <= forwarded_chain_bytes_max;
  if (form == ForwardedForm::rfc7239 || field.value_size > forwarded_value_bytes_max) return false;
  const std::string_view name = fields.name(field);
  return std::none_of(std::begin(ours), std::end(ours),
                      [&](std::string_view one) { return equals_ignoring_case(one, name); });
}

void write_forwarding(Writer& writer, const Fields& fields, const Forwarding& forwarding) {
  const ForwardedForm form = forwarding.form;
  if (form == ForwardedForm::x || form == ForwardedForm::both) {
    put_addresses(writer, fields, forwarding);
    writer.field("X-Forwarded-Proto", forwarding.proto).field("X-Forwarded-Host", forwarding.host);
    writer.field("X-Forwarded-Port", forwarding.port);
    if (!forwarding.outer_prefix.empty() || !forwarding.prefix.empty())
      writer.put("X-Forwarded-Prefix: ")
          .put(forwarding.outer_prefix)
          .put(forwarding.prefix)
          .put("\r\n");
  }
  if (form == ForwardedForm::rfc7239 || form == ForwardedForm::both)
    put_chain(writer, fields, forwarding);
}

}  // namespace sluice::http
