// The session towards a client: requests in, answers out.
#include "http/h2/server_session.h"

#include "core/assert.h"

namespace sluice::http::h2 {

HeadRead ServerSession::read_request(Stream& stream, std::span<char> memory, RequestHead& out) {
  const FieldBlock* head = first_head(stream);
  SLUICE_ASSERT(head != nullptr);
  const HeadRead read = h2::read_request(*head, bounds_.extended_connect, memory, out);
  drop_head(stream);
  return read;
}

void ServerSession::inform(Stream& stream, std::string_view head) {
  if (!may_ask() || stream.is_gone()) return;
  FieldSection fields;
  fields.take_response(head);
  static_cast<void>(check(nghttp2_submit_headers(raw(), NGHTTP2_FLAG_NONE, stream.id(), nullptr,
                                                 fields.data(), fields.size(), nullptr)));
}

void ServerSession::respond(Stream& stream, std::string_view head, Fin fin) {
  if (!may_ask() || stream.is_gone()) return;
  FieldSection fields;
  fields.take_response(head);
  static_cast<void>(submit_response(stream, fields, fin));
}

}  // namespace sluice::http::h2
