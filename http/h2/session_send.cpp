// What leaves, and in which order.
#include <algorithm>
#include <array>

#include "core/assert.h"
#include "http/h2/session.h"

namespace sluice::http::h2 {

namespace {

constexpr size_t frame_head_bytes = 9;
// Payloads up to this much are copied: a piece of its own costs more.
constexpr size_t copied_bytes_max = 1024;

std::span<const std::byte> bytes_of(std::span<const uint8_t> bytes) { return std::as_bytes(bytes); }

}  // namespace

bool Session::wants_write() const {
  if (!pending_.empty() || last_words_due_) return true;
  return state_ != State::ended && nghttp2_session_want_write(raw_) != 0;
}

void Session::write(Output& output, uint64_t now_ms) {
  now_ms_ = now_ms;
  while (true) {
    if (!pending_.empty()) {
      if (!output.has_room(1)) return;
      const size_t part = std::min(pending_.size(), output.room());
      output.copy(bytes_of(pending_.first(part)));
      pending_ = pending_.subspan(part);
      if (!pending_.empty()) return;
    }
    if (!may_ask()) {
      if (last_words_due_) last_words_due_ = !write_last_words(output);
      return;
    }
    if (!output.has_room(frame_head_bytes + copied_bytes_max)) return;
    const uint8_t* bytes = nullptr;
    output_ = &output;
    const ssize_t size = nghttp2_session_mem_send(raw_, &bytes);
    output_ = nullptr;
    if (size < 0) {
      end_by_outcome(size);
      continue;
    }
    if (size == 0) break;
    pending_ = {bytes, static_cast<size_t>(size)};
  }
  if (nghttp2_session_want_read(raw_) != 0 || nghttp2_session_want_write(raw_) != 0) return;
  end_by(code_ == ErrorCode::no_error ? End::drained : End::protocol, code_);
  last_words_due_ = false;  // nghttp2 has said them
}

// GOAWAY as nghttp2 would write it, whose session can't be asked for anything any more.
bool Session::write_last_words(Output& output) {
  constexpr size_t payload_bytes = 8;
  std::array<uint8_t, frame_head_bytes + payload_bytes> frame{};
  if (!output.has_room(frame.size())) return false;
  frame[2] = payload_bytes;
  frame[3] = NGHTTP2_GOAWAY;
  const auto last = static_cast<uint32_t>(nghttp2_session_get_last_proc_stream_id(raw_));
  const auto code = static_cast<uint32_t>(code_);
  for (unsigned at = 0; at < 4; ++at) {
    frame[frame_head_bytes + at] = static_cast<uint8_t>(last >> (24 - 8 * at));
    frame[frame_head_bytes + 4 + at] = static_cast<uint8_t>(code >> (24 - 8 * at));
  }
  output.copy(bytes_of(frame));
  return true;
}

void Session::sent(Output& output) {
  for (size_t at = 0; at < output.payload_count_; ++at) {
    Stream& stream = *output.payloads_[at].stream;
    stream.in_flight_ -= output.payloads_[at].bytes;
    if (stream.in_flight_ > 0) continue;
    if (!stream.released_)
      note_progress(stream);
    else if (stream.closed_ || state_ == State::ended)
      destroy(stream);
  }
  output.clear();
}

nghttp2_data_provider Session::provider_of(Stream& stream) {
  nghttp2_data_provider provider;
  provider.source.ptr = &stream;
  provider.read_callback = [](nghttp2_session*, int32_t, uint8_t*, size_t size, uint32_t* flags,
                              nghttp2_data_source* source, void* user) -> ssize_t {
    return static_cast<Session*>(user)->on_read(*static_cast<Stream*>(source->ptr), size, *flags);
  };
  return provider;
}

void Session::offer(Stream& stream, std::span<const std::byte> bytes, Fin fin,
                    std::string_view trailers) {
  SLUICE_ASSERT(stream.offered_.empty() && !stream.fin_ && (stream.has_provider_ || stream.gone_));
  if (!may_ask() || stream.gone_) return;
  stream.offered_ = bytes;
  stream.fin_ = fin == Fin::last;
  stream.trailers_out_ = trailers;
  stream.progress_ms_ = now_ms_;
  resume(stream);
}

void Session::resume(Stream& stream) {
  if (!stream.deferred_) return;
  stream.deferred_ = false;
  static_cast<void>(check(nghttp2_session_resume_data(raw_, stream.id_)));
}

// How much of what is offered goes into the next DATA frame.
ssize_t Session::on_read(Stream& stream, size_t bytes_max, uint32_t& flags) {
  if (stream.gone_) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  const size_t bytes = std::min(bytes_max, stream.offered_.size());
  const bool is_last = stream.fin_ && bytes == stream.offered_.size();
  if (bytes == 0 && !is_last) {
    stream.deferred_ = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  if (bytes > 0) flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  if (!is_last) return static_cast<ssize_t>(bytes);
  flags |= NGHTTP2_DATA_FLAG_EOF;
  if (stream.trailers_out_.empty()) return static_cast<ssize_t>(bytes);
  flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
  FieldSection fields;
  fields.take_trailers(stream.trailers_out_);
  if (nghttp2_submit_trailer(raw_, stream.id_, fields.data(), fields.size()) != 0)
    return NGHTTP2_ERR_CALLBACK_FAILURE;
  return static_cast<ssize_t>(bytes);
}

int Session::on_send(Stream& stream, const uint8_t* head, size_t bytes) {
  if (stream.gone_) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  const bool is_copied = bytes <= copied_bytes_max;
  if (!output_->has_room(frame_head_bytes + (is_copied ? bytes : 0))) return NGHTTP2_ERR_WOULDBLOCK;
  output_->copy(bytes_of({head, frame_head_bytes}));
  const auto payload = stream.offered_.first(bytes);
  stream.offered_ = stream.offered_.subspan(bytes);
  stream.sent_ += bytes;
  stream.progress_ms_ = now_ms_;
  budget_.note_data_sent();
  if (is_copied) {
    output_->copy(payload);
  } else {
    output_->refer(stream, payload);
    stream.in_flight_ += static_cast<uint32_t>(bytes);
  }
  note_progress(stream);
  return 0;
}

// Told once for each offer: by whichever of its parts leaves last.
void Session::note_progress(Stream& stream) {
  if (!stream.offered_.empty() || stream.in_flight_ > 0) return;
  if (stream.fin_ && !stream.end_sent_ && !stream.gone_) return;
  stream.events_.sent = true;
  tell(stream);
}

bool Session::submit_response(Stream& stream, const FieldSection& fields, Fin fin) {
  SLUICE_ASSERT(!stream.has_provider_ && !stream.fin_);
  stream.fin_ = fin == Fin::last;
  stream.has_provider_ = fin == Fin::more;
  const nghttp2_data_provider provider = provider_of(stream);
  return check(nghttp2_submit_response(raw_, stream.id_, fields.data(), fields.size(),
                                       stream.fin_ ? nullptr : &provider));
}

bool Session::submit_request(Stream& stream, const FieldSection& fields, Fin fin) {
  stream.fin_ = fin == Fin::last;
  stream.has_provider_ = fin == Fin::more;
  const nghttp2_data_provider provider = provider_of(stream);
  const int32_t id = nghttp2_submit_request(raw_, nullptr, fields.data(), fields.size(),
                                            stream.fin_ ? nullptr : &provider, &stream);
  if (id < 0) return check(id);
  stream.id_ = id;
  return true;
}

}  // namespace sluice::http::h2
