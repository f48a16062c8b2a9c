// Writes request and response heads from their parts.
#include "http/serializer.h"

#include <array>
#include <charconv>

namespace sluice::http {

namespace {

void put_kept_fields(Writer& writer, const Fields& fields) {
  for (const Field& field : fields) {
    if (field.disposition == Disposition::drop) continue;
    const std::string_view name = fields.name(field);
    const std::string_view value = fields.value(field);
    // Most fields are in the form in which they are written, and then name and value lie two bytes
    // apart.
    if (value.data() == name.data() + name.size() + 2 && name.data()[name.size() + 1] == ' ') {
      writer.put({name.data(), name.size() + 2 + value.size()}).put("\r\n");
    } else {
      writer.field(name, value);
    }
  }
}

void put_status_line(Writer& writer, uint16_t status) {
  writer.put("HTTP/1.1 ").number(status).put(" ").put(reason_phrase(status)).put("\r\n");
}

}  // namespace

Writer& Writer::number(uint64_t value) {
  std::array<char, 20> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  return put({digits.data(), static_cast<size_t>(end - digits.data())});
}

void write_request_head(Writer& writer, const RequestHead& head,
                        const RequestAdditions& additions) {
  const std::string_view asked = head.authority.empty() ? additions.default_host : head.authority;
  const std::string_view target = additions.target.empty() ? head.target : additions.target;
  writer.put(head.method_text)
      .put(" ")
      .put(target)
      .put(" HTTP/1.1\r\n")
      .field("Host", additions.host.empty() ? asked : additions.host);
  put_kept_fields(writer, head.fields);
  Forwarding forwarding = additions.forwarding;
  forwarding.host = asked;
  if (forwarding.form != ForwardedForm::none)
    write_forwarding(writer, head.fields, read_forwarding(head.fields, forwarding));
  writer.field("X-Request-Id", additions.request_id);
  if (!additions.traceparent.empty()) writer.field("traceparent", additions.traceparent);
  for (const AddedField& field : additions.more) writer.field(field.name, field.value);
  if (additions.hops_left) writer.put("Max-Forwards: ").number(*additions.hops_left).put("\r\n");
  if (!additions.via.empty()) writer.put("Via: ").put(additions.via).put(" sluice\r\n");
  // Both are for the next hop, and Connection says so (RFC 9110 7.8, 10.1.4).
  if (!additions.upgrade.empty()) {
    writer.put("Connection: Upgrade\r\n").field("Upgrade", additions.upgrade);
  } else if (head.accepts_trailers) {
    writer.put("Connection: TE\r\nTE: trailers\r\n");
  }
  switch (head.framing) {
    case Framing::chunked: writer.put("Transfer-Encoding: chunked\r\n"); break;
    case Framing::length:
      writer.put("Content-Length: ").number(head.content_length).put("\r\n");
      break;
    default:
      // An explicit zero where one is expected (RFC 9110 8.6).
      if (head.method == Method::post || head.method == Method::put || head.method == Method::patch)
        writer.put("Content-Length: 0\r\n");
      break;
  }
  writer.put("\r\n");
}

void write_response_head(Writer& writer, const ResponseHead& head,
                         const ResponseAdditions& additions) {
  put_status_line(writer, head.status);
  put_kept_fields(writer, head.fields);
  if (!additions.date.empty()) writer.field("Date", additions.date);
  writer.put("Via: 1.1 sluice\r\n").field("X-Request-Id", additions.request_id);
  for (const AddedField& field : additions.more) writer.field(field.name, field.value);
  // A bodiless answer (HEAD, 304) keeps the length that its fields speak of.
  if (additions.framing == Framing::chunked) {
    writer.put("Transfer-Encoding: chunked\r\n");
  } else if (additions.framing != Framing::until_close && head.has_content_length &&
             head.status != 204) {
    writer.put("Content-Length: ").number(head.content_length).put("\r\n");
  }
  if (additions.persistence == Persistence::close) {
    writer.put("Connection: close\r\n");
  } else if (additions.client_version == Version::http_1_0) {
    writer.put("Connection: keep-alive\r\n");
  }
  writer.put("\r\n");
}

void write_informational_head(Writer& writer, const ResponseHead& head) {
  put_status_line(writer, head.status);
  put_kept_fields(writer, head.fields);
  writer.put("\r\n");
}

void write_switching_head(Writer& writer, const ResponseHead& head, std::string_view protocol,
                          std::string_view request_id, std::span<const AddedField> more) {
  put_status_line(writer, head.status);
  put_kept_fields(writer, head.fields);
  writer.put("Via: 1.1 sluice\r\n").field("X-Request-Id", request_id);
  for (const AddedField& field : more) writer.field(field.name, field.value);
  writer.put("Connection: Upgrade\r\n").field("Upgrade", protocol).put("\r\n");
}

char* write_chunk_line_before(char* end, uint32_t size) {
  constexpr std::string_view digits = "0123456789abcdef";
  *--end = '\n';
  *--end = '\r';
  do {
    *--end = digits[size & 15];
    size >>= 4;
  } while (size != 0);
  return end;
}

std::string_view end_of_chunk(ChunkEnd end) {
  switch (end) {
    case ChunkEnd::more: return "\r\n";
    case ChunkEnd::last: return "\r\n0\r\n\r\n";
    case ChunkEnd::trailers: return "\r\n0\r\n";
  }
  SLUICE_UNREACHABLE();
}

std::span<const std::byte> frame_chunk(char* payload, uint32_t size, ChunkEnd end) {
  SLUICE_DEBUG_ASSERT(size > 0);
  char* begin = write_chunk_line_before(payload, size);
  const std::string_view tail = end_of_chunk(end);
  std::memcpy(payload + size, tail.data(), tail.size());
  return {reinterpret_cast<const std::byte*>(begin),
          static_cast<size_t>(payload - begin) + size + tail.size()};
}

}  // namespace sluice::http
