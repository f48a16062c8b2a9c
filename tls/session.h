// A TLS session: a machine between ciphertext and plaintext, for either side. It knows no socket:
// each call says what came from the wire and where there is room for what goes to it (Wire), and
// nothing is kept between calls but what OpenSSL needs of a record that is not whole.
//
// Owned by a channel, run by its core's thread.
//
//   handshaking -> established -> closed
//             \-> failed   <-/
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "tls/client_context.h"
#include "tls/failure.h"
#include "tls/record_meter.h"
#include "tls/server_context.h"
#include "tls/wire_bio.h"

namespace sluice::tls {

enum class State : uint8_t {
  handshaking,
  established,
  closed,  // the other side said close_notify: nothing more comes, and what came is all there was
  failed,  // failure() says why; an alert for the other side may have been written
};

enum class Progress : uint8_t {
  done,         // handshake: established; read: the room is full; write: all of it is sealed
  needs_bytes,  // all that came is used up
  needs_room,   // what goes to the wire has no place
  closed,       // State::closed
  failed,       // State::failed
};

struct Step {
  Progress progress = Progress::done;
  size_t bytes = 0;  // of plaintext, read or sealed
};

// Room for a flight of the handshake or an alert: with less, a call may have to be made again.
inline constexpr size_t wire_room_min = 4 * 1024;
inline constexpr size_t record_bytes = 16 * 1024;  // of plaintext, at most
inline constexpr size_t record_overhead = 64;      // header, nonce and tag, at most
// The first bytes of an answer go in records that a client can open as soon as one packet is there.
inline constexpr size_t small_record_bytes = 1350;
inline constexpr size_t small_record_total = 10 * small_record_bytes;
// Memory of OpenSSL's: of a session that is established, with a record that is not whole; and what
// a handshake takes beside it. tests/unit/tls_memory_test.cpp measures them.
inline constexpr size_t session_bytes_max = 32 * 1024;
inline constexpr size_t session_handshake_bytes_max = 96 * 1024;
// What a peer may send before the handshake is over, and how many messages of the protocol's own
// may come without a byte of data between them.
inline constexpr size_t handshake_bytes_max = 96 * 1024;
inline constexpr uint32_t messages_between_data_max = 64;
inline constexpr uint32_t alerts_max = 16;

// Of the endpoint that is called.
struct PeerName {
  std::string_view name;    // DNS name or address; ends with a NUL
  bool is_address = false;  // then no SNI is sent
};

class Session {
 public:
  // nullptr: no memory. The context's library outlives the session; the context the handshake.
  [[nodiscard]] static std::unique_ptr<Session> accept(ServerContext& context);
  // `ticket` of an earlier session with the same endpoint, or nullptr.
  [[nodiscard]] static std::unique_ptr<Session> connect(ClientContext& context,
                                                        const PeerName& peer, SSL_SESSION* ticket);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // As far as it goes with what came. Until Progress::done.
  [[nodiscard]] Step handshake(Wire& wire);
  // Fills `into` from what came. Progress::needs_bytes may come with plaintext.
  [[nodiscard]] Step read(Wire& wire, std::span<std::byte> into);
  // Seals whole records as long as there is room; Progress::needs_room may come with some sealed.
  [[nodiscard]] Step write(Wire& wire, std::span<const std::byte> plaintext);
  // Says close_notify, once; after a failure nothing.
  void close(Wire& wire);
  // How much ciphertext may be taken from the wire, so that with `room` for plaintext none of it is
  // left over: at least what completes a header or a record, of which read() keeps what finds no
  // room (has_plaintext()).
  [[nodiscard]] size_t appetite(size_t room) const {
    const size_t surely = room > meter_.partial() ? room - meter_.partial() : 0;
    return std::max<size_t>(meter_.missing(), surely);
  }
  // The connection ended: true if that is the end that was said. Else the session has failed.
  bool end_of_input();
  // An answer begins after a pause: its first records are small.
  void begin_flight() { small_left_ = small_record_total; }

  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] Failure failure() const { return failure_; }
  // Whether plaintext is left that a read() without new bytes would give.
  [[nodiscard]] bool has_plaintext() const { return SSL_pending(ssl_.get()) > 0; }
  // Whether OpenSSL holds the beginning of a record that is not whole.
  [[nodiscard]] bool is_inside_record() const { return SSL_has_pending(ssl_.get()) != 0; }

  // --- once established ------------------------------------------------------------------------
  [[nodiscard]] std::string_view version() const { return SSL_get_version(ssl_.get()); }
  [[nodiscard]] std::string_view cipher() const { return SSL_get_cipher_name(ssl_.get()); }
  [[nodiscard]] std::string_view protocol() const;     // ALPN; empty: none was negotiated
  [[nodiscard]] std::string_view server_name() const;  // SNI as sent; empty: none
  [[nodiscard]] bool was_resumed() const { return SSL_session_reused(ssl_.get()) == 1; }
  // The certificate that the other side showed and that was verified; nullptr: none.
  [[nodiscard]] const X509* peer_certificate() const;
  // Of a server: which group of certificates serves it (ServerContext::group_of()).
  [[nodiscard]] uint32_t group() const { return group_; }
  // Of a client: the newest ticket that came since the last call; nullptr: none.
  [[nodiscard]] SessionTicket take_ticket() { return std::move(ticket_); }

  // --- counted ---------------------------------------------------------------------------------
  [[nodiscard]] uint32_t alerts_sent() const { return alerts_sent_; }
  [[nodiscard]] uint32_t alerts_received() const { return alerts_received_; }
  // Of the last fatal alert sent or received.
  [[nodiscard]] uint8_t alert() const { return alert_; }

  // --- for the contexts ------------------------------------------------------------------------
  [[nodiscard]] static Session& of(const SSL* ssl) {
    return *static_cast<Session*>(SSL_get_app_data(ssl));
  }
  [[nodiscard]] Library& library() const { return library_; }
  void note_group(uint32_t group) { group_ = group; }
  static void on_info(const SSL* ssl, int where, int value);
  static int on_new_ticket(SSL* ssl, SSL_SESSION* ticket);

 private:
  Session(Library& library, SSL_CTX* context);
  [[nodiscard]] bool is_made() const { return ssl_ != nullptr; }
  void begin_call(Wire& wire);
  void end_call(const Wire& wire);
  Progress outcome_of(int result);
  Progress fail(Failure failure);
  [[nodiscard]] size_t next_record_bytes(size_t plaintext, size_t room) const;

  Library& library_;
  SslPtr ssl_;
  BIO* bio_ = nullptr;  // ssl_ owns it
  SessionTicket ticket_;
  std::span<const std::byte> offered_;  // within a call
  RecordMeter meter_;
  size_t handshake_bytes_ = 0;
  size_t small_left_ = small_record_total;
  uint32_t group_ = 0;
  uint32_t messages_ = 0;  // of the protocol's own, since the last plaintext
  uint32_t alerts_sent_ = 0;
  uint32_t alerts_received_ = 0;
  uint8_t alert_ = 0;
  State state_ = State::handshaking;
  Failure failure_ = Failure::none;
};

}  // namespace sluice::tls
