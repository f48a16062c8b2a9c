// A client's connection that speaks HTTP/2: the session, and what of it is on its way. Its streams
// are exchanges like any other; this is who the bytes are for.
//
// Owned by its worker's slab, and by one DownstreamConnection from the client's first bytes on. The
// worker serves it when no machine runs: next() says to whom something happened, then flush() sends
// what they made of it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "core/intrusive_list.h"
#include "http/h2/server_session.h"
#include "proxy/channel.h"
#include "proxy/outbox.h"

namespace sluice::proxy {

class Exchange;
struct MultiplexTag;
struct StreamNoteTag;

// What happened to a stream and its exchange has not heard of. Part of whoever is the owner of the
// session's stream.
struct StreamNote : core::ListNode<StreamNoteTag> {
  Exchange* exchange = nullptr;
  bool was_sent = false;    // everything that was offered
  bool was_closed = false;  // the client or the session gave it up
};

class Http2Connection : public core::ListNode<MultiplexTag> {
 public:
  void open(Station& station, Channel& channel);

  // --- from its connection -------------------------------------------------------------------
  void on_bytes(Station& station, std::span<const std::byte> bytes);
  void on_sent(Station& station);
  void on_drain(Station& station);
  // It is idle for too long, or does not read.
  void on_timer(Station& station);
  // The connection closes: nothing more is sent or received.
  void on_close(Station& station);
  // The kernel has nothing of it any more.
  void on_settled(Station& station);

  // --- from its streams ----------------------------------------------------------------------
  [[nodiscard]] http::h2::ServerSession& session() { return *session_; }
  // There is something to tell.
  void tell(Station& station, StreamNote& note);
  // There may be something to send.
  void wake(Station& station);

  // --- from the worker -----------------------------------------------------------------------
  struct Next {
    http::h2::Stream* begun = nullptr;  // a request that has no exchange yet
    StreamNote* noted = nullptr;        // or something that an exchange shall hear of
  };
  [[nodiscard]] Next next();
  // Of a stream that somebody holds still; nullptr: there is none.
  [[nodiscard]] StreamNote* first_note() {
    http::h2::Stream* stream = session_->first_stream();
    return stream == nullptr ? nullptr : static_cast<StreamNote*>(stream->owner);
  }
  // No exchange is to be had for it: it was not processed.
  void refuse(Station& station, http::h2::Stream& stream);
  enum class Flushed : uint8_t { open, over };
  // Over: the connection can be closed.
  [[nodiscard]] Flushed flush(Station& station);
  [[nodiscard]] core::Token owner() const { return channel_->owner(); }
  [[nodiscard]] bool is_sending() const { return is_sending_; }
  [[nodiscard]] bool has_news() const { return !notes_.empty() || session_->has_event(); }
  [[nodiscard]] bool is_idle() const { return session_->streams() == 0; }

 private:
  [[nodiscard]] bool fill(Station& station);
  void note_end(Station& station);

  Channel* channel_ = nullptr;
  std::optional<http::h2::ServerSession> session_;
  http::h2::Output output_{std::span<std::byte>{}};
  Outbox out_;
  std::byte* memory_ = nullptr;  // of output_, while there is something in it
  bool is_sending_ = false;
  bool is_broken_ = false;
  bool is_end_counted_ = false;
  core::IntrusiveList<StreamNote, StreamNoteTag> notes_;
};

}  // namespace sluice::proxy
