// The end of a connection that is asked: clients open streams, and each is a request.
#pragma once

#include "http/h2/message_reader.h"
#include "http/h2/session.h"

namespace sluice::http::h2 {

class ServerSession : public Session {
 public:
  ServerSession(Context& context, const Bounds& bounds) : Session(context, bounds, Role::server) {}

  // After Events::head, once: `memory` takes the text that the views of `out` point into
  // (head_memory_bytes). The rule that the request breaks, which is answered like any other.
  [[nodiscard]] HeadRead read_request(Stream& stream, std::span<char> memory, RequestHead& out);
  // `head` is the whole head as the HTTP/1.1 serializer wrote it: 1xx.
  void inform(Stream& stream, std::string_view head);
  // The same, final. With Fin::last there is no body; else offer() brings it.
  void respond(Stream& stream, std::string_view head, Fin fin);
};

}  // namespace sluice::http::h2
