#include "proxy/outbox.h"

namespace sluice::proxy {

SendProgress continue_sending(core::Kernel& kernel, bool batch_is_small, core::Token token, int socket, Outbox& outbox,
                              uint64_t& bytes_sent) {
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
