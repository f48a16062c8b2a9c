// How a request comes to a connection: a PROXY protocol header where there is one, then a head,
// which gathers here until it is whole. Only then does it get an exchange.
#include <algorithm>
#include <cstring>
#include <utility>

#include "proxy/exchange/exchange.h"
#include "proxy/proxy_header.h"
#include "proxy/worker.h"

namespace sluice::proxy {

// --- whose it is -----------------------------------------------------------------------------

// The bytes up to here are in waiting_, or came just now in `buffer`.
void DownstreamConnection::on_proxy_header_bytes(Worker& worker, core::Buffer buffer,
                                                 uint32_t size) {
  if (buffer.is_held()) {
    waiting_ = buffer;
    waiting_size_ = 0;
  }
  waiting_size_ += size;
  const auto area = waiting_.receive_area();
  const ProxyHeader header = parse_proxy_header(area.first(waiting_size_));
  switch (header.state) {
    case ProxyHeader::State::broken: refuse_proxy_header(worker); return;
    case ProxyHeader::State::incomplete:
      in_flight_.begin(Op::receive);
      worker.kernel().receive(worker.token(Operation::downstream_receive, *this), socket_,
                              area.subspan(waiting_size_), core::Readiness::unexpected);
      return;
    case ProxyHeader::State::complete: break;
  }
  if (header.source) address_ = *header.source;
  if (worker.join_address(address_, share_) == Worker::Joined::refused) {
    begin_close(worker);
    return;
  }
  const core::Buffer rest = waiting_;
  waiting_ = {};
  const auto rest_size = static_cast<uint32_t>(waiting_size_ - header.size);
  std::memmove(area.data(), area.data() + header.size, rest_size);
  next(worker, rest, rest_size);
}

void DownstreamConnection::refuse_proxy_header(Worker& worker) {
  worker.counters().proxy_headers_refused.add();
  begin_close(worker);
}

// --- the head --------------------------------------------------------------------------------

// Its first bytes are in waiting_. Nearly always that is all of it.
void DownstreamConnection::begin_head(Worker& worker) {
  scanner_.reset(http::HeadKind::request);
  state_ = State::ready;
  read_head(worker);
}

void DownstreamConnection::read_head(Worker& worker) {
  using Scan = http::HeadScanner::Outcome::State;
  const auto area = waiting_.receive_area();
  const auto head = scanner_.scan({reinterpret_cast<const char*>(area.data()), waiting_size_});
  if (head.state == Scan::incomplete) {
    gather(worker);
    return;
  }
  if (state_ == State::gathering) {
    worker.end_gathering(*this);
    worker.wheel().disarm(timer_);
  }
  take_exchange(worker).begin(worker, *this,
                              {.buffer = std::exchange(waiting_, {}),
                               .size = waiting_size_,
                               .since = since_,
                               .head = head});
}

// The deadline counts from the first byte, however slowly the others come.
void DownstreamConnection::gather(Worker& worker) {
  const auto area = waiting_.receive_area().subspan(waiting_size_);
  const bool is_new = state_ != State::gathering;
  state_ = State::gathering;
  in_flight_.begin(Op::receive);
  worker.kernel().receive(worker.token(Operation::downstream_receive, *this), socket_, area,
                          core::Readiness::unexpected);
  if (!is_new) return;
  const core::Duration left = since_ + worker.config().timeouts.head - worker.now();
  worker.wheel().arm(timer_, worker.now() + std::max(left, core::TimerWheel::tick));
  worker.begin_gathering(*this);
}

void DownstreamConnection::shed_head(Worker& worker) {
  worker.counters().heads_shed.add();
  refuse_head(worker, Failure::head_shed);
}

// It will never be whole. Only for the answer it gets an exchange.
void DownstreamConnection::refuse_head(Worker& worker, Failure why) {
  SLUICE_ASSERT(state_ == State::gathering);
  worker.end_gathering(*this);
  take_exchange(worker).refuse_head(
      worker, *this,
      {.buffer = std::exchange(waiting_, {}), .size = waiting_size_, .since = since_}, why);
}

// There is one for each buffer that a head can be in.
Exchange& DownstreamConnection::take_exchange(Worker& worker) {
  Exchange* exchange = worker.exchanges().take();
  SLUICE_ASSERT(exchange != nullptr);
  state_ = State::exchanging;
  exchange_ = exchange;
  ++requests_;
  return *exchange;
}

void DownstreamConnection::on_ready(Worker& worker) {
  SLUICE_ASSERT(state_ == State::ready);
  begin_head(worker);
}

}  // namespace sluice::proxy
