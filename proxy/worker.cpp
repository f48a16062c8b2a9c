// A core's turn: completions, timers, messages, and what follows from them.
#include "proxy/worker.h"

#include <algorithm>
#include <utility>

namespace sluice::proxy {

namespace limits = core::limits;

namespace {

// Room for what is taken again before the batch that freed it is over.
constexpr uint32_t slack = limits::completions_per_turn;

constexpr uint32_t handshakes_a_turn = 4;

// What is freed has disarmed its timer.
template <typename T>
T& owner_of(const core::Timer& timer, core::Slab<T>& slab) {
  T* owner = slab.find(timer.token().slot, timer.token().generation);
  SLUICE_ASSERT(owner != nullptr);
  return *owner;
}

}  // namespace

Worker::Worker(const WorkerOptions& options)
    : downstreams_(options.generation->config().bounds.connections + accept_margin + slack),
      upstreams_(options.generation->config().bounds.upstream_connections),
      exchanges_(options.generation->config().bounds.request_buffers() + slack,
                 core::Backing::huge),
      http2_connections_(options.generation->config().bounds.connections + slack),
      station_(options, options.generation->config(), downstreams_.capacity(), upstreams_,
               http2_connections_) {
  for (Acceptor& acceptor : acceptors_)
    acceptor.timer.bind(token(Operation::accept_timer, acceptor));
  adopt_limits();
  open_acceptors(options.generation->message());
}

Worker::~Worker() = default;

core::Error Worker::prepare() {
  if (const auto opened =
          station_.request_buffers.attach(station_.kernel, core::BufferGroup::downstream);
      !opened)
    return opened.error();
  if (const auto opened =
          station_.response_buffers.attach(station_.kernel, core::BufferGroup::upstream);
      !opened)
    return opened.error();
  return core::Error::none;
}

bool Worker::is_drained() const {
  const bool listens = std::any_of(acceptors_.begin(), acceptors_.end(), [](const Acceptor& one) {
    return one.state != Acceptor::State::stopped;
  });
  return station_.is_draining() && !listens && downstreams_.taken() == 0 &&
         upstreams_.taken() == 0 && exchanges_.taken() == 0;
}

// --- dispatch --------------------------------------------------------------------------------

void Worker::on_completion(const core::Completion& completion) {
  complete(completion);
  follow_up();
}

void Worker::complete(const core::Completion& completion) {
  const auto [kind, generation, slot] = completion.token;
  const auto operation = static_cast<Operation>(kind);
  const auto op_of = [&](Side side) {
    return static_cast<Channel::Op>(kind - static_cast<unsigned>(first_operation(side)));
  };
  if (completion.error == core::Error::unexpected) station_.counters.unexpected_errors.add();
  switch (operation) {
    case Operation::accept: on_accept(acceptors_[slot], completion); return;
    case Operation::downstream_receive:
    case Operation::downstream_send:
    case Operation::downstream_watch:
    case Operation::downstream_readable:
    case Operation::downstream_writable:
      if (DownstreamConnection* connection = downstreams_.find(slot, generation);
          connection != nullptr) {
        deliver(*connection,
                connection->on_completion(station_, op_of(Side::downstream), completion));
        return;
      }
      break;
    case Operation::upstream_connect:
    case Operation::upstream_receive:
    case Operation::upstream_send:
    case Operation::upstream_readable:
    case Operation::upstream_writable:
      if (UpstreamConnection* connection = upstreams_.find(slot, generation);
          connection != nullptr) {
        deliver(*connection,
                connection->on_completion(station_, op_of(Side::upstream), completion));
        return;
      }
      break;
    default: break;
  }
  station_.counters.stale_completions.add();
}

void Worker::deliver(DownstreamConnection& connection, const DownstreamEvent& event) {
  using Kind = DownstreamEvent::Kind;
  if (event.kind == Kind::none) return;
  if (event.kind == Kind::head || event.kind == Kind::no_head)
    begin_exchange(connection, event);
  else
    connection.exchange()->on_downstream(station_, event);
}

// There is one for each buffer that a head can be in.
void Worker::begin_exchange(DownstreamConnection& connection, const DownstreamEvent& event) {
  Exchange* exchange = exchanges_.take();
  SLUICE_ASSERT(exchange != nullptr);
  const core::Token timer =
      exchanges_.token(static_cast<uint8_t>(Operation::exchange_timer), *exchange);
  const Arrival arrival = connection.begin_exchange(*exchange, event);
  if (event.kind == DownstreamEvent::Kind::head)
    exchange->begin(station_, timer, connection, arrival);
  else
    exchange->refuse_head(station_, timer, connection, arrival, event.why);
}

void Worker::deliver(UpstreamConnection& connection, const ChannelEvent& event) {
  if (event.kind != ChannelEvent::Kind::none) connection.exchange()->on_upstream(station_, event);
}

void Worker::follow_up_all() {
  while (!station_.handed_over.empty() || station_.heads_to_shed > 0) {
    if (ConnectionRequest* next = station_.handed_over.pop_front(); next != nullptr) {
      next->is_handed_over = false;
      next->exchange->on_pool_ready(station_);
      continue;
    }
    --station_.heads_to_shed;
    if (DownstreamConnection* oldest = station_.gathering.front(); oldest != nullptr)
      deliver(*oldest, oldest->shed_head(station_));
  }
}

void Worker::on_timer(core::Timer& timer) {
  switch (static_cast<Operation>(timer.token().kind)) {
    case Operation::downstream_timer: {
      DownstreamConnection& connection = owner_of(timer, downstreams_);
      deliver(connection, connection.on_timer(station_));
      break;
    }
    case Operation::upstream_timer: owner_of(timer, upstreams_).on_timer(station_); break;
    case Operation::exchange_timer: owner_of(timer, exchanges_).on_timer(station_); break;
    case Operation::stream_timer: owner_of(timer, exchanges_).on_stream_timer(station_); break;
    case Operation::accept_timer:
      if (Acceptor& acceptor = acceptors_[timer.token().slot];
          acceptor.state == Acceptor::State::cancelling)
        cancel_accept(acceptor);
      break;  // otherwise before_wait() arms again
    default: SLUICE_UNREACHABLE();
  }
  follow_up();
}

void Worker::on_message(core::Message& message) {
  switch (static_cast<MessageKind>(message.kind)) {
    case MessageKind::limit_request: {
      auto& request = static_cast<ExchangeMessage&>(message);
      const uint32_t asker = request.sender;
      station_.answer(request.visit);
      request.kind = static_cast<uint16_t>(MessageKind::limit_answer);
      station_.post(asker, request);
      break;
    }
    case MessageKind::limit_answer:
      static_cast<ExchangeMessage&>(message).exchange->on_limit_answer(station_);
      break;
    case MessageKind::job_done:
      static_cast<ExchangeMessage&>(message).exchange->on_job_done(station_);
      break;
    case MessageKind::keys: on_keys(static_cast<KeysMessage&>(message)); break;
    case MessageKind::adopt: adopt(static_cast<AdoptMessage&>(message)); break;
    case MessageKind::announce:
      if (station_.stage == Stage::serving) station_.stage = Stage::announcing;
      break;
    case MessageKind::yield: begin_yield(); break;
    case MessageKind::drain: begin_drain(); break;
    case MessageKind::cut: cut(); break;
    case MessageKind::stop: station_.stage = Stage::stopped; break;
  }
  follow_up();
}

void Worker::before_wait() {
  for (Acceptor& acceptor : std::span{acceptors_}.first(acceptors_used_)) {
    if (acceptor.state == Acceptor::State::pausing && !acceptor.timer.is_armed())
      arm_accept(acceptor);
  }
  station_.request_buffers.restock(station_.kernel);
  station_.response_buffers.restock(station_.kernel);
  if (std::exchange(station_.has_posted, false)) ring_doorbells();
}

void Worker::ring_doorbells() {
  for (uint32_t peer = 0; peer < station_.doorbells.size(); ++peer) {
    if (!station_.doorbells[peer]) continue;
    station_.doorbells[peer] = false;
    if (station_.peers[peer].postbox->claim_doorbell())
      station_.kernel.ring_doorbell(*station_.peers[peer].kernel);
  }
}

// Nothing of the batch is looked at any more. What has ended goes; then what waited for room or for
// its turn goes on.
void Worker::after_batch() {
  if (!station_.multiplexed.empty()) serve_multiplexed();
  if (!station_.settled[0].empty() || !station_.settled[1].empty()) close_settled();
  if (!station_.ended.empty()) release_ended();
  downstreams_.reclaim();
  upstreams_.reclaim();
  exchanges_.reclaim();
  http2_connections_.reclaim();
  station_.tls_states.reclaim();
  if (!station_.hungry.empty() || !station_.generation->capped_upstreams().empty()) serve_hungry();
  if (!station_.starved[0].empty()) feed_starved(Side::downstream);
  if (!station_.starved[1].empty()) feed_starved(Side::upstream);
  if (!station_.ready.empty()) run_ready();
  run_tls_turns();
  if (!station_.ended.empty()) release_ended();
  if (!station_.ready.empty() || !station_.handshake_turns.empty() ||
      !station_.here_already.empty() || !station_.multiplexed.empty() ||
      !station_.settled[0].empty() || !station_.settled[1].empty() ||
      can_feed(station_, Side::downstream) || can_feed(station_, Side::upstream))
    station_.loop.stay_awake();
}

// One request for each connection whose next one is here.
void Worker::run_ready() {
  core::IntrusiveList<DownstreamConnection, ReadyTag> turn;
  turn.splice_back(station_.ready);
  while (DownstreamConnection* connection = turn.pop_front()) {
    deliver(*connection, connection->on_ready(station_));
    follow_up();
  }
}

// What is decrypted already, and a few handshakes: one takes as long as many requests.
void Worker::run_tls_turns() {
  core::IntrusiveList<ChannelTls, TlsTurnTag> turn;
  turn.splice_back(station_.here_already);
  for (uint32_t count = 0; count < handshakes_a_turn; ++count) {
    ChannelTls* next = station_.handshake_turns.pop_front();
    if (next == nullptr) break;
    turn.push_back(*next);
  }
  while (ChannelTls* next = turn.pop_front()) {
    const core::Token owner = next->channel->owner();
    if (next->channel->side() == Side::downstream) {
      DownstreamConnection* connection = downstreams_.find(owner.slot, owner.generation);
      deliver(*connection, connection->on_turn(station_));
    } else {
      UpstreamConnection* connection = upstreams_.find(owner.slot, owner.generation);
      deliver(*connection, connection->on_turn(station_));
    }
    follow_up();
  }
}

// The one place where exchanges go.
void Worker::release_ended() {
  while (Exchange* exchange = station_.ended.pop_front()) exchanges_.release(*exchange);
}

// The one place where connections go.
void Worker::close_settled() {
  const auto take = [&](Side side) {
    return station_.settled[static_cast<size_t>(side)].pop_front();
  };
  while (Channel* channel = take(Side::downstream)) {
    DownstreamConnection* connection =
        downstreams_.find(channel->owner().slot, channel->owner().generation);
    connection->finish_close(station_);
    if (Exchange* exchange = connection->exchange()) exchange->on_downstream_gone(station_);
    if (connection->http2() != nullptr) close_http2(*connection);
    downstreams_.release(*connection);
  }
  while (Channel* channel = take(Side::upstream)) {
    UpstreamConnection* connection =
        upstreams_.find(channel->owner().slot, channel->owner().generation);
    CoreEndpoint& endpoint = connection->endpoint();
    connection->finish_close(station_);
    endpoint.upstream().on_closed(station_);
    endpoint.note_closed();  // the last that is said of it: it may go
    if (Exchange* exchange = connection->exchange()) exchange->on_upstream_gone(station_);
    upstreams_.release(*connection);
  }
  follow_up();
}

// All that happened to a connection in a batch is told, and then sent at once.
void Worker::serve_multiplexed() {
  core::IntrusiveList<Http2Connection, MultiplexTag> turn;
  turn.splice_back(station_.multiplexed);
  while (Http2Connection* connection = turn.pop_front()) {
    const core::Token token = connection->owner();
    DownstreamConnection& owner = *downstreams_.find(token.slot, token.generation);
    auto flushed = Http2Connection::Flushed::open;
    do {
      tell_streams(owner, *connection);
      flushed = connection->flush(station_);
    } while (connection->has_news());
    // What woke it meanwhile has been told and sent.
    if (connection->is_linked())
      core::IntrusiveList<Http2Connection, MultiplexTag>::remove(*connection);
    if (flushed == Http2Connection::Flushed::over)
      owner.begin_close(station_);
    else
      owner.note_streams(station_);
    follow_up();
  }
}

void Worker::tell_streams(DownstreamConnection& owner, Http2Connection& connection) {
  for (auto next = connection.next(); next.begun != nullptr || next.noted != nullptr;
       next = connection.next()) {
    if (next.begun != nullptr)
      begin_stream(owner, connection, *next.begun);
    else
      next.noted->exchange->on_stream(station_);
  }
}

// There is an exchange for each buffer.
void Worker::begin_stream(DownstreamConnection& owner, Http2Connection& connection,
                          http::h2::Stream& stream) {
  const core::Buffer buffer = station_.request_buffers.take();
  if (!buffer.is_held()) {
    connection.refuse(station_, stream);
    return;
  }
  Exchange* exchange = exchanges_.take();
  SLUICE_ASSERT(exchange != nullptr);
  const core::Token timer =
      exchanges_.token(static_cast<uint8_t>(Operation::exchange_timer), *exchange);
  exchange->begin(station_, timer, owner, owner.begin_stream(buffer, stream, station_.now()));
}

// Whoever still has a stream hears that it is gone.
void Worker::close_http2(DownstreamConnection& owner) {
  Http2Connection& connection = *owner.http2();
  connection.on_settled(station_);
  tell_streams(owner, connection);
  while (StreamNote* note = connection.first_note()) note->exchange->on_downstream_gone(station_);
  if (connection.is_linked())
    core::IntrusiveList<Http2Connection, MultiplexTag>::remove(connection);
  station_.counters.http2_open.subtract();
  http2_connections_.release(connection);
}

void Worker::feed_starved(Side side) {
  auto& starved = station_.starved[static_cast<size_t>(side)];
  const core::BufferPool& pool =
      side == Side::downstream ? station_.request_buffers : station_.response_buffers;
  while (!starved.empty() && starved.front()->can_be_fed(pool)) {
    starved.front()->on_buffer_available(station_);
    if (pool.held() + 1 >= pool.count()) break;
  }
}

}  // namespace sluice::proxy
