// Refusals as gRPC clients understand them.
#include "proxy/grpc_reply.h"

#include <algorithm>

namespace sluice::proxy {

bool speaks_grpc(const http::RequestHead& request) {
  constexpr std::string_view type = "application/grpc";
  for (const http::Field& field : request.fields) {
    if (!http::equals_ignoring_case(request.fields.name(field), "content-type")) continue;
    const std::string_view value = request.fields.value(field);
    if (value.size() < type.size() ||
        !http::equals_ignoring_case(value.substr(0, type.size()), type))
      return false;
    // application/grpc-web is another protocol.
    return value.size() == type.size() || value[type.size()] == '+' || value[type.size()] == ';';
  }
  return false;
}

uint32_t grpc_status(uint16_t status) {
  switch (status) {
    case 400: return 13;  // INTERNAL
    case 401: return 16;  // UNAUTHENTICATED
    case 403: return 7;   // PERMISSION_DENIED
    case 404: return 12;  // UNIMPLEMENTED
    case 429: return 8;   // RESOURCE_EXHAUSTED
    case 502:
    case 503: return 14;  // UNAVAILABLE
    case 408:
    case 504: return 4;  // DEADLINE_EXCEEDED
    case 413: return 8;  // RESOURCE_EXHAUSTED
    default: return 2;   // UNKNOWN
  }
}

size_t write_grpc_reply(std::span<std::byte> out, const LocalReply& reply,
                        const ReplyContext& context) {
  http::Writer writer{out};
  writer.put("HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nGrpc-Status: ")
      .number(grpc_status(reply.status))
      .put("\r\n")
      .field("Grpc-Message", reply.code.empty() ? std::string_view{"refused"} : reply.code);
  if (reply.retry_after > core::Duration{0}) {
    const auto wait = std::chrono::ceil<std::chrono::milliseconds>(reply.retry_after);
    writer.put("Grpc-Retry-Pushback-Ms: ").number(static_cast<uint64_t>(wait.count())).put("\r\n");
  }
  writer.field("Date", context.date).field("X-Request-Id", context.request_id);
  for (const http::AddedField& field : context.more) {
    if (field.name.size() + field.value.size() + 8 > writer.room()) break;
    writer.field(field.name, field.value);
  }
  writer.put("\r\n");
  return writer.size();
}

}  // namespace sluice::proxy
