// What a channel has beside its socket while its bytes are encrypted: the session, ciphertext that
// has not left yet, and what its owner waits for. Bytes from the wire pass through memory of the
// core's and stay in the socket until somebody wants them, so that an idle connection holds no
// buffer.
//
// In a slab of the station, one for each channel that speaks TLS. channel_handshake.cpp and
// channel_secured.cpp are its code.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "core/buffer_pool.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/intrusive_list.h"
#include "tls/session.h"

namespace sluice::proxy {

class Channel;
class CoreGeneration;
struct TlsTurnTag;
struct HandshakeTag;

struct ChannelTls : core::ListNode<TlsTurnTag>, core::ListNode<HandshakeTag> {
  enum class Stage : uint8_t {
    connecting,  // TCP is; the server's certificate is still far
    hello,       // the client's first bytes come in; nothing is made for them yet
    handshake,   //
    open,        // plaintext goes both ways
  };
  // What the owner asked for last and was not told yet.
  enum class Wanted : uint8_t { nothing, pooled, memory };

  Channel* channel = nullptr;
  std::unique_ptr<tls::Session> session;
  tls::ServerContext* server = nullptr;  // hello, handshake
  CoreGeneration* generation = nullptr;  // that has `server`; its owner's
  Stage stage = Stage::hello;
  Wanted wanted = Wanted::nothing;
  bool is_cancelled = false;  // the receive is, which its owner has not heard yet
  bool is_shed = false;       // others need its place in the handshakes
  bool ends_output = false;   // once all has left
  std::span<std::byte> into;  // of Wanted::memory
  core::Buffer first;         // a hello that is not whole
  uint32_t first_size = 0;
  core::Buffer sealed;  // ciphertext that leaves: [sealed_begin, sealed_end)
  uint32_t sealed_begin = 0, sealed_end = 0;
  uint32_t sealed_plaintext = 0;  // of what is in it, not counted as sent yet
  core::Instant flight_at{};      // when something left last
};

// Errors of calls that mean: later.
[[nodiscard]] constexpr bool is_wait(core::Error error) {
  return error == core::Error::would_block || error == core::Error::interrupted ||
         error == core::Error::no_memory || error == core::Error::no_buffers;
}

}  // namespace sluice::proxy
