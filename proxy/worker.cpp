#include "proxy/worker.h"

#include <cstring>
#include <ctime>

#include "metrics/log_writer.h"

namespace sluice::proxy {

namespace limits = core::limits;

namespace {

// Room for what is taken again before the batch that freed it is over.
constexpr uint32_t slack = limits::completions_per_turn;
// Accepts that may already be posted when the bound is near.
constexpr uint32_t accept_margin = 256;
constexpr core::Duration accept_pause = std::chrono::milliseconds{100};

// Eight hex digits at once: each nibble gets a byte of its own, and 'a' - '0' - 10 more where it is above 9.
void put_hex_half(char* out, uint64_t value) {
  value = (value | value << 16) & 0x0000ffff0000ffff;
  value = (value | value << 8) & 0x00ff00ff00ff00ff;
  value = (value | value << 4) & 0x0f0f0f0f0f0f0f0f;
  const uint64_t above_nine = (value + 0x0606060606060606) >> 4 & 0x0101010101010101;
  value = __builtin_bswap64(value + 0x3030303030303030 + above_nine * ('a' - '0' - 10));
  std::memcpy(out, &value, 8);
}

void put_hex(char* out, uint64_t value) {
  put_hex_half(out, value >> 32);
  put_hex_half(out + 8, value & 0xffffffff);
}

// Keys are spread over the cores by chance: each has room for a tenth more than its share.
uint64_t keys_of_one_core(const Config& config) {
  const uint64_t cores = std::max<size_t>(1, config.cores.size());
  const uint64_t share = config.bounds.limiter_keys / cores + 1;
  return cores == 1 ? share : share + share / 10;
}

// What is freed has disarmed its timer.
template <typename T>
T& owner_of(const core::Timer& timer, core::Slab<T>& slab) {
  T* owner = slab.find(timer.token().slot, timer.token().generation);
  SLUICE_ASSERT(owner != nullptr);
  return *owner;
}

}  // namespace

Worker::Worker(WorkerOptions options)
    : options_(std::move(options)),
      loop_(*options_.kernel, *options_.peers[options_.index].postbox),
      random_(options_.seed + options_.index + 1),
      request_buffers_(config().bounds.exchanges),
      response_buffers_(config().bounds.exchanges),
      downstreams_(config().bounds.connections + accept_margin + slack),
      upstreams_(config().bounds.upstream_connections),
      exchanges_(config().bounds.exchanges + slack),
      pipes_(kernel(), config().bounds.pipes),
      authenticator_({.verifier = {.providers = config().providers, .claims = config().claims, .requirements = config().requirements},
                      .cache_entries = config().bounds.token_cache_entries,
                      .seed = options_.seed}),
      ownership_(static_cast<uint32_t>(options_.peers.size()), options_.seed, config().network_bits),
      shard_(keys_of_one_core(config()), config().limit_rules, config().limits_on_full),
      failures_(failing_addresses_max, {&config().failed_tokens, 1}, limiter::OnFull::admit),
      doorbells_(options_.peers.size()) {
  shard_.keep_journal(options_.journal);
  keys_ = options_.keys;
  authenticator_.adopt(*keys_);
  accept_timer_.bind({static_cast<uint8_t>(Operation::accept_timer), 0, 0});
}

Worker::~Worker() = default;

core::Error Worker::prepare() {
  if (const auto opened = request_buffers_.attach(kernel(), core::BufferGroup::downstream); !opened) return opened.error();
  if (const auto opened = response_buffers_.attach(kernel(), core::BufferGroup::upstream); !opened) return opened.error();
  return core::Error::none;
}

bool Worker::is_drained() const {
  return is_draining() && accepting_ == Accepting::stopped && downstreams_.taken() == 0 && upstreams_.taken() == 0 &&
         exchanges_.taken() == 0;
}

// --- dispatch --------------------------------------------------------------------------------------------------------------

void Worker::on_completion(const core::Completion& completion) {
  const auto [kind, generation, slot] = completion.token;
  const auto operation = static_cast<Operation>(kind);
  if (completion.error == core::Error::unexpected) counters_.unexpected_errors.add();
  switch (operation) {
    case Operation::accept: on_accept(completion); return;
    case Operation::downstream_receive:
    case Operation::downstream_send:
    case Operation::downstream_watch:
    case Operation::downstream_readable:
    case Operation::downstream_writable:
      if (DownstreamConnection* connection = downstreams_.find(slot, generation); connection != nullptr) {
        connection->on_completion(*this, operation, completion);
        return;
      }
      break;
    case Operation::upstream_connect:
    case Operation::upstream_receive:
    case Operation::upstream_send:
    case Operation::upstream_readable:
    case Operation::upstream_writable:
      if (UpstreamConnection* connection = upstreams_.find(slot, generation); connection != nullptr) {
        connection->on_completion(*this, operation, completion);
        return;
      }
      break;
    default: break;
  }
  counters_.stale_completions.add();
}

void Worker::on_timer(core::Timer& timer) {
  switch (static_cast<Operation>(timer.token().kind)) {
    case Operation::downstream_timer: owner_of(timer, downstreams_).on_timer(*this); break;
    case Operation::upstream_timer: owner_of(timer, upstreams_).on_timer(*this); break;
    case Operation::exchange_timer: owner_of(timer, exchanges_).on_timer(*this); break;
    case Operation::accept_timer:
      if (accepting_ == Accepting::cancelling) cancel_accept();
      break;  // otherwise before_wait() arms again
    default: SLUICE_UNREACHABLE();
  }
}

void Worker::on_message(core::Message& message) {
  switch (static_cast<MessageKind>(message.kind)) {
    case MessageKind::limit_request: {
      auto& request = static_cast<ExchangeMessage&>(message);
      const uint32_t asker = request.sender;
      answer(request.visit);
      request.kind = static_cast<uint16_t>(MessageKind::limit_answer);
      post(asker, request);
      break;
    }
    case MessageKind::limit_answer: static_cast<ExchangeMessage&>(message).exchange->on_limit_answer(*this); break;
    case MessageKind::job_done: static_cast<ExchangeMessage&>(message).exchange->on_job_done(*this); break;
    case MessageKind::keys: on_keys(static_cast<KeysMessage&>(message)); break;
    case MessageKind::drain: begin_drain(); break;
    case MessageKind::cut: cut(); break;
    case MessageKind::stop: stage_ = Stage::stopped; break;
  }
}

void Worker::before_wait() {
  if (accepting_ == Accepting::pausing && !accept_timer_.is_armed()) arm_accept();
  request_buffers_.restock(kernel());
  response_buffers_.restock(kernel());
  for (uint32_t peer = 0; peer < doorbells_.size(); ++peer) {
    if (!doorbells_[peer]) continue;
    doorbells_[peer] = false;
    if (options_.peers[peer].postbox->claim_doorbell()) kernel().ring_doorbell(*options_.peers[peer].kernel);
  }
}

// Nothing of the batch is looked at any more. What is closed goes; then what waited for room or for its turn goes on.
void Worker::after_batch() {
  while (DownstreamConnection* connection = settled_downstreams_.pop_front()) connection->finish_close(*this);
  while (UpstreamConnection* connection = settled_upstreams_.pop_front()) connection->finish_close(*this);
  downstreams_.reclaim();
  upstreams_.reclaim();
  exchanges_.reclaim();
  pool_.serve_waiting(*this);

  while (!starved_downstreams_.empty() && request_buffers_.can_serve()) {
    DownstreamConnection& connection = *starved_downstreams_.front();
    unpark(connection);
    connection.on_buffer_available(*this);
    if (request_buffers_.held() + 1 >= request_buffers_.count()) break;
  }
  while (!starved_upstreams_.empty() && response_buffers_.can_serve()) {
    UpstreamConnection& connection = *starved_upstreams_.front();
    unpark(connection);
    connection.on_buffer_available(*this);
    if (response_buffers_.held() + 1 >= response_buffers_.count()) break;
  }
  core::IntrusiveList<DownstreamConnection, ReadyTag> turn;
  turn.splice_back(ready_);
  while (DownstreamConnection* connection = turn.pop_front()) connection->on_ready(*this);
  if (!ready_.empty() || !settled_downstreams_.empty() || !settled_upstreams_.empty() || can_feed_the_starved()) loop_.stay_awake();
}

void Worker::park(DownstreamConnection& connection) {
  request_buffers_.note_shortage();
  counters_.buffers_starved.add();
  starved_downstreams_.push_back(connection);
}

void Worker::park(UpstreamConnection& connection) {
  response_buffers_.note_shortage();
  counters_.buffers_starved.add();
  starved_upstreams_.push_back(connection);
}

void Worker::unpark(DownstreamConnection& connection) {
  counters_.buffers_starved.subtract();
  core::IntrusiveList<DownstreamConnection, StarvedTag>::remove(connection);
}

void Worker::unpark(UpstreamConnection& connection) {
  counters_.buffers_starved.subtract();
  core::IntrusiveList<UpstreamConnection, StarvedTag>::remove(connection);
}

// --- new connections ---------------------------------------------------------------------------------------------------------

// A multishot accept knows no back-pressure: it ends while there is still room for what it may have posted already.
void Worker::arm_accept() {
  const uint32_t taken = downstreams_.taken();
  if (taken >= connections_max()) {
    make_room();
    return;
  }
  const bool near_bound = taken + accept_margin >= connections_max();
  accepting_ = near_bound ? Accepting::once : Accepting::multishot;
  kernel().accept(accept_token(), options_.listener, near_bound ? core::AcceptMode::once : core::AcceptMode::multishot);
}

// Full: the connection that has been idle for longest goes. Without one, accepting waits; one that has only just come has not
// had the time to say what it wants.
void Worker::make_room() {
  if (DownstreamConnection* oldest = idle_.front(); oldest != nullptr && oldest->idle_since() + accept_pause <= now()) {
    counters_.connections_shed.add();
    oldest->begin_close(*this);
    loop_.stay_awake();
  } else {
    wheel().arm(accept_timer_, now() + accept_pause);
  }
}

// Cancelling misses an operation that is just being retried; it is asked again until it has heard.
void Worker::cancel_accept() {
  accepting_ = Accepting::cancelling;
  kernel().cancel(accept_token());
  wheel().arm(accept_timer_, now() + accept_pause);
}

void Worker::on_accept(const core::Completion& completion) {
  if (!completion.more) wheel().disarm(accept_timer_);
  if (completion.error == core::Error::none) {
    admit_socket(completion.result);
  } else if (completion.error != core::Error::cancelled && completion.error != core::Error::reset) {
    // Out of descriptors or memory: the connection waits in the backlog meanwhile.
    counters_.accept_failures.add();
    wheel().arm(accept_timer_, now() + accept_pause);
  }
  if (completion.more) {
    if (accepting_ == Accepting::multishot && downstreams_.taken() + accept_margin >= connections_max()) {
      cancel_accept();
    }
    return;
  }
  accepting_ = Accepting::pausing;
  if (is_draining()) stop_listening();
}

void Worker::admit_socket(int socket) {
  const auto address = kernel().peer_address(socket);
  DownstreamConnection* connection = address ? downstreams_.take() : nullptr;
  if (connection == nullptr) {
    if (address) counters_.connections_refused.add();
    kernel().close(socket);
    return;
  }
  counters_.connections_accepted.add();
  connection->open(*this, socket, address.value());
  if (is_draining()) connection->on_drain(*this);
}

void Worker::stop_listening() {
  SLUICE_ASSERT(accepting_ == Accepting::pausing);
  wheel().disarm(accept_timer_);
  kernel().close(options_.listener);
  accepting_ = Accepting::stopped;
}

// --- the end -------------------------------------------------------------------------------------------------------------------

void Worker::begin_drain() {
  if (is_draining()) return;
  stage_ = Stage::draining;
  switch (accepting_) {
    case Accepting::multishot:
    case Accepting::once: cancel_accept(); break;
    case Accepting::pausing: stop_listening(); break;
    case Accepting::cancelling:
    case Accepting::stopped: break;
  }
  downstreams_.for_each([this](DownstreamConnection& connection) { connection.on_drain(*this); });
  pool_.close_idle(*this);
}

// The deadline: what waits is refused, what is half sent is cut, and the next time everything closes at once.
void Worker::cut() {
  exchanges_.for_each([this](Exchange& exchange) { exchange.on_cut(*this); });
  downstreams_.for_each([this](DownstreamConnection& connection) {
    if (connection.state() != DownstreamConnection::State::exchanging) connection.begin_close(*this);
  });
}

// --- services --------------------------------------------------------------------------------------------------------------------

void Worker::post(uint32_t owner, ExchangeMessage& message) {
  message.sender = static_cast<uint16_t>(index());
  // Sized by the exchanges that both sides can have: never full.
  SLUICE_ASSERT(options_.peers[owner].postbox->post(index(), message));
  doorbells_[owner] = true;
}

void Worker::answer(LimitVisit& visit) {
  visit.verdict = shard_.visit(visit.visit, {visit.claims.data(), visit.count}, visit.holding, now(), visit.taken);
}

limiter::Holding Worker::take_hold_place() {
  if (hold_places_taken_ >= config().bounds.held) return limiter::Holding::full;
  ++hold_places_taken_;
  return limiter::Holding::allowed;
}

bool Worker::submit(ExchangeMessage& job) { return options_.offload != nullptr && options_.offload->submit(index(), job); }

void Worker::log(const metrics::AccessRecord& record) {
  if (options_.log == nullptr) return;
  std::array<char, metrics::line_bytes_max> line;
  metrics::AccessRecord stamped = record;
  stamped.finished_at = kernel().wall_now();
  const size_t size = formatter_.format(stamped, line);
  const auto outcome = options_.log->append({line.data(), size});
  if (outcome == metrics::LogRing::Outcome::half_full && options_.log_writer != nullptr) options_.log_writer->wake();
}

void Worker::make_request_id(std::array<char, 32>& out) {
  put_hex(out.data(), random_.next());
  put_hex(out.data() + 16, random_.next());
}

// W3C Trace Context: version, trace id, parent id, not sampled.
void Worker::make_traceparent(std::array<char, traceparent_bytes>& out) {
  put_hex(out.data() + 3, random_.next() | 1);
  put_hex(out.data() + 19, random_.next());
  put_hex(out.data() + 36, random_.next() | 1);
  out[0] = out[1] = out[53] = out[54] = '0';
  out[2] = out[35] = out[52] = '-';
}

std::string_view Worker::http_date() {
  const auto seconds = epoch_seconds().time_since_epoch().count();
  if (seconds != date_second_) {
    date_second_ = seconds;
    const time_t time = seconds;
    std::tm calendar{};
    ::gmtime_r(&time, &calendar);
    std::strftime(date_.data(), date_.size(), "%a, %d %b %Y %H:%M:%S GMT", &calendar);
  }
  return {date_.data(), 29};
}

}  // namespace sluice::proxy
