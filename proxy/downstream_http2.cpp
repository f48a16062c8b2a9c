// A client's connection from where it turns out to speak HTTP/2.
#include <utility>

#include "core/slab.h"
#include "proxy/downstream_connection.h"
#include "proxy/http2_connection.h"

namespace sluice::proxy {

namespace {

// Of what a client of HTTP/2 says first, as much as no request of HTTP/1.1 begins with (RFC 9113
// 3.4). The session reads it whole.
constexpr std::string_view preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr size_t preface_bytes_min = 4;

}  // namespace

bool DownstreamConnection::speaks_http2() const {
  if (may_speak_http2_ == config::Http2::off || requests_ > 0 || waiting_size_ < preface_bytes_min)
    return false;
  const auto begin = waiting_.receive_area().first(std::min<size_t>(waiting_size_, preface.size()));
  return preface.starts_with(text_of(begin));
}

DownstreamEvent DownstreamConnection::begin_http2(Station& station) {
  if (state_ == State::gathering) leave_gathering(station);
  state_ = State::multiplexing;
  core::Buffer first = std::exchange(waiting_, {});
  http2_ = station.http2_slots.take();
  if (http2_ == nullptr) {
    station.request_buffers.give_back(first);
    begin_close(station);
    return {};
  }
  http2_->open(station, channel_);
  http2_->on_bytes(station, first.receive_area().first(waiting_size_));
  station.request_buffers.give_back(first);
  channel_.receive_pooled(station, core::Readiness::unexpected);
  return {};
}

DownstreamEvent DownstreamConnection::on_multiplexed(Station& station, const ChannelEvent& event) {
  using Heard = ChannelEvent::Kind;
  switch (event.kind) {
    case Heard::bytes: {
      core::Buffer buffer = event.buffer;
      http2_->on_bytes(station, buffer.receive_area().first(event.size));
      station.request_buffers.give_back(buffer);
      channel_.receive_pooled(station, core::Readiness::unexpected);
      break;
    }
    case Heard::sent: http2_->on_sent(station); break;
    case Heard::sending: expect_within(station, station.config().timeouts.write); break;
    case Heard::end:
    case Heard::broken:
    case Heard::unsent: begin_close(station); break;
    default: break;
  }
  return {};
}

Arrival DownstreamConnection::begin_stream(core::Buffer buffer, http::h2::Stream& stream,
                                           core::Instant now) {
  ++requests_;
  return {.buffer = buffer, .since = now, .stream = &stream};
}

void DownstreamConnection::note_streams(Station& station) {
  if (state_ != State::multiplexing) return;
  if (requests_ >= station.config().bounds.requests_per_connection || station.is_draining())
    http2_->on_drain(station);
  const bool is_idle = http2_->is_idle() && !http2_->is_sending();
  if (!is_idle) {
    if (core::ListNode<IdleTag>::is_linked()) {
      leave_idle(station);
      station.wheel().disarm(timer_);
    }
    // Streams have their own deadlines; what the client does not take is the connection's.
    if (!http2_->is_sending())
      station.wheel().disarm(timer_);
    else if (!timer_.is_armed())
      expect_within(station, station.config().timeouts.write);
    return;
  }
  if (core::ListNode<IdleTag>::is_linked()) return;
  since_ = station.now();
  station.idle.push_back(*this);
  station.counters.connections_idle.add();
  expect_within(station, station.config().timeouts.idle);
}

}  // namespace sluice::proxy
