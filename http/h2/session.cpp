// What both ends of a connection do: bytes in, bytes out, streams, the end.
#include "http/h2/session.h"

#include <algorithm>
#include <array>
#include <new>

#include "core/assert.h"

namespace sluice::http::h2 {

Session::Session(Context& context, const Bounds& bounds, Role role)
    : bounds_(bounds), context_(context), role_(role) {
  if (!start()) end_by(End::no_memory, ErrorCode::internal_error);
}

Session::~Session() {
  nghttp2_session_del(raw_);
  while (Stream* stream = live_.front()) destroy(*stream);
}

bool Session::start() {
  if (!context_.memory_.has_reserve()) return false;
  const auto make =
      role_ == Role::server ? nghttp2_session_server_new3 : nghttp2_session_client_new3;
  if (make(&raw_, context_.callbacks_, this, context_.options_, &context_.functions_) != 0)
    return false;
  std::array<nghttp2_settings_entry, 5> settings;
  size_t count = 0;
  settings[count++] = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, bounds_.stream_window};
  settings[count++] = {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, header_list_bytes_max};
  settings[count++] = {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1};
  if (role_ == Role::client) {
    settings[count++] = {NGHTTP2_SETTINGS_ENABLE_PUSH, 0};
  } else {
    settings[count++] = {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, bounds_.streams};
    if (bounds_.extended_connect == ExtendedConnect::allowed)
      settings[count++] = {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1};
  }
  return nghttp2_submit_settings(raw_, NGHTTP2_FLAG_NONE, settings.data(), count) == 0 &&
         nghttp2_session_set_local_window_size(
             raw_, NGHTTP2_FLAG_NONE, 0, static_cast<int32_t>(bounds_.connection_window)) == 0;
}

bool Session::receive(std::span<const std::byte> bytes, uint64_t now_ms) {
  now_ms_ = now_ms;
  if (!may_ask()) return false;
  const ssize_t taken =
      nghttp2_session_mem_recv(raw_, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  if (taken < 0) {
    end_by_outcome(taken);
  } else if (nghttp2_session_want_read(raw_) == 0 && nghttp2_session_want_write(raw_) == 0) {
    end_by(End::drained, ErrorCode::no_error);
  }
  return state_ != State::ended;
}

Events Session::take_events(Stream& stream) {
  const Events events = stream.events_;
  stream.events_ = {};
  return events;
}

size_t Session::read_body(Stream& stream, std::span<std::byte> out) {
  const size_t taken = stream.body_.take(out);
  if (taken == 0 || !may_ask()) return taken;
  const int outcome = stream.closed_ || stream.gone_
                          ? nghttp2_session_consume_connection(raw_, taken)
                          : nghttp2_session_consume(raw_, stream.id_, taken);
  static_cast<void>(check(outcome));
  return taken;
}

void Session::reset(Stream& stream, ErrorCode code) {
  if (stream.gone_) return;
  if (!stream.closed_ && may_ask())
    static_cast<void>(check(nghttp2_submit_rst_stream(raw_, NGHTTP2_FLAG_NONE, stream.id_,
                                                      static_cast<uint32_t>(code))));
  give_up(stream, code);
  stream.events_ = {};
  if (stream.core::ListNode<EventTag>::is_linked()) events_.remove(stream);
}

void Session::release(Stream& stream) {
  SLUICE_ASSERT(!stream.released_);
  const ErrorCode code = stream.end_sent_ ? ErrorCode::no_error : ErrorCode::cancel;
  if (!stream.closed_) reset(stream, code);
  stream.released_ = true;
  stream.events_ = {};
  if (stream.core::ListNode<EventTag>::is_linked()) events_.remove(stream);
  if (const uint32_t unread = stream.body_.size(); unread > 0 && may_ask())
    static_cast<void>(check(nghttp2_session_consume_connection(raw_, unread)));
  stream.body_.clear();
  while (stream.heads_ != nullptr) drop_head(stream);
  if ((stream.closed_ || state_ == State::ended) && stream.in_flight_ == 0) destroy(stream);
}

uint32_t Session::end_stalled(uint64_t now_ms, uint64_t patience_ms) {
  now_ms_ = now_ms;
  uint32_t count = 0;
  bool calm_wanted = false;
  live_.find_from_back([&](Stream& stream) {
    if (stream.gone_ || stream.offered_.empty() || now_ms - stream.progress_ms_ < patience_ms)
      return false;
    ++count;
    reset(stream, ErrorCode::cancel);
    stream.events_.gone = true;  // which its owner did not do
    tell(stream);
    if (!budget_.spend(Abuse::stalled, now_ms)) calm_wanted = true;
    return false;
  });
  if (calm_wanted) {
    abuse_ = Abuse::stalled;
    end_by(End::abuse, ErrorCode::enhance_your_calm);
  }
  return count;
}

void Session::begin_drain() {
  if (state_ != State::open || !may_ask()) return;
  state_ = State::draining;
  if (role_ == Role::server)
    static_cast<void>(check(nghttp2_submit_shutdown_notice(raw_)));
  else
    finish_drain();
}

void Session::finish_drain() {
  begin_drain();
  if (drain_finished_ || !may_ask()) return;
  drain_finished_ = true;
  static_cast<void>(check(nghttp2_submit_goaway(raw_, NGHTTP2_FLAG_NONE,
                                                nghttp2_session_get_last_proc_stream_id(raw_),
                                                NGHTTP2_NO_ERROR, nullptr, 0)));
}

void Session::end(ErrorCode code) { end_by(End::drained, code); }

void Session::ping() {
  if (!may_ask()) return;
  ++pings_unanswered_;
  static_cast<void>(check(nghttp2_submit_ping(raw_, NGHTTP2_FLAG_NONE, nullptr)));
}

Stream* Session::make_stream(int32_t id) {
  void* memory = context_.memory_.allocate(sizeof(Stream));
  if (memory == nullptr) return nullptr;
  auto* stream = new (memory) Stream{context_.memory_, id};
  stream->progress_ms_ = now_ms_;
  live_.push_back(*stream);
  ++live_count_;
  return stream;
}

void Session::destroy(Stream& stream) {
  while (stream.heads_ != nullptr) drop_head(stream);
  if (stream.block_ != nullptr) {
    stream.block_->~FieldBlock();
    context_.memory_.give_back(stream.block_);
  }
  context_.memory_.give_back(stream.trailers_);
  if (stream.core::ListNode<EventTag>::is_linked()) events_.remove(stream);
  live_.remove(stream);
  --live_count_;
  stream.~Stream();
  context_.memory_.give_back(&stream);
}

void Session::drop_head(Stream& stream) {
  FieldBlock* head = stream.heads_;
  stream.heads_ = head->next;
  head->~FieldBlock();
  context_.memory_.give_back(head);
}

// The stream is over for its owner. Nothing that it offered is sent any more.
void Session::give_up(Stream& stream, ErrorCode code) {
  if (stream.gone_) return;
  stream.gone_ = true;
  stream.code_ = code;
  stream.inbound_ = Stream::Inbound::cut;
  stream.offered_ = {};
  stream.events_.gone = true;
  tell(stream);
}

void Session::tell(Stream& stream) {
  if (!stream.released_ && !stream.core::ListNode<EventTag>::is_linked()) events_.push_back(stream);
}

// Whether nghttp2 can be asked for something that takes memory.
bool Session::may_ask() {
  if (state_ != State::ended && !context_.memory_.has_reserve())
    end_by(End::no_memory, ErrorCode::internal_error);
  return state_ != State::ended;
}

Stream* Session::find(int32_t id) const {
  return static_cast<Stream*>(nghttp2_session_get_stream_user_data(raw_, id));
}

int Session::calm(Abuse abuse) {
  abuse_ = abuse;
  return NGHTTP2_ERR_CALLBACK_FAILURE;
}

int Session::spend(Abuse abuse) { return budget_.spend(abuse, now_ms_) ? 0 : calm(abuse); }

bool Session::check(int outcome) {
  if (outcome == 0 || nghttp2_is_fatal(outcome) == 0) return outcome == 0;
  end_by_outcome(outcome);
  return false;
}

void Session::end_by_outcome(ssize_t outcome) {
  if (outcome == NGHTTP2_ERR_CALLBACK_FAILURE && abuse_ != Abuse::none)
    return end_by(End::abuse, ErrorCode::enhance_your_calm);
  if (outcome == NGHTTP2_ERR_NOMEM || outcome == NGHTTP2_ERR_CALLBACK_FAILURE)
    return end_by(End::no_memory, ErrorCode::internal_error);
  if (outcome == NGHTTP2_ERR_FLOODED) {
    abuse_ = Abuse::settings;
    return end_by(End::abuse, ErrorCode::enhance_your_calm);
  }
  end_by(End::protocol, ErrorCode::protocol_error);
}

void Session::end_by(End end, ErrorCode code) {
  if (state_ == State::ended) return;
  state_ = State::ended;
  end_ = end;
  if (code_ == ErrorCode::no_error) code_ = code;
  last_words_due_ = raw_ != nullptr && end != End::peer;
  abandon_streams();
}

void Session::abandon_streams() {
  const ErrorCode code = code_ == ErrorCode::no_error ? ErrorCode::cancel : code_;
  // Whoever is released is held up by nghttp2 alone, which is not asked any more.
  while (Stream* stream = live_.find_from_back([](const Stream& one) {
    return !(one.gone_ || one.is_whole()) || (one.released_ && one.in_flight_ == 0);
  })) {
    if (stream->released_ && stream->in_flight_ == 0)
      destroy(*stream);
    else
      give_up(*stream, code);
  }
}

}  // namespace sluice::http::h2
