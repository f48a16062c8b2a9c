#include "proxy/worker.h"

#include <algorithm>
#include <cstring>
#include <ctime>

#include "metrics/log_writer.h"

namespace sluice::proxy {

namespace limits = core::limits;

namespace {

// Room for what is taken again before the batch that freed it is over.
constexpr uint32_t slack = limits::completions_per_turn;

// Eight hex digits at once: each nibble gets a byte of its own, and 'a' - '0' - 10 more where it is
// above 9.
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
uint64_t keys_of_one_core(const config::Config& config) {
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
      generation_(options_.generation),
      loop_(*options_.kernel, *options_.peers[options_.index].postbox),
      random_(options_.secrets.choices),
      ids_(options_.secrets.ids),
      request_buffers_(config().bounds.request_buffers()),
      response_buffers_(config().bounds.exchanges),
      downstreams_(config().bounds.connections + accept_margin + slack),
      upstreams_(config().bounds.upstream_connections),
      exchanges_(config().bounds.request_buffers() + slack, core::Backing::huge),
      pipes_(kernel(), config().bounds.pipes),
      ownership_(static_cast<uint32_t>(options_.peers.size()), options_.secrets.ownership,
                 config().network_bits),
      shard_(keys_of_one_core(config()), config::limits_max, config().limits_on_full),
      failures_(failing_addresses_max, 1, limiter::OnFull::admit),
      addresses_(config().bounds.connections + accept_margin + slack +
                 config().bounds.request_buffers()),
      held_(config().bounds.held + 1),
      doorbells_(options_.peers.size()) {
  shard_.keep_journal(options_.journal);
  for (Acceptor& acceptor : acceptors_)
    acceptor.timer.bind(token(Operation::accept_timer, acceptor));
  adopt_limits();
  open_acceptors(generation_->message());
}

Worker::~Worker() = default;

core::Error Worker::prepare() {
  if (const auto opened = request_buffers_.attach(kernel(), core::BufferGroup::downstream); !opened)
    return opened.error();
  if (const auto opened = response_buffers_.attach(kernel(), core::BufferGroup::upstream); !opened)
    return opened.error();
  return core::Error::none;
}

bool Worker::is_drained() const {
  const bool listens = std::any_of(acceptors_.begin(), acceptors_.end(), [](const Acceptor& one) {
    return one.state != Acceptor::State::stopped;
  });
  return is_draining() && !listens && downstreams_.taken() == 0 && upstreams_.taken() == 0 &&
         exchanges_.taken() == 0;
}

// --- dispatch --------------------------------------------------------------------------------

void Worker::on_completion(const core::Completion& completion) {
  const auto [kind, generation, slot] = completion.token;
  const auto operation = static_cast<Operation>(kind);
  if (completion.error == core::Error::unexpected) counters_.unexpected_errors.add();
  switch (operation) {
    case Operation::accept: on_accept(acceptors_[slot], completion); return;
    case Operation::downstream_receive:
    case Operation::downstream_send:
    case Operation::downstream_watch:
    case Operation::downstream_readable:
    case Operation::downstream_writable:
      if (DownstreamConnection* connection = downstreams_.find(slot, generation);
          connection != nullptr) {
        connection->on_completion(*this, operation, completion);
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
      if (Acceptor& acceptor = acceptors_[timer.token().slot];
          acceptor.state == Acceptor::State::cancelling)
        cancel_accept(acceptor);
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
    case MessageKind::limit_answer:
      static_cast<ExchangeMessage&>(message).exchange->on_limit_answer(*this);
      break;
    case MessageKind::job_done:
      static_cast<ExchangeMessage&>(message).exchange->on_job_done(*this);
      break;
    case MessageKind::keys: on_keys(static_cast<KeysMessage&>(message)); break;
    case MessageKind::adopt: adopt(static_cast<AdoptMessage&>(message)); break;
    case MessageKind::announce:
      if (stage_ == Stage::serving) stage_ = Stage::announcing;
      break;
    case MessageKind::yield: begin_yield(); break;
    case MessageKind::drain: begin_drain(); break;
    case MessageKind::cut: cut(); break;
    case MessageKind::stop: stage_ = Stage::stopped; break;
  }
}

void Worker::before_wait() {
  for (Acceptor& acceptor : std::span{acceptors_}.first(acceptors_used_)) {
    if (acceptor.state == Acceptor::State::pausing && !acceptor.timer.is_armed())
      arm_accept(acceptor);
  }
  request_buffers_.restock(kernel());
  response_buffers_.restock(kernel());
  for (uint32_t peer = 0; peer < doorbells_.size(); ++peer) {
    if (!doorbells_[peer]) continue;
    doorbells_[peer] = false;
    if (options_.peers[peer].postbox->claim_doorbell())
      kernel().ring_doorbell(*options_.peers[peer].kernel);
  }
}

// Nothing of the batch is looked at any more. What is closed goes; then what waited for room or for
// its turn goes on.
void Worker::after_batch() {
  while (DownstreamConnection* connection = settled_downstreams_.pop_front())
    connection->finish_close(*this);
  while (UpstreamConnection* connection = settled_upstreams_.pop_front())
    connection->finish_close(*this);
  downstreams_.reclaim();
  upstreams_.reclaim();
  exchanges_.reclaim();
  if (!hungry_.empty() || !generation_->capped_upstreams().empty()) serve_hungry();

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
  if (!ready_.empty() || !settled_downstreams_.empty() || !settled_upstreams_.empty() ||
      can_feed_the_starved())
    loop_.stay_awake();
}

// Half heads are the first to give up their buffers.
void Worker::park(DownstreamConnection& connection) {
  request_buffers_.note_shortage();
  counters_.buffers_starved.add();
  starved_downstreams_.push_back(connection);
  if (request_buffers_.can_serve() || gathering_.empty()) return;
  gathering_.front()->shed_head(*this);
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

// --- services --------------------------------------------------------------------------------

void Worker::post(uint32_t owner, ExchangeMessage& message) {
  message.sender = static_cast<uint16_t>(index());
  // Sized by the exchanges that both sides can have: never full.
  options_.peers[owner].postbox->post_within_bound(index(), message);
  doorbells_[owner] = true;
}

void Worker::answer(LimitVisit& visit) {
  visit.verdict = shard_.visit(visit.visit, {visit.claims.data(), visit.count}, visit.holding,
                               now(), visit.taken);
}

bool Worker::submit(ExchangeMessage& job) {
  job.sender = static_cast<uint16_t>(index());
  return options_.offload != nullptr && options_.offload->submit(job);
}

void Worker::log(const metrics::AccessRecord& record) {
  if (options_.log == nullptr) return;
  std::array<char, metrics::line_bytes_max> line;
  metrics::AccessRecord stamped = record;
  stamped.finished_at = kernel().wall_now();
  const size_t size = formatter_.format(stamped, line);
  const auto outcome = options_.log->append({line.data(), size});
  if (outcome == metrics::LogRing::Outcome::half_full && options_.log_writer != nullptr)
    options_.log_writer->wake();
}

void Worker::make_request_id(std::array<char, 32>& out) {
  put_hex(out.data(), ids_.next());
  put_hex(out.data() + 16, ids_.next());
}

// W3C Trace Context: version, trace id, parent id, not sampled.
void Worker::make_traceparent(std::array<char, traceparent_bytes>& out) {
  put_hex(out.data() + 3, ids_.next() | 1);
  put_hex(out.data() + 19, ids_.next());
  put_hex(out.data() + 36, ids_.next() | 1);
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
