// The bytes of one socket, for both sides: what the kernel holds of it, what goes in and out, and
// the one way in which it closes. What the bytes mean is the business of its owner, a
// DownstreamConnection or an UpstreamConnection, which it is a part of.
//
// Calls go down, and what becomes of them comes back as a ChannelEvent from on_completion(): a
// channel calls nobody. An owner must take none of these for granted, so that a session that
// encrypts can stand between the socket and its owner:
//   - can_splice(): bytes may have to pass through memory of ours.
//   - No event is told from inside a call. Where a session finds the bytes of a receive here
//     already, they are told of when no machine runs, by way of a list in the station.
//   - A completion may say nothing to the owner (Kind::none): there is more to be done first.
//   - `connected` comes when the owner may send, not when TCP is there.
//
// Closing: begin_close() shuts the socket down; when the kernel holds nothing of it any more, it is
// settled, and at the end of that batch finish_close() closes the descriptor. After begin_close()
// no event is told.
#pragma once

#include <cstdint>
#include <span>
#include <utility>

#include "core/buffer_pool.h"
#include "core/in_flight.h"
#include "core/intrusive_list.h"
#include "core/kernel.h"
#include "proxy/channel_tls.h"
#include "proxy/operation.h"
#include "proxy/outbox.h"
#include "proxy/station.h"

namespace sluice::proxy {

struct ChannelEvent {
  enum class Kind : uint8_t {
    none,       // nothing that concerns the owner
    connected,  //
    refused,    // there will be no connection, for `error`
    bytes,      // `size` of them, in `buffer`, or where receive() was to put them
    end,        // the other side's FIN
    broken,     // a receive failed with `error`
    sent,       // all of the outbox has left
    sending,    // some of it has, the rest is under way
    unsent,     // the connection is broken
    hangup,     // what watch() is for
    readable,   // hints that it is worth trying
    writable,
  };
  Kind kind = Kind::none;
  core::Error error = core::Error::none;
  tls::Failure tls = tls::Failure::none;  // refused, broken: in the handshake
  uint32_t size = 0;
  core::Buffer buffer;  // bytes: of a pooled receive; the owner's from here on
};

// In one list of the station at a time: starved, or settled.
class Channel : public core::ListNode<ChannelTag> {
 public:
  enum class Op : uint8_t { receive, send, watch, readable, writable, connect };
  // How the other side sees the end: as a regular one, or in a way that can't be taken for that.
  enum class Ending : uint8_t { fin, reset };

  // `owner` is the token of its owner's timer. The socket is the channel's from here on.
  void open(Side side, int socket, core::Token owner);
  // `destination` must live until the event.
  void connect(Station& station, const core::Destination& destination);

  // --- TLS -----------------------------------------------------------------------------------
  // Before the first receive: the client's hello is waited for, and `connected` comes when it is
  // through. `ahead` came already. `context` lives until then: `generation` is what its owner uses
  // for that, and takes back. False: there is no room.
  [[nodiscard]] bool secure(Station& station, tls::ServerContext& context,
                            CoreGeneration& generation, std::span<const std::byte> ahead);
  [[nodiscard]] CoreGeneration* take_generation() {
    return tls_ == nullptr ? nullptr : std::exchange(tls_->generation, nullptr);
  }
  // Before connect(): `connected` comes when the endpoint has shown who it is. `context` lives
  // until then; `ticket`, if there is one, until the call returns.
  [[nodiscard]] bool secure(Station& station, tls::ClientContext& context,
                            const tls::PeerName& peer, SSL_SESSION* ticket);
  // nullptr: without TLS, or before it is spoken.
  [[nodiscard]] tls::Session* session() const {
    return tls_ == nullptr ? nullptr : tls_->session.get();
  }
  // Its turn has come: a step of the handshake, or what was here already.
  [[nodiscard]] ChannelEvent on_turn(Station& station);
  // Others need its place: it is told in its next turn.
  void shed_handshake(Station& station);

  // --- in: one of them at a time -------------------------------------------------------------
  void receive(Station& station, std::span<std::byte> into);
  // Takes a buffer only when bytes are there. If there is none, it waits for one.
  void receive_pooled(Station& station, core::Readiness readiness);
  void cancel_receive(Station& station);
  // From the socket into the pipe, at most `size` bytes; 0 is the other side's FIN.
  [[nodiscard]] core::Result<size_t> splice_in(Station& station, const core::Pipe& pipe,
                                               size_t size);
  // Bytes that wait: 0 means FIN, Error::would_block means open and quiet. Costs a system call.
  [[nodiscard]] core::Result<size_t> peek(Station& station);
  // After bytes went past us: whether there are more. Costs a system call.
  void look_for_unread_bytes(Station& station);
  // Whether more has come than was received so far.
  [[nodiscard]] bool has_unread_bytes() const { return unread_; }

  // --- out -----------------------------------------------------------------------------------
  // Of `outbox`, which stays until it has left. While one is under way it goes on with what was
  // added.
  [[nodiscard]] SendProgress send(Station& station, Outbox& outbox);
  // From the pipe out of the socket.
  [[nodiscard]] core::Result<size_t> splice_out(Station& station, const core::Pipe& pipe,
                                                size_t size);
  void end_output(Station& station);  // nothing more is sent: the other side sees the end

  // --- readiness: asked for while it is awaited already, it goes on being awaited ------------
  void wait_readable(Station& station);
  void wait_writable(Station& station);
  // Armed once and left armed: it costs nothing until the other side goes away.
  void watch(Station& station);

  // --- closing -------------------------------------------------------------------------------
  void begin_close(Station& station, Ending ending = Ending::fin);
  void finish_close(Station& station);
  // Before anything was asked of the kernel.
  void give_up(Station& station);

  // --- from the worker -----------------------------------------------------------------------
  [[nodiscard]] ChannelEvent on_completion(Station& station, Op op,
                                           const core::Completion& completion);
  // There may be a buffer now for the receive that waits for one.
  void on_buffer_available(Station& station);

  // Whether splice_in() and splice_out() may be used.
  [[nodiscard]] bool can_splice() const { return tls_ == nullptr; }
  [[nodiscard]] bool is_receiving() const {
    return in_flight_.has(Op::receive) ||
           (tls_ != nullptr && !is_starved() && tls_->wanted != ChannelTls::Wanted::nothing);
  }
  // Whether on_buffer_available() would find one.
  [[nodiscard]] bool can_be_fed(const core::BufferPool& pool) const {
    return tls_ == nullptr ? pool.can_serve() : pool.can_take();
  }
  [[nodiscard]] bool is_starved() const { return !is_closing_ && is_linked(); }
  // A send is under way, or its end is waited for.
  [[nodiscard]] bool is_sending() const {
    return in_flight_.has(Op::send) || in_flight_.has(Op::writable);
  }
  // The part of it that may have left, although it is not counted in bytes_sent() yet.
  [[nodiscard]] bool has_send_in_flight() const { return in_flight_.has(Op::send); }
  [[nodiscard]] uint64_t bytes_sent() const { return bytes_sent_; }
  [[nodiscard]] core::Token owner() const { return owner_; }
  [[nodiscard]] Side side() const { return side_; }
  [[nodiscard]] core::Result<core::SocketAddress> local_address(Station& station) const {
    return station.kernel.local_address(socket_);
  }

 private:
  [[nodiscard]] core::Token token(Op op) const {
    return {static_cast<uint8_t>(static_cast<unsigned>(first_operation(side_)) +
                                 static_cast<unsigned>(op)),
            owner_.generation, owner_.slot};
  }
  [[nodiscard]] core::BufferGroup group() const {
    return side_ == Side::downstream ? core::BufferGroup::downstream : core::BufferGroup::upstream;
  }
  [[nodiscard]] SendProgress send_now(Station& station, Outbox& outbox);
  // channel_handshake.cpp, channel_secured.cpp
  enum class End : uint8_t { said, unsaid };  // by close_notify
  enum class Turn : uint8_t { handshake, here_already };
  [[nodiscard]] bool take_tls(Station& station);
  void queue_turn(Station& station, Turn turn);
  void want(Station& station, ChannelTls::Wanted wanted, std::span<std::byte> into);
  [[nodiscard]] ChannelEvent on_readable_secured(Station& station);
  [[nodiscard]] ChannelEvent read_secured(Station& station);
  [[nodiscard]] ChannelEvent tell_end(Station& station, End end);
  [[nodiscard]] SendProgress send_secured(Station& station, Outbox* outbox);
  [[nodiscard]] SendProgress flush_sealed(Station& station);
  void note_left(size_t bytes);
  [[nodiscard]] bool seal_all(Station& station, Outbox& outbox);
  [[nodiscard]] bool add_sealed(Station& station, std::span<const std::byte> ciphertext);
  [[nodiscard]] ChannelEvent on_sent_secured(Station& station, const core::Completion& completion);
  [[nodiscard]] ChannelEvent on_hello(Station& station);
  [[nodiscard]] ChannelEvent shake_hands(Station& station, std::span<const std::byte> bytes);
  [[nodiscard]] ChannelEvent go_on_shaking(Station& station);
  [[nodiscard]] ChannelEvent end_handshake(Station& station);
  [[nodiscard]] ChannelEvent fail_handshake(Station& station, tls::Failure failure);
  [[nodiscard]] ChannelEvent refuse_plain(Station& station);
  void say_end(Station& station);
  void begin_close_tls(Station& station, Ending ending);
  void leave_handshake(Station& station);
  void drop_tls(Station& station);

  [[nodiscard]] ChannelEvent on_receive(Station& station, const core::Completion& completion);
  [[nodiscard]] ChannelEvent on_send(Station& station, const core::Completion& completion);
  void park(Station& station);
  void unpark(Station& station);
  void settle(Station& station);

  core::InFlight<Op> in_flight_;
  Side side_ = Side::downstream;
  bool is_closing_ = false;
  bool unread_ = false;  // bytes were left in the socket by the last receive
  int socket_ = -1;
  core::Token owner_;
  uint64_t bytes_sent_ = 0;
  Outbox* outbox_ = nullptr;  // while a send is in flight
  ChannelTls* tls_ = nullptr;
};

// A receive waits for a buffer although there is one.
[[nodiscard]] bool can_feed(Station& station, Side side);

}  // namespace sluice::proxy
