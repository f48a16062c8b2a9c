// Pieces of memory that leave in their order.
#include "proxy/outbox.h"

#include "http/serializer.h"

namespace sluice::proxy {

void add_chunk(Outbox& outbox, const BodyPart& part) {
  const bool has_trailers = part.complete && !part.trailers.empty();
  const http::ChunkEnd end = has_trailers    ? http::ChunkEnd::trailers
                             : part.complete ? http::ChunkEnd::last
                                             : http::ChunkEnd::more;
  if (!part.bytes.empty()) {
    outbox.add(http::frame_chunk(chars_of(part.bytes).data(),
                                 static_cast<uint32_t>(part.bytes.size()), end));
  } else if (part.complete) {
    outbox.add(bytes_of(has_trailers ? http::last_chunk_before_trailers : http::last_chunk));
  }
  if (!has_trailers) return;
  outbox.add(bytes_of(part.trailers));
  outbox.add(bytes_of("\r\n"));
}

}  // namespace sluice::proxy
