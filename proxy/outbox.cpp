#include "proxy/outbox.h"

#include "http/serializer.h"

namespace sluice::proxy {

void add_chunk(Outbox& outbox, std::byte* payload, size_t size, bool complete,
               std::string_view trailers) {
  const bool has_trailers = complete && !trailers.empty();
  const http::ChunkEnd end = has_trailers ? http::ChunkEnd::trailers
                             : complete   ? http::ChunkEnd::last
                                          : http::ChunkEnd::more;
  if (size > 0) {
    outbox.add(
        http::frame_chunk(reinterpret_cast<char*>(payload), static_cast<uint32_t>(size), end));
  } else if (complete) {
    outbox.add(bytes_of(has_trailers ? http::last_chunk_before_trailers : http::last_chunk));
  }
  if (!has_trailers) return;
  outbox.add(bytes_of(trailers));
  outbox.add(bytes_of("\r\n"));
}

SendProgress continue_sending(core::Kernel& kernel, bool batch_is_small, core::Token token,
                              int socket, Outbox& outbox, uint64_t& bytes_sent) {
  if (batch_is_small) {
    while (!outbox.empty()) {
      const auto sent = kernel.send_now(socket, outbox.front(), outbox.continuation());
      if (!sent) {
        if (sent.error() == core::Error::would_block || sent.error() == core::Error::interrupted ||
            sent.error() == core::Error::no_memory || sent.error() == core::Error::no_buffers) {
          break;
        }
        return SendProgress::broken;
      }
      bytes_sent += sent.value();
      outbox.advance(sent.value());
    }
  }
  if (outbox.empty()) return SendProgress::done;
  kernel.send(token, socket, outbox.front(), outbox.continuation());
  return SendProgress::waiting;
}

}  // namespace sluice::proxy
