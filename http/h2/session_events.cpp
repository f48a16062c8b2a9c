// What nghttp2 says of frames that arrive.
#include <cstring>
#include <new>

#include "core/assert.h"
#include "http/h2/message_reader.h"
#include "http/h2/session.h"

namespace sluice::http::h2 {

namespace {

bool blames_peer(uint32_t code) {
  switch (static_cast<ErrorCode>(code)) {
    case ErrorCode::protocol_error:
    case ErrorCode::flow_control_error:
    case ErrorCode::stream_closed:
    case ErrorCode::frame_size_error:
    case ErrorCode::compression_error:
    case ErrorCode::enhance_your_calm: return true;
    default: return false;
  }
}

}  // namespace

// Frames that cost more than they bring are counted when their first nine bytes are in.
int Session::on_begin_frame(const nghttp2_frame_hd& head) {
  const bool is_acknowledgement = (head.flags & NGHTTP2_FLAG_ACK) != 0;
  switch (head.type) {
    case NGHTTP2_DATA:
      if (head.length == 0 && (head.flags & NGHTTP2_FLAG_END_STREAM) == 0)
        return spend(Abuse::empty_data);
      return 0;
    case NGHTTP2_HEADERS: continuations_ = 0; return 0;
    case NGHTTP2_CONTINUATION:
      return ++continuations_ > continuations_max ? calm(Abuse::continuation) : 0;
    case NGHTTP2_RST_STREAM: return role_ == Role::server ? spend(Abuse::reset) : 0;
    case NGHTTP2_SETTINGS: return is_acknowledgement ? 0 : spend(Abuse::settings);
    case NGHTTP2_PING:
      if (is_acknowledgement && pings_unanswered_ > 0) return 0;
      return spend(Abuse::ping);
    case NGHTTP2_WINDOW_UPDATE: return spend(Abuse::window_update);
    case NGHTTP2_PRIORITY:
    case NGHTTP2_PRIORITY_UPDATE: return spend(Abuse::priority);
    default: return 0;
  }
}

int Session::on_begin_headers(const nghttp2_frame& frame) {
  if (frame.hd.type != NGHTTP2_HEADERS) return 0;  // a push, which nghttp2 refuses
  const int32_t id = frame.hd.stream_id;
  Stream* stream = find(id);
  if (frame.headers.cat == NGHTTP2_HCAT_REQUEST) {
    SLUICE_DEBUG_ASSERT(stream == nullptr);
    // Streams that were reset and are not given back yet count as well.
    const bool too_many = live_count_ >= 2 * bounds_.streams;
    if (!too_many) stream = make_stream(id);
    if (stream == nullptr) {
      if (nghttp2_submit_rst_stream(raw_, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM) != 0)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
      if (!budget_.spend(Abuse::refused, now_ms_))
        return too_many ? calm(Abuse::refused) : NGHTTP2_ERR_CALLBACK_FAILURE;
      return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    budget_.note_request();
    nghttp2_session_set_stream_user_data(raw_, id, stream);
  }
  if (stream == nullptr || stream->gone_ || stream->released_) return 0;
  return begin_block(*stream);
}

int Session::begin_block(Stream& stream) {
  SLUICE_DEBUG_ASSERT(stream.block_ == nullptr);
  if (void* memory = context_.memory_.allocate(sizeof(FieldBlock)); memory != nullptr) {
    stream.block_ = new (memory) FieldBlock{context_.memory_};
    return 0;
  }
  return NGHTTP2_ERR_CALLBACK_FAILURE;  // there is no memory for anything
}

int Session::on_header(const nghttp2_frame& frame, std::string_view name, std::string_view value) {
  Stream* stream = find(frame.hd.stream_id);
  if (stream == nullptr || stream->block_ == nullptr || frame.hd.type != NGHTTP2_HEADERS) return 0;
  const uint32_t bytes_max = stream->inbound_ == Stream::Inbound::head
                                 ? header_list_bytes_max
                                 : core::limits::trailer_bytes_max;
  FieldBlock& block = *stream->block_;
  const FieldBlock::Added added = block.add(name, value, bytes_max);
  if (block.bytes_seen() > header_list_bomb_bytes) return calm(Abuse::header_list);
  return added == FieldBlock::Added::no_memory ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

int Session::on_frame(const nghttp2_frame& frame) {
  switch (frame.hd.type) {
    case NGHTTP2_HEADERS:
    case NGHTTP2_DATA: break;
    case NGHTTP2_PING:
      if ((frame.hd.flags & NGHTTP2_FLAG_ACK) != 0) pings_unanswered_ = 0;
      return 0;
    case NGHTTP2_GOAWAY:
      if (frame.goaway.error_code != NGHTTP2_NO_ERROR)
        code_ = static_cast<ErrorCode>(frame.goaway.error_code);
      if (state_ == State::open) state_ = State::draining;
      return 0;
    default: return 0;
  }
  Stream* stream = find(frame.hd.stream_id);
  if (stream == nullptr) return 0;
  if (frame.hd.type == NGHTTP2_HEADERS) return on_block(*stream, frame);
  const bool ends = (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
  if (!ends && frame.hd.length > 0 && frame.hd.length == frame.data.padlen)
    return spend(Abuse::empty_data);
  return ends ? on_end_stream(*stream) : 0;
}

int Session::on_block(Stream& stream, const nghttp2_frame& frame) {
  FieldBlock* block = stream.block_;
  if (block == nullptr) return 0;
  block->ends_stream = (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
  if (stream.inbound_ != Stream::Inbound::head) return on_trailers(stream);
  stream.block_ = nullptr;
  FieldBlock** place = &stream.heads_;
  while (*place != nullptr) place = &(*place)->next;
  *place = block;
  stream.events_.head = true;
  tell(stream);
  const Glance glance = glance_at(*block);
  if (role_ == Role::client && glance.status >= 100 && glance.status < 200 && !block->ends_stream) {
    if (++stream.informational_ <= core::limits::informational_responses_max) return 0;
    return break_stream(stream, Rule::status_line, ErrorCode::enhance_your_calm);
  }
  stream.inbound_ = Stream::Inbound::body;
  stream.has_content_length_ = glance.has_content_length;
  stream.content_length_ = glance.content_length;
  if (role_ == Role::client &&
      (stream.method_ == Method::head || glance.status == 204 || glance.status == 304)) {
    stream.has_content_length_ = true;
    stream.content_length_ = 0;
  }
  if (role_ == Role::server) {
    stream.method_ = glance.method;
    const nghttp2_extpri priority{glance.priority.urgency, glance.priority.incremental ? 1 : 0};
    if (nghttp2_is_fatal(
            nghttp2_session_change_extpri_stream_priority(raw_, stream.id_, &priority, 0)) != 0)
      return NGHTTP2_ERR_CALLBACK_FAILURE;
  }
  if (!block->ends_stream) return 0;
  // A length without a body is what whoever reads the head says.
  stream.inbound_ = Stream::Inbound::ended;
  stream.events_.end = true;
  return 0;
}

int Session::on_trailers(Stream& stream) {
  FieldBlock& block = *stream.block_;
  // Behind a head only trailers come, and they are the end (RFC 9113 8.1).
  if (!block.ends_stream) return break_stream(stream, Rule::trailer);
  void* memory = context_.memory_.allocate(core::limits::trailer_memory_bytes);
  if (memory == nullptr) return NGHTTP2_ERR_CALLBACK_FAILURE;
  stream.trailers_ = static_cast<char*>(memory);
  std::string_view lines;
  const Rule rule =
      read_trailers(block, {stream.trailers_, core::limits::trailer_memory_bytes}, lines);
  block.~FieldBlock();
  context_.memory_.give_back(&block);
  stream.block_ = nullptr;
  if (rule != Rule::none) return break_stream(stream, rule);
  stream.trailers_size_ = static_cast<uint32_t>(lines.size());
  if (lines.empty()) {
    context_.memory_.give_back(stream.trailers_);
    stream.trailers_ = nullptr;
  } else if (void* fitting = context_.memory_.resize(stream.trailers_, lines.size());
             fitting != nullptr) {
    stream.trailers_ = static_cast<char*>(fitting);
  }
  return on_end_stream(stream);
}

int Session::on_data(int32_t id, std::span<const std::byte> bytes) {
  Stream* stream = find(id);
  if (stream != nullptr && stream->inbound_ == Stream::Inbound::head) {
    if (const int outcome = on_end_stream(*stream); outcome != 0) return outcome;
  }
  const bool is_wanted = stream != nullptr && stream->inbound_ == Stream::Inbound::body;
  if (is_wanted) {
    stream->received_ += bytes.size();
    if (stream->has_content_length_ && stream->received_ > stream->content_length_) {
      if (const int outcome = break_stream(*stream, Rule::content_length); outcome != 0)
        return outcome;
    } else if (stream->body_.add(bytes)) {
      stream->events_.body = true;
      tell(*stream);
      return 0;
    } else {
      if (nghttp2_submit_rst_stream(raw_, NGHTTP2_FLAG_NONE, id, NGHTTP2_INTERNAL_ERROR) != 0)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
      give_up(*stream, ErrorCode::internal_error);
    }
  }
  // Nobody will take it.
  return nghttp2_session_consume_connection(raw_, bytes.size()) == 0 ? 0
                                                                     : NGHTTP2_ERR_CALLBACK_FAILURE;
}

int Session::on_end_stream(Stream& stream) {
  if (stream.inbound_ == Stream::Inbound::cut) return 0;
  // A body before its head, or an end where only a 1xx came (RFC 9113 8.1).
  if (stream.inbound_ == Stream::Inbound::head) return break_stream(stream, Rule::pseudo_field);
  if (stream.has_content_length_ && stream.received_ != stream.content_length_)
    return break_stream(stream, Rule::content_length);
  stream.inbound_ = Stream::Inbound::ended;
  stream.events_.end = true;
  tell(stream);
  return 0;
}

// The peer made this stream one that can't go on (RFC 9113 5.4.2).
int Session::break_stream(Stream& stream, Rule rule, ErrorCode code) {
  if (stream.gone_) return 0;
  stream.rule_ = rule;
  stream.counted_ = true;
  give_up(stream, code);
  if (nghttp2_submit_rst_stream(raw_, NGHTTP2_FLAG_NONE, stream.id_, static_cast<uint32_t>(code)) !=
      0)
    return NGHTTP2_ERR_CALLBACK_FAILURE;
  return spend(Abuse::made_reset);
}

int Session::on_close(int32_t id, uint32_t code) {
  Stream* stream = find(id);
  if (stream == nullptr) return 0;
  stream->closed_ = true;
  stream->unprocessed_ = role_ == Role::client && code == NGHTTP2_REFUSED_STREAM;
  if (!stream->is_whole()) give_up(*stream, static_cast<ErrorCode>(code));
  if (stream->released_ && stream->in_flight_ == 0) destroy(*stream);
  return 0;
}

int Session::on_frame_sent(const nghttp2_frame& frame) {
  if (frame.hd.type == NGHTTP2_GOAWAY) {
    if (frame.goaway.error_code != NGHTTP2_NO_ERROR && code_ == ErrorCode::no_error)
      code_ = static_cast<ErrorCode>(frame.goaway.error_code);
    return 0;
  }
  Stream* stream = find(frame.hd.stream_id);
  if (stream == nullptr) return 0;
  if (frame.hd.type == NGHTTP2_RST_STREAM) {
    // nghttp2's own verdict on what the peer sent.
    return stream->counted_ || !blames_peer(frame.rst_stream.error_code) ? 0
                                                                         : spend(Abuse::made_reset);
  }
  const bool can_end = frame.hd.type == NGHTTP2_HEADERS || frame.hd.type == NGHTTP2_DATA;
  if (!can_end || (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return 0;
  stream->end_sent_ = true;
  note_progress(*stream);
  return 0;
}

}  // namespace sluice::http::h2
