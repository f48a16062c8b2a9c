// What requests and answers have in common when they are read.
#include "http/h2/message_reader.h"

#include "core/limits.h"
#include "http/h2/head_text.h"
#include "http/hygiene.h"
#include "http/method.h"

namespace sluice::http::h2 {

namespace {

// 0 if it is none. 101 is not known to HTTP/2 (RFC 9113 8.6).
uint16_t parse_status(std::string_view text) {
  if (text.size() != 3 || text[0] < '1' || text[0] > '5') return 0;
  uint16_t status = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return 0;
    status = static_cast<uint16_t>(status * 10 + (c - '0'));
  }
  return status == 101 ? uint16_t{0} : status;
}

void settle_framing(const FieldBlock& block, Method request, const SaidLength& length,
                    ResponseHead& out) {
  const bool bodiless =
      request == Method::head || out.status == 204 || out.status == 304 || out.status < 200;
  out.has_content_length = length.is_said;
  out.content_length = length.bytes;
  out.framing = Framing::none;
  if (bodiless) return;
  if (block.ends_stream) {
    out.has_content_length = true;  // of nothing
  } else if (length.bytes > 0) {
    out.framing = Framing::length;
  } else if (!length.is_said) {
    out.framing = Framing::chunked;
  }
}

}  // namespace

Rule read_response(const FieldBlock& block, Method request, std::span<char> memory,
                   ResponseHead& out) {
  if (block.rule() != Rule::none) return block.rule();
  HeadText text{memory};
  out.status = 0;
  out.version = Version::http_1_1;
  out.persistence = Persistence::keep_alive;
  out.connection_names_fields = false;
  out.upgrade = {};
  out.fields.reset(text.begin());
  SaidLength length;
  bool regular_seen = false;
  const Rule rule = block.for_each([&](std::string_view name, std::string_view value) {
    if (is_pseudo(name)) {
      if (regular_seen || name != ":status" || out.status != 0) return Rule::pseudo_field;
      out.status = parse_status(value);
      return out.status == 0 ? Rule::status_line : Rule::none;
    }
    regular_seen = true;
    const FieldName id = recognize_field(name);
    const Rule broken = check_head_field(id, name, value, length);
    return broken != Rule::none ? broken : text.add(out.fields, id, name, value);
  });
  if (rule != Rule::none) return rule;
  if (out.status == 0) return Rule::pseudo_field;
  if (out.status < 200 && block.ends_stream) return Rule::status_line;
  settle_framing(block, request, length, out);
  // What has a length and ends at once has said something that is not so.
  const bool empty = block.ends_stream && length.bytes > 0;
  if (empty && request != Method::head && out.status != 304) return Rule::content_length;
  return Rule::none;
}

Rule read_trailers(const FieldBlock& block, std::span<char> memory, std::string_view& lines) {
  lines = {};
  if (block.rule() != Rule::none) return Rule::trailer;
  HeadText text{memory};
  uint32_t count = 0;
  const Rule rule = block.for_each([&](std::string_view name, std::string_view value) {
    if (is_pseudo(name)) return Rule::pseudo_field;
    if (check_name(name) != Rule::none || check_value(value) != Rule::none ||
        ++count > core::limits::head_fields_max)
      return Rule::trailer;
    if (check_connection_field(recognize_field(name), value) != Rule::none)
      return Rule::connection_field;
    if (!may_be_a_trailer(name)) return Rule::none;
    if (name.size() + value.size() + 4 > text.room()) return Rule::trailer;
    text.put(name);
    text.put(": ");
    text.put(value);
    text.put("\r\n");
    return Rule::none;
  });
  if (rule == Rule::none) lines = {text.begin(), text.position()};
  return rule;
}

Glance glance_at(const FieldBlock& block) {
  Glance glance;
  // Of what is broken, whoever reads it whole says so.
  static_cast<void>(block.for_each([&](std::string_view name, std::string_view value) {
    if (name == ":status") glance.status = parse_status(value);
    if (name == ":method") glance.method = find_method(value).value_or(Method::other);
    if (name == "priority") glance.priority = read_priority(value);
    if (name == "content-length")
      glance.has_content_length = parse_content_length(value, glance.content_length) == Rule::none;
    return Rule::none;
  }));
  return glance;
}

}  // namespace sluice::http::h2
