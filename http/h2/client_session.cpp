// The session towards an endpoint: requests out, answers in.
#include "http/h2/client_session.h"

#include <algorithm>

#include "core/assert.h"
#include "http/h2/message_reader.h"

namespace sluice::http::h2 {

uint32_t ClientSession::room() const {
  if (state() != State::open || nghttp2_session_check_request_allowed(raw()) == 0) return 0;
  const uint32_t allowed =
      std::min(bounds_.streams,
               nghttp2_session_get_remote_settings(raw(), NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS));
  return allowed - std::min(allowed, streams());
}

bool ClientSession::peer_allows_extended_connect() const {
  return state() != State::ended &&
         nghttp2_session_get_remote_settings(raw(), NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1;
}

Stream* ClientSession::request(std::string_view head, Method method, std::string_view scheme,
                               Fin fin) {
  if (!may_ask() || room() == 0) return nullptr;
  Stream* stream = make_stream(0);
  if (stream == nullptr) return nullptr;
  FieldSection fields;
  fields.take_request(head, scheme);
  note_method(*stream, method);
  if (submit_request(*stream, fields, fin)) return stream;
  destroy(*stream);
  return nullptr;
}

Rule ClientSession::read_response(Stream& stream, std::span<char> memory, ResponseHead& out) {
  const FieldBlock* head = first_head(stream);
  SLUICE_ASSERT(head != nullptr);
  const Rule rule = h2::read_response(*head, method_of(stream), memory, out);
  drop_head(stream);
  return rule;
}

bool ClientSession::has_head(const Stream& stream) { return first_head(stream) != nullptr; }

}  // namespace sluice::http::h2
