// Moves bytes between a channel and its HTTP/2 session.
#include "proxy/http2_connection.h"

#include "proxy/station.h"

namespace sluice::proxy {

namespace h2 = http::h2;

namespace {

// Of frames, and of payloads that are too small for a piece of their own.
constexpr size_t output_bytes = 16 * 1024;

uint64_t milliseconds(core::Instant now) {
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count());
}

}  // namespace

void Http2Connection::open(Station& station, Channel& channel) {
  channel_ = &channel;
  session_.emplace(station.http2, station.config().bounds.http2);
  station.counters.http2_connections.add();
  station.counters.http2_open.add();
}

void Http2Connection::on_bytes(Station& station, std::span<const std::byte> bytes) {
  static_cast<void>(session_->receive(bytes, milliseconds(station.now())));
  // A round trip after the first GOAWAY: nothing that the client did not know is under way.
  if (session_->state() == h2::Session::State::draining && session_->pings_unanswered() == 0)
    session_->finish_drain();
  wake(station);
}

void Http2Connection::on_sent(Station& station) {
  is_sending_ = false;
  session_->sent(output_);
  wake(station);
}

void Http2Connection::on_drain(Station& station) {
  if (session_->state() != h2::Session::State::open) return;
  session_->begin_drain();
  session_->ping();
  wake(station);
}

void Http2Connection::on_timer(Station& station) {
  if (is_sending_) is_broken_ = true;
  if (is_idle() || is_broken_) session_->end(h2::ErrorCode::no_error);
  wake(station);
}

void Http2Connection::on_close(Station& station) {
  is_broken_ = true;
  session_->end(h2::ErrorCode::cancel);
  wake(station);
}

void Http2Connection::on_settled(Station& station) {
  is_sending_ = false;
  session_->sent(output_);
  station.http2.memory().give_back(memory_);
  memory_ = nullptr;
}

void Http2Connection::tell(Station& station, StreamNote& note) {
  if (!note.is_linked()) notes_.push_back(note);
  wake(station);
}

void Http2Connection::wake(Station& station) {
  if (!core::ListNode<MultiplexTag>::is_linked()) station.multiplexed.push_back(*this);
}

Http2Connection::Next Http2Connection::next() {
  while (h2::Stream* heard = session_->next_event()) {
    const h2::Events events = h2::Session::take_events(*heard);
    if (auto* note = static_cast<StreamNote*>(heard->owner); note != nullptr) {
      note->was_sent |= events.sent;
      note->was_closed |= events.gone;
      if (!note->is_linked()) notes_.push_back(*note);
    } else if (heard->is_gone()) {
      session_->release(*heard);  // reset before anybody began it
    } else if (events.head) {
      return {.begun = heard};
    }
  }
  return {.noted = notes_.pop_front()};
}

void Http2Connection::refuse(Station& station, h2::Stream& stream) {
  station.counters.http2_streams_refused.add();
  session_->reset(stream, h2::ErrorCode::refused_stream);
  session_->release(stream);
}

Http2Connection::Flushed Http2Connection::flush(Station& station) {
  // Whoever does not answer the PING has had its time.
  if (session_->state() == h2::Session::State::draining && is_idle()) session_->finish_drain();
  while (!is_sending_ && !is_broken_ && fill(station)) {
    switch (channel_->send(station, out_)) {
      case SendProgress::done: session_->sent(output_); break;
      case SendProgress::waiting: is_sending_ = true; break;
      case SendProgress::broken: is_broken_ = true; break;
    }
  }
  if (!is_sending_ && memory_ != nullptr && !is_broken_) {
    station.http2.memory().give_back(memory_);
    memory_ = nullptr;
  }
  note_end(station);
  const bool is_said =
      session_->state() == h2::Session::State::ended && !is_sending_ && !session_->wants_write();
  return is_broken_ || is_said ? Flushed::over : Flushed::open;
}

// The next bytes to send, in out_. False: there are none.
bool Http2Connection::fill(Station& station) {
  if (!session_->wants_write()) return false;
  if (memory_ == nullptr) {
    memory_ = static_cast<std::byte*>(station.http2.memory().allocate(output_bytes));
    if (memory_ == nullptr) {
      is_broken_ = true;
      return false;
    }
    output_ = h2::Output{{memory_, output_bytes}};
  }
  session_->write(output_, milliseconds(station.now()));
  for (const auto& piece : output_.pieces()) out_.add(piece);
  return !output_.empty();
}

void Http2Connection::note_end(Station& station) {
  if (session_->state() != h2::Session::State::ended || is_end_counted_) return;
  is_end_counted_ = true;
  Counters& counters = station.counters;
  switch (session_->why_ended()) {
    case h2::Session::End::abuse:
      counters.http2_abuse[static_cast<size_t>(session_->abuse())].add();
      break;
    case h2::Session::End::no_memory: counters.http2_memory_refused.add(); break;
    case h2::Session::End::protocol: counters.http2_broken.add(); break;
    default: break;
  }
}

}  // namespace sluice::proxy
