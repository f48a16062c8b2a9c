// The end of a connection that asks: each request is a stream.
#pragma once

#include "http/h2/session.h"

namespace sluice::http::h2 {

class ClientSession : public Session {
 public:
  ClientSession(Context& context, const Bounds& bounds) : Session(context, bounds, Role::client) {}

  // Streams that the peer and the bounds allow beside those that are open.
  [[nodiscard]] uint32_t room() const;
  // RFC 8441: it said so in its SETTINGS.
  [[nodiscard]] bool peer_allows_extended_connect() const;
  // `head` is the whole head as the HTTP/1.1 serializer wrote it. With Fin::last there is no body;
  // else offer() brings it. nullptr if there is no room.
  [[nodiscard]] Stream* request(std::string_view head, Method method, std::string_view scheme,
                                Fin fin);
  // After Events::head, for each head: those of 1xx come before the final one.
  [[nodiscard]] Rule read_response(Stream& stream, std::span<char> memory, ResponseHead& out);
  [[nodiscard]] static bool has_head(const Stream& stream);
};

}  // namespace sluice::http::h2
