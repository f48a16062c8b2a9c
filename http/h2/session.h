// One HTTP/2 connection (RFC 9113): bytes in, bytes out, and what happened to its streams. Pure: it
// knows no socket and no clock, and takes memory from its core's pool only. nghttp2 does framing
// and HPACK; its own checks of messages are off, because each refusal here has its rule and its
// answer (message_reader.h), and windows open only as whoever reads a body takes it.
//
//   receive(bytes) -> next_event() ... -> read_*(), respond(), offer() ... -> write(output), sent()
//
// Nothing calls back: what came is kept at its stream, within the bounds, until it is asked for. A
// peer that breaks the protocol, or does too often what costs more than it (abuse.h), ends the
// session with a GOAWAY that says why; so does a pool without memory. The session says which.
//
// ServerSession and ClientSession are the two ends. One worker owns a session.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/intrusive_list.h"
#include "http/h2/abuse.h"
#include "http/h2/bounds.h"
#include "http/h2/context.h"
#include "http/h2/field_section.h"
#include "http/h2/output.h"
#include "http/h2/stream.h"

namespace sluice::http::h2 {

class Session {
 public:
  enum class State : uint8_t {
    open,
    draining,  // no new streams; those that are open go on
    ended,     // what write() still gives is the last
  };
  // Why it ended.
  enum class End : uint8_t {
    none,
    drained,    // all streams are over, and none follows
    protocol,   // the peer broke it; code() says how
    abuse,      // abuse() says which
    no_memory,  // the core's pool is used up
    peer,       // by its GOAWAY with an error
  };

  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // --- bytes -----------------------------------------------------------------------------------
  // All of them are used. False: the session has ended.
  bool receive(std::span<const std::byte> bytes, uint64_t now_ms);
  // Adds what is to be sent, as far as there is room.
  void write(Output& output, uint64_t now_ms);
  [[nodiscard]] bool wants_write() const;
  // Everything in it has been sent, or never will be. Empties it.
  void sent(Output& output);

  // --- streams ---------------------------------------------------------------------------------
  // A stream to which something happened, or nullptr. take_events() says what.
  [[nodiscard]] Stream* next_event() { return events_.pop_front(); }
  [[nodiscard]] bool has_event() const { return !events_.empty(); }
  [[nodiscard]] static Events take_events(Stream& stream);
  // Body bytes; the peer may send as many again.
  size_t read_body(Stream& stream, std::span<std::byte> out);
  // One piece of a body at a time; the bytes stay where they are until Events::sent. With
  // Fin::last, `trailers` (lines of "name: value\r\n") follow, and stay as long.
  void offer(Stream& stream, std::span<const std::byte> bytes, Fin fin,
             std::string_view trailers = {});
  // RST_STREAM. What was offered is no longer sent; what is in an Output is.
  void reset(Stream& stream, ErrorCode code);
  // The stream belongs to nobody any more. If it is open it is reset: by NO_ERROR if the answer is
  // out, else by CANCEL.
  void release(Stream& stream);
  // Resets each stream that was offered something and to which the peer gave no window for so long.
  // Returns how many; the session may have ended.
  uint32_t end_stalled(uint64_t now_ms, uint64_t patience_ms);

  // --- the whole -------------------------------------------------------------------------------
  // GOAWAY twice: first that no new streams are wanted, which the peer may not know yet; a round
  // trip later, finish_drain(), which were taken. Both may be called again.
  void begin_drain();
  void finish_drain();
  // GOAWAY at once; every stream is gone.
  void end(ErrorCode code);
  void ping();
  [[nodiscard]] uint32_t pings_unanswered() const { return pings_unanswered_; }

  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] End why_ended() const { return end_; }
  [[nodiscard]] ErrorCode code() const { return code_; }
  [[nodiscard]] Abuse abuse() const { return abuse_; }
  [[nodiscard]] Stream* first_stream() { return live_.front(); }
  [[nodiscard]] uint32_t streams() const { return live_count_; }  // that somebody knows
  [[nodiscard]] const Bounds& bounds() const { return bounds_; }

 protected:
  enum class Role : uint8_t { server, client };
  Session(Context& context, const Bounds& bounds, Role role);
  ~Session();

  [[nodiscard]] Stream* make_stream(int32_t id);
  void drop_head(Stream& stream);
  [[nodiscard]] bool submit_response(Stream& stream, const FieldSection& fields, Fin fin);
  [[nodiscard]] bool submit_request(Stream& stream, const FieldSection& fields, Fin fin);
  [[nodiscard]] bool check(int outcome);
  [[nodiscard]] bool may_ask();
  [[nodiscard]] static const FieldBlock* first_head(const Stream& stream) { return stream.heads_; }
  [[nodiscard]] static Method method_of(const Stream& stream) { return stream.method_; }
  static void note_method(Stream& stream, Method method) { stream.method_ = method; }
  void destroy(Stream& stream);
  [[nodiscard]] nghttp2_session* raw() const { return raw_; }

  const Bounds bounds_;

 private:
  friend struct SessionCallbacks;

  [[nodiscard]] bool start();
  void end_by(End end, ErrorCode code);
  void end_by_outcome(ssize_t outcome);
  void abandon_streams();
  void give_up(Stream& stream, ErrorCode code);
  [[nodiscard]] bool write_last_words(Output& output);
  [[nodiscard]] int calm(Abuse abuse);
  [[nodiscard]] int spend(Abuse abuse);
  void tell(Stream& stream);
  [[nodiscard]] Stream* find(int32_t id) const;

  // session_events.cpp: what nghttp2 reports
  int on_begin_frame(const nghttp2_frame_hd& head);
  int on_begin_headers(const nghttp2_frame& frame);
  int on_header(const nghttp2_frame& frame, std::string_view name, std::string_view value);
  int on_frame(const nghttp2_frame& frame);
  int on_block(Stream& stream, const nghttp2_frame& frame);
  int on_trailers(Stream& stream);
  int on_data(int32_t id, std::span<const std::byte> bytes);
  int on_end_stream(Stream& stream);
  int on_close(int32_t id, uint32_t code);
  int on_frame_sent(const nghttp2_frame& frame);
  int break_stream(Stream& stream, Rule rule, ErrorCode code = ErrorCode::protocol_error);
  int begin_block(Stream& stream);

  // session_send.cpp
  ssize_t on_read(Stream& stream, size_t bytes_max, uint32_t& flags);
  int on_send(Stream& stream, const uint8_t* head, size_t bytes);
  void note_progress(Stream& stream);
  [[nodiscard]] static nghttp2_data_provider provider_of(Stream& stream);
  void resume(Stream& stream);

  Context& context_;
  const Role role_;
  nghttp2_session* raw_ = nullptr;
  State state_ = State::open;
  End end_ = End::none;
  ErrorCode code_ = ErrorCode::no_error;
  Abuse abuse_ = Abuse::none;
  bool drain_finished_ = false;
  bool last_words_due_ = false;
  uint32_t continuations_ = 0;
  uint32_t pings_unanswered_ = 0;
  uint32_t live_count_ = 0;
  uint64_t now_ms_ = 0;
  std::span<const uint8_t> pending_;  // of a frame that is partly in an Output
  Output* output_ = nullptr;          // during write()
  AbuseBudget budget_;
  core::IntrusiveList<Stream, EventTag> events_;
  core::IntrusiveList<Stream, LiveTag> live_;
};

}  // namespace sluice::http::h2
