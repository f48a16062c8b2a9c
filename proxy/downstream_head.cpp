// How a request comes to a connection: a PROXY protocol header where there is one, then a head,
// which gathers here until it is whole. Only then does it get an exchange.
#include <algorithm>
#include <cstring>
#include <utility>

#include "proxy/core_generation.h"
#include "proxy/downstream_connection.h"
#include "proxy/proxy_header.h"
#include "proxy/room.h"

namespace sluice::proxy {

// --- whose it is -----------------------------------------------------------------------------

// The bytes up to here are in waiting_, or came just now in `buffer`.
void DownstreamConnection::on_proxy_header_bytes(Station& station, core::Buffer buffer,
                                                 uint32_t size) {
  if (buffer.is_held()) {
    waiting_ = buffer;
    waiting_size_ = 0;
  }
  waiting_size_ += size;
  const auto area = waiting_.receive_area();
  const ProxyHeader header = parse_proxy_header(area.first(waiting_size_));
  switch (header.state) {
    case ProxyHeader::State::broken: refuse_proxy_header(station); return;
    case ProxyHeader::State::incomplete:
      channel_.receive(station, area.subspan(waiting_size_));
      return;
    case ProxyHeader::State::complete: break;
  }
  if (header.source) address_ = *header.source;
  if (join_address(station, address_, share_) == Joined::refused) {
    begin_close(station);
    return;
  }
  core::Buffer rest = std::exchange(waiting_, {});
  const auto rest_size = static_cast<uint32_t>(waiting_size_ - header.size);
  if (station.generation->server_context(listener_) != nullptr) {
    begin_talking(station, area.subspan(header.size, rest_size));
    station.request_buffers.give_back(rest);
    return;
  }
  std::memmove(area.data(), area.data() + header.size, rest_size);
  next(station, rest, rest_size);
}

void DownstreamConnection::refuse_proxy_header(Station& station) {
  station.counters.proxy_headers_refused.add();
  begin_close(station);
}

// --- the head --------------------------------------------------------------------------------

// Its first bytes are in waiting_. Nearly always that is all of it.
DownstreamEvent DownstreamConnection::begin_head(Station& station) {
  scanner_.reset(http::HeadKind::request);
  state_ = State::ready;
  return read_head(station);
}

DownstreamEvent DownstreamConnection::read_head(Station& station) {
  if (speaks_http2()) return begin_http2(station);
  using Scan = http::HeadScanner::Outcome::State;
  const auto area = waiting_.receive_area();
  const auto head = scanner_.scan({reinterpret_cast<const char*>(area.data()), waiting_size_});
  if (head.state == Scan::incomplete) {
    gather(station);
    return {};
  }
  if (state_ == State::gathering) {
    leave_gathering(station);
    station.wheel().disarm(timer_);
  }
  return {.kind = DownstreamEvent::Kind::head, .head = head};
}

// The deadline counts from the first byte, however slowly the others come. With one half head too
// many the oldest goes.
void DownstreamConnection::gather(Station& station) {
  const auto area = waiting_.receive_area().subspan(waiting_size_);
  const bool is_new = state_ != State::gathering;
  state_ = State::gathering;
  channel_.receive(station, area);
  if (!is_new) return;
  const core::Duration left = since_ + station.config().timeouts.head - station.now();
  expect_within(station, std::max(left, core::TimerWheel::tick));
  station.gathering.push_back(*this);
  station.counters.heads_gathering.add();
  if (station.counters.heads_gathering.get() > station.config().bounds.half_heads())
    ++station.heads_to_shed;
}

void DownstreamConnection::leave_gathering(Station& station) {
  core::IntrusiveList<DownstreamConnection, IdleTag>::remove(*this);
  station.counters.heads_gathering.subtract();
}

DownstreamEvent DownstreamConnection::shed_head(Station& station) {
  station.counters.heads_shed.add();
  return refuse_head(station, Failure::head_shed);
}

DownstreamEvent DownstreamConnection::refuse_head(Station& station, Failure why) {
  SLUICE_ASSERT(state_ == State::gathering);
  leave_gathering(station);
  return {.kind = DownstreamEvent::Kind::no_head, .why = why};
}

DownstreamEvent DownstreamConnection::on_ready(Station& station) {
  SLUICE_ASSERT(state_ == State::ready);
  return begin_head(station);
}

}  // namespace sluice::proxy
