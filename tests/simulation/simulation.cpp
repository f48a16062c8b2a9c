// Chooses faults and a configuration by the seed, runs the world, and checks it.
#include "tests/simulation/simulation.h"

#include <memory>
#include <vector>

#include "auth/mint.h"
#include "gateway/offload_pool.h"
#include "proxy/worker.h"
#include "tests/journal_oracle.h"
#include "tests/simulation/client.h"
#include "tests/simulation/control.h"
#include "tests/simulation/kernel_simulated.h"
#include "tests/simulation/origin.h"

namespace sluice::simulation {

namespace {

constexpr uint16_t gateway_port = 8000;
constexpr uint16_t origin_port = 9001;
constexpr uint16_t hanging_port = 9011;

Faults choose_faults(core::Random& random) {
  Faults faults;
  const uint64_t weather = random.below(4);
  if (weather == 0) return faults;  // calm, and at once
  faults.short_read = static_cast<unsigned>(random.below(40));
  faults.short_write = static_cast<unsigned>(random.below(40));
  faults.late = static_cast<unsigned>(random.below(60));
  faults.stall = static_cast<unsigned>(random.below(20));
  if (weather == 1) return faults;  // slow, but nothing breaks
  faults.no_buffers = static_cast<unsigned>(random.below(20));
  faults.cancel_misses = static_cast<unsigned>(random.below(50));
  if (weather == 2) return faults;
  faults.reset = static_cast<unsigned>(random.below(3));
  faults.connect_fails = static_cast<unsigned>(random.below(20));
  faults.no_sockets = static_cast<unsigned>(random.below(10));
  faults.no_ports = static_cast<unsigned>(random.below(5));
  faults.no_memory = static_cast<unsigned>(random.below(3));
  faults.long_stall = static_cast<unsigned>(random.below(10));
  faults.wall_jumps = static_cast<unsigned>(random.below(10));
  return faults;
}

void add_limit(config::Config& config, core::Random& random, uint64_t number);

// Takes every request, and answers none.
struct HangingOrigin : Actor {
  HangingOrigin(World& in, uint16_t port) : world(in) { world.listen(port, this); }
  void on_socket(SocketId socket) override { static_cast<void>(world.take(socket, SIZE_MAX)); }
  World& world;
};

// Small enough that the bounds are met. Endpoints beside the first are other ports of the same
// origin, or nobody.
void choose_upstream(config::UpstreamConfig& upstream, core::Random& random) {
  upstream.timeouts = {.connect = std::chrono::seconds{1},
                       .head = std::chrono::seconds{3},
                       .body = std::chrono::seconds{3},
                       .deadline = std::chrono::seconds{10},
                       .tunnel = std::chrono::seconds{5},
                       .idle = std::chrono::seconds{3}};
  upstream.share_percent = 20 + static_cast<uint32_t>(random.below(81));
  upstream.queue = static_cast<uint32_t>(random.below(40));
  if (random.chance(30)) upstream.queue_wait = std::chrono::milliseconds{100 + random.below(3000)};
  if (random.chance(50)) return;
  const uint64_t more = random.below(3);
  for (uint64_t number = 0; number < more; ++number) {
    const auto port = static_cast<uint16_t>(origin_port + number + 1);  // the last one is nobody's
    upstream.endpoints.push_back({.authority = "127.0.0.1:" + std::to_string(port),
                                  .destination = core::SocketAddress::ipv4(0x7f000001, port),
                                  .weight = 1 + static_cast<uint32_t>(random.below(3))});
  }
  upstream.balance = static_cast<config::Balance>(random.below(3));
  if (upstream.balance == config::Balance::hash)
    upstream.hash_key = {{.kind = config::KeyPart::Kind::address}};
  upstream.ejection = {.failures = static_cast<uint32_t>(random.below(4)),
                       .time = std::chrono::milliseconds{500}};
  if (random.chance(30))
    upstream.circuit = {.failure_percent = 50,
                        .requests_min = 3,
                        .open_time = std::chrono::milliseconds{300},
                        .probes = 1};
  if (random.chance(40)) upstream.connections = 1 + static_cast<uint32_t>(random.below(8));
  upstream.retries = 1 + static_cast<uint32_t>(random.below(3));
}

config::Config choose_config(core::Random& random) {
  config::Config config;
  config::add_upstream(config, "default", core::SocketAddress::ipv4(0x7f000001, origin_port),
                       "127.0.0.1:9001");
  config::add_secret_auth(config, "main", "mysecret");
  // A key whose checks take long, so that another thread makes them.
  const auto slow = auth::make_secret_key(auth::Algorithm::hs256, "slowsecret", "slow");
  auto costly = std::make_shared<auth::Key>();
  costly->algorithm = slow->algorithm;
  costly->kid = slow->kid;
  costly->secret = slow->secret;
  costly->cost = std::chrono::milliseconds{1};
  for (auto& key : config.auth.front().fixed_keys)
    key = auth::make_secret_key(key->algorithm, key->secret, "plain");
  config.auth.front().fixed_keys.push_back(std::move(costly));
  config.demo_routes = config::DemoRoutes::on;
  config.cores.assign(1 + random.below(3), -1);
  config.timeouts = {.head = std::chrono::seconds{2},
                     .idle = std::chrono::seconds{5},
                     .body = std::chrono::seconds{4},
                     .write = std::chrono::seconds{6},
                     .linger = std::chrono::seconds{1},
                     .drain = std::chrono::seconds{20}};
  choose_upstream(config.upstreams.front(), random);
  config::add_upstream(config, "hanging", core::SocketAddress::ipv4(0x7f000001, hanging_port),
                       "127.0.0.1:9011");
  config.upstreams.back().timeouts = config.upstreams.front().timeouts;
  config.upstreams.back().share_percent = 20 + static_cast<uint32_t>(random.below(81));
  // Small enough that the bounds are met.
  config.bounds = {.connections = static_cast<uint32_t>(300 + random.below(100)),
                   .exchanges = static_cast<uint32_t>(8 + random.below(60)),
                   .upstream_connections = static_cast<uint32_t>(1 + random.below(20)),
                   .held = static_cast<uint32_t>(random.below(20)),
                   .tunnels = static_cast<uint32_t>(1 + random.below(6)),
                   .pipes = static_cast<uint32_t>(random.below(4)),
                   .offload_jobs = 4,
                   .limiter_keys = 64,
                   .token_cache_entries = 16,
                   .log_ring_bytes = 1 << 16,
                   .requests_per_connection = static_cast<uint32_t>(1 + random.below(20)),
                   .request_body_bytes = 1 << 20,
                   .discard_bytes = 20'000};
  if (random.chance(20)) {
    config.listeners.front().proxy_protocol = config::ProxyProtocol::required;
    config.trusted.push_back(*core::Cidr::parse("127.0.0.0/8"));
  }
  config.tracing = {.begins = config::Tracing::Begins::traces, .sampled_percent = 50};
  config.limits_on_full = random.chance(50) ? limiter::OnFull::refuse : limiter::OnFull::admit;
  if (random.chance(40)) {
    config::add_default_routes(
        config,
        {.rate = {.requests = 1, .period_ns = 1'000}, .burst = 1'000'000, .delay = 1'000'000});
  } else {
    config.routes.push_back({.name = "default", .providers = 1});
    const uint64_t count = 1 + random.below(random.chance(50) ? 1 : 5);
    for (uint64_t number = 0; number < count; ++number) add_limit(config, random, number);
  }
  config::Route hanging{.name = "hanging", .auth = config::AuthMode::none};
  hanging.match.path = "/hanging";
  hanging.to.parts.push_back({.upstream = 1});
  config.routes.push_back(std::move(hanging));
  config::Route denied{.name = "denied", .auth = config::AuthMode::none};
  denied.match.path = "/denied";
  denied.addresses.allow.push_back(*core::Cidr::parse("192.0.2.1"));
  config.routes.push_back(std::move(denied));
  config::complete(config);
  return config;
}

// One of any kind: a limit by anything, before the token is looked at or after, enforced or not.
void add_limit(config::Config& config, core::Random& random, uint64_t number) {
  using Part = config::KeyPart;
  config::NamedLimit named{.name = "limit" + std::to_string(number)};
  const uint64_t by = random.below(6);
  if (by == 0 || by >= 4) named.key.push_back({.kind = Part::Kind::address});
  if (by == 1 || by == 4)
    named.key.push_back({.kind = Part::Kind::claim, .claim = auth::subject_claim});
  if (by == 2) named.key.push_back({.kind = Part::Kind::route});
  if (by == 3) named.key.push_back({.kind = Part::Kind::header, .name = "X-Tag"});
  const bool needs_token = by == 1 || by == 4;
  named.stage = !needs_token && random.chance(40) ? config::LimitStage::before_auth
                                                  : config::LimitStage::after_auth;
  named.on_missing = config::OnMissing::skip;
  limiter::Limit limit;
  limit.enforcement =
      random.chance(20) ? limiter::Enforcement::dry_run : limiter::Enforcement::enforce;
  if (random.chance(30)) {
    limit.kind = limiter::Limit::Kind::concurrency;
    limit.concurrent = 1 + static_cast<uint32_t>(random.below(4));
  } else {
    limit.policy = {.rate = {.requests = 1 + random.below(3), .period_ns = 50'000'000},
                    .burst = static_cast<uint32_t>(random.below(10)),
                    .max_hold = std::chrono::seconds{2}};
    limit.policy.delay = static_cast<uint32_t>(random.below(limit.policy.burst + 1));
  }
  config::Route& route = config.routes.front();
  (named.stage == config::LimitStage::before_auth ? route.limits_before : route.limits_after)
      .push_back(config.add_limit(named, limit));
}

class Run {
 public:
  Run(uint64_t seed, Tracing tracing)
      : choice_(seed),
        world_(seed, choose_faults(choice_)),
        config_(choose_config(choice_)),
        origin_(world_, origin_port),
        hanging_(world_, hanging_port),
        seed_(seed) {
    if (choice_.chance(40)) reload_percent_ = 1 + static_cast<unsigned>(choice_.below(20));
    world_.tracing = tracing == Tracing::on;
    for (uint16_t port = origin_port + 1; port < origin_port + 3; ++port)
      world_.listen(port, &origin_);
    snapshots_.push_back(make_snapshot(HasLater::no));
    make_workers(seed);
    make_clients();
  }

  Outcome run() {
    const auto start = world_.now();
    const bool drains_early = choice_.chance(30);
    const auto drain_at =
        drains_early ? start + std::chrono::milliseconds{choice_.below(300)} : core::Instant::max();
    // Another process takes over: those who are here are let go first.
    const auto yield_at = drains_early && choice_.chance(30)
                              ? drain_at - std::chrono::milliseconds{choice_.below(200)}
                              : core::Instant::max();
    bool yielding = false;
    bool draining = false;
    bool cut = false;
    bool stopping = false;
    core::Instant cut_at = core::Instant::max();
    Outcome outcome;
    while (world_.violated().empty() && ++outcome.steps < 300'000) {
      if (!yielding && !draining && world_.now() >= yield_at) {
        yielding = true;
        for (auto& client : clients_) client->excuse();
        control(yield_messages_, proxy::MessageKind::yield);
      }
      if (!draining && (world_.now() >= drain_at || everyone_is_done())) {
        draining = true;
        cut_at = world_.now() + config_.timeouts.drain;
        for (auto& client : clients_) client->excuse();
        control(drain_messages_, proxy::MessageKind::drain);
      }
      if (draining && !cut && world_.now() >= cut_at) {
        cut = true;
        control(cut_messages_, proxy::MessageKind::cut);
      }
      if (!stopping) maybe_publish_keys();
      if (!draining && !yielding) maybe_reload();
      if (draining && !stopping && keys_are_acknowledged() &&
          all_of_workers([](const auto& worker) { return worker->is_drained(); })) {
        stopping = true;
        control(stop_messages_, proxy::MessageKind::stop);
      }
      if (all_of_workers([](const auto& worker) { return worker->is_stopped(); })) break;
      if (!step(!draining ? (yielding ? drain_at : std::min(yield_at, drain_at))
                : !cut    ? cut_at
                          : core::Instant::max())) {
        world_.violation("nothing moves and nothing will: " + stuck());
      }
    }
    if (outcome.steps >= 300'000) world_.violation("it never ends: " + stuck());
    if (!world_.violated().empty()) world_.trace(stuck());
    if (world_.violated().empty()) check_the_end();
    outcome.violation = world_.violated();
    outcome.asked = tally_.asked;
    outcome.answered = tally_.answered;
    outcome.ok = tally_.by_status[200];
    outcome.reloads = reloads_;
    for (const auto& worker : workers_) {
      outcome.spliced_bytes += worker->counters().spliced_bytes.get();
      outcome.tunnels += worker->counters().tunnels.get();
    }
    return outcome;
  }

 private:
  void make_workers(uint64_t seed) {
    const auto count = static_cast<uint32_t>(config_.cores.size());
    offload_ = std::make_unique<gateway::OffloadPool>(count, config_.bounds.offload_jobs,
                                                      [](std::span<char> out) {
                                                        out[0] = '\n';
                                                        return size_t{1};
                                                      });
    control_ = std::make_unique<Control>(count);
    control_->make(config_, seed, {*snapshots_.back(), &wish_});
    core::KernelUnavailable unavailable;
    for (uint32_t index = 0; index < count; ++index) {
      postboxes_.push_back(std::make_unique<core::Postbox>(proxy::Senders{count}.count(), 4096));
      kernels_.push_back(core::Kernel::open({}, unavailable));
    }
    keys_messages_.resize(count);
    yield_messages_.resize(count);
    drain_messages_.resize(count);
    cut_messages_.resize(count);
    stop_messages_.resize(count);
    for (uint32_t index = 0; index < count; ++index) {
      logs_.push_back(std::make_unique<metrics::LogRing>(1 << 16));
      listeners_.push_back(adopt(*kernels_[index], world_.listen(gateway_port, nullptr)));
      proxy::WorkerOptions options =
          worker_options(*control_, index, *kernels_[index], listeners_.back());
      for (uint32_t peer = 0; peer < count; ++peer)
        options.peers.push_back({postboxes_[peer].get(), kernels_[peer].get()});
      options.offload = &offload_->queue(index);
      options.log = logs_.back().get();
      options.secrets = {.ownership = {.owners = seed, .places = {seed, ~seed}},
                         .ids = {static_cast<uint32_t>(seed), index},
                         .choices = seed + index + 1};
      journals_.push_back(std::make_unique<limiter::Journal>(4096));
      options.journal = journals_.back().get();
      workers_.push_back(std::make_unique<proxy::Worker>(std::move(options)));
      static_cast<void>(workers_.back()->prepare());
      offload_->set_client(index, {postboxes_[index].get(), kernels_[index].get()});
      timeouts_.push_back(workers_.back()->begin_turn());
      submit(*kernels_[index], timeouts_.back());
    }
  }

  void make_clients() {
    const auto wall = std::chrono::floor<std::chrono::seconds>(kernels_[0]->wall_now());
    const unsigned count = 1 + static_cast<unsigned>(choice_.below(30));
    const unsigned addresses = 1 + static_cast<unsigned>(choice_.below(5));
    const bool harmless = choice_.chance(50);
    for (unsigned index = 0; index < count; ++index) {
      ClientOptions options;
      options.first_number = 1 + index * 1000;
      options.address = 0x0a000001 + static_cast<uint32_t>(choice_.below(addresses));
      options.port = gateway_port;
      options.is_announced =
          config_.listeners.front().proxy_protocol == config::ProxyProtocol::required;
      options.mood = choice_.chance(50) ? (choice_.chance(50) ? Mood::patient : Mood::pipelining)
                                        : static_cast<Mood>(choice_.below(moods));
      options.requests = 1 + static_cast<unsigned>(choice_.below(8));
      options.play_count = harmless ? harmless_plays : plays;
      options.small = choice_.chance(70);
      const char* const kids[] = {"plain", "slow", "later"};
      const uint64_t which = choice_.below(10) < 6 ? 0 : 1 + choice_.below(2);
      auth::SigningKey key = auth::signing_secret(which == 0   ? "mysecret"
                                                  : which == 1 ? "slowsecret"
                                                               : "latersecret");
      key.kid = kids[which];
      options.may_be_unknown = which == 2;
      options.token = auth::mint({.key = &key,
                                  .subject = "caller" + std::to_string(choice_.below(3)),
                                  .issued_at = wall,
                                  .expires = wall + std::chrono::hours{1}});
      if (options.mood == Mood::forging)
        options.token.back() = options.token.back() == 'A' ? 'E' : 'A';
      clients_.push_back(std::make_unique<Client>(world_, options, tally_));
      Client* client = clients_.back().get();
      world_.after(std::chrono::microseconds{choice_.below(50'000)}, [client] { client->start(); });
    }
  }

  // One thing happens; false if nothing can.
  bool step(core::Instant wake) {
    if (world_.happens(world_.faults().wall_jumps) && world_.happens(1))
      world_.wall_offset =
          std::chrono::seconds{static_cast<int64_t>(world_.random().below(1200)) - 20};
    std::vector<uint32_t> runnable;
    core::Instant next = std::min(world_.next_event(), wake);
    for (uint32_t index = 0; index < kernels_.size(); ++index) {
      if (workers_[index]->is_stopped()) continue;
      pump(*kernels_[index], false);
      check_sleeper(index);
      if (is_runnable(*kernels_[index])) {
        if (world_.happens(world_.faults().long_stall) && world_.happens(1) && world_.happens(10))
          standing_still_until_[index] =
              world_.now() + std::chrono::milliseconds{world_.random().below(5000)};
        if (standing_still_until_[index] > world_.now())
          next = std::min(next, standing_still_until_[index]);
        else if (!world_.happens(world_.faults().stall))
          runnable.push_back(index);
        else
          next = std::min(
              next, world_.now() + std::chrono::microseconds{1 + world_.random().below(2000)});
      } else {
        next = std::min(next, wakes_at(*kernels_[index]));
      }
    }
    if (world_.happens(20)) static_cast<void>(offload_->run_one(0));
    if (!runnable.empty()) {
      turn(runnable[world_.random().below(runnable.size())]);
      return true;
    }
    if (world_.run_due()) return true;
    if (offload_->run_one(0)) return true;
    const uint64_t before = world_.changes;
    bool ready = false;
    for (uint32_t index = 0; index < kernels_.size(); ++index) {
      if (workers_[index]->is_stopped()) continue;
      pump(*kernels_[index], true);
      const bool stands_still = standing_still_until_[index] > world_.now();
      ready |= is_runnable(*kernels_[index]) && !stands_still;
      next =
          std::min({next, stands_still ? standing_still_until_[index] : wakes_at(*kernels_[index]),
                    world_.next_event()});
    }
    if (ready || world_.changes != before) return true;
    if (next == core::Instant::max()) return false;
    world_.trace("time passes");
    world_.advance_to(next);
    world_.run_due();
    return true;
  }

  // The worker's wait is over: it does its work, and waits again.
  void turn(uint32_t index) {
    proxy::Worker& worker = *workers_[index];
    world_.trace("turn of worker " + std::to_string(index) + " after a wait of " +
                 std::to_string(timeouts_[index].count()));
    worker.finish_turn(timeouts_[index]);
    for (const auto piece : logs_[index]->readable()) {
      if (!piece.empty()) world_.trace(std::string{piece.data(), piece.size()});
      logs_[index]->consume(piece.size());
    }
    check_room(index);
    if (worker.is_stopped()) return;
    timeouts_[index] = worker.begin_turn();
    if (timeouts_[index] > core::Duration{0} &&
        (proxy::can_feed(worker.station(), proxy::Side::downstream) ||
         proxy::can_feed(worker.station(), proxy::Side::upstream))) {
      world_.violation("worker " + std::to_string(index) +
                       " sleeps, has buffers, and lets connections starve");
    }
    submit(*kernels_[index], timeouts_[index]);
  }

  // Nobody has more of the room than the bounds say.
  void check_room(uint32_t index) {
    const proxy::Worker& worker = *workers_[index];
    const proxy::Counters& counters = worker.counters();
    const config::Bounds& bounds = config_.bounds;
    const auto want = [&](bool fine, const char* what) {
      if (!fine) world_.violation("worker " + std::to_string(index) + ": " + what);
    };
    tally_.shed |= counters.heads_shed.get() + counters.exchanges_shed.get() > 0;
    want(counters.heads_gathering.get() <= bounds.half_heads(), "too many half heads");
    want(worker.exchanges_taken() <= bounds.request_buffers(), "too many exchanges");
    want(counters.tunnels_open.get() <=
             std::max(1U, std::min(bounds.exchanges, bounds.upstream_connections) / 2),
         "too many tunnels");
    if (reloads_ > 0) return;
    uint16_t upstream = 0;
    for (const config::UpstreamConfig& config : config_.upstreams) {
      const proxy::UpstreamPlan& plan = control_->newest().core(index).upstream(upstream++);
      control_->registry().for_each_upstream([&](const gateway::Upstream& record) {
        if (record.name != config.name) return;
        want(record.cores[index]->places.get() <= plan.room().requests,
             "an upstream has more requests than its share");
        want(record.permits.taken() <= plan.room().connections * workers_.size(),
             "an upstream has more connections than its share");
      });
    }
  }

  // --- reload: what the control thread does --------------------------------------------------

  // Another configuration now and then, as many as a gateway lets live. Limits and retries stay, so
  // that what is checked at the end holds for all of them; everything about endpoints may change.
  void maybe_reload() {
    if (!world_.happens(reload_percent_) || !world_.happens(10) || !keys_are_acknowledged()) return;
    control_->sweep();
    if (control_->alive() >= gateway::generations_max) return;
    config::Config next = config_;
    config::UpstreamConfig& upstream = next.upstreams.front();
    const uint32_t retries = upstream.retries;
    if (world_.happens(50)) {
      upstream =
          config::UpstreamConfig{.name = upstream.name, .endpoints = {upstream.endpoints.front()}};
      choose_upstream(upstream, world_.random());
      upstream.retries = retries;
    }
    for (config::EndpointConfig& endpoint : upstream.endpoints)
      endpoint.weight = 1 + static_cast<uint32_t>(world_.random().below(5));
    // The keys of the generation before stay as long as anybody may use them.
    first_snapshot_ = snapshots_.size();
    snapshots_.push_back(make_snapshot(has_later_ ? HasLater::yes : HasLater::no));
    keys_sequence_ = 0;
    gateway::Generation& generation = control_->make(next, seed_, {*snapshots_.back(), &wish_});
    ++reloads_;
    for (uint32_t index = 0; index < kernels_.size(); ++index) {
      proxy::AdoptMessage& message = generation.core(index).message();
      message.kind = static_cast<uint16_t>(proxy::MessageKind::adopt);
      message.listeners = {{listeners_[index], next.listeners.front()}};
      postboxes_[index]->post_within_bound(senders().control(), message);
      if (postboxes_[index]->claim_doorbell()) kernels_[index]->wake();
    }
  }

  // --- keys: what the keeper's thread does ---------------------------------------------------

  enum class HasLater : uint8_t { no, yes };
  std::unique_ptr<auth::KeySnapshot> make_snapshot(HasLater later) const {
    auto snapshot = std::make_unique<auth::KeySnapshot>();
    snapshot->generation = snapshots_.size() + 1;
    snapshot->keys.push_back(config_.auth.front().fixed_keys);
    if (later == HasLater::yes)
      snapshot->keys.front().push_back(
          auth::make_secret_key(auth::Algorithm::hs256, "latersecret", "later"));
    return snapshot;
  }
  [[nodiscard]] bool keys_are_acknowledged() const {
    return control_->newest().has_acknowledged_keys(keys_sequence_);
  }
  // News, or that there are none, when somebody asks and now and then by itself.
  void maybe_publish_keys() {
    if (!keys_are_acknowledged() || (!world_.happens(1) && !(world_.happens(10) && wish_.take())))
      return;
    // What no core needs any more is gone, and whoever looks at it all the same is found out.
    if (snapshots_.size() > first_snapshot_ + 1) snapshots_[snapshots_.size() - 2].reset();
    if (world_.happens(50)) {
      has_later_ |= world_.happens(30);
      snapshots_.push_back(make_snapshot(has_later_ ? HasLater::yes : HasLater::no));
    }
    ++keys_sequence_;
    for (uint32_t index = 0; index < keys_messages_.size(); ++index) {
      keys_messages_[index].kind = static_cast<uint16_t>(proxy::MessageKind::keys);
      keys_messages_[index].generation = &control_->newest().core(index);
      keys_messages_[index].snapshot = snapshots_.back().get();
      keys_messages_[index].sequence = keys_sequence_;
      postboxes_[index]->post_within_bound(senders().key_keeper(), keys_messages_[index]);
      if (postboxes_[index]->claim_doorbell()) kernels_[index]->wake();
    }
  }

  // A worker that sleeps while there is mail, and whose doorbell nobody has rung or is about to
  // ring, sleeps too long.
  void check_sleeper(uint32_t index) {
    if (is_asleep(*kernels_[index])) {
      control_->registry().for_each_upstream([&](const gateway::Upstream& record) {
        if (record.cores[index]->could_serve(workers_[index]->station()))
          world_.violation("worker " + std::to_string(index) +
                           " sleeps, and somebody waits for a connection that it might make");
      });
    }
    if (!is_asleep(*kernels_[index]) || !postboxes_[index]->has_mail()) return;
    // Every turn ends with its doorbells rung, so nobody is about to.
    world_.violation("worker " + std::to_string(index) + " sleeps on its mail");
  }

  [[nodiscard]] proxy::Senders senders() const { return proxy::Senders{kernels_.size()}; }

  void control(std::vector<core::Message>& messages, proxy::MessageKind kind) {
    for (uint32_t index = 0; index < messages.size(); ++index) {
      messages[index].kind = static_cast<uint16_t>(kind);
      postboxes_[index]->post_within_bound(senders().control(), messages[index]);
      if (postboxes_[index]->claim_doorbell()) kernels_[index]->wake();
    }
  }

  [[nodiscard]] bool everyone_is_done() const {
    return std::all_of(clients_.begin(), clients_.end(),
                       [](const auto& client) { return client->is_done(); });
  }
  template <typename Is>
  [[nodiscard]] bool all_of_workers(Is&& is) const {
    return std::all_of(workers_.begin(), workers_.end(), is);
  }

  std::string stuck() {
    std::string text;
    for (const auto& worker : workers_) {
      text += "worker " + std::to_string(worker->index()) + " has " +
              std::to_string(worker->downstreams_taken()) + " downstream, " +
              std::to_string(worker->upstreams_taken()) + " upstream, " +
              std::to_string(worker->exchanges_taken()) + " exchanges";
      worker->exchanges().for_each([&](proxy::Exchange& exchange) {
        text += std::string{" ["} + std::string{to_string(exchange.state())} + "]";
      });
      text += "; ";
    }
    for (const auto& client : clients_) {
      if (!client->is_done()) text += client->describe() + "; ";
    }
    return text;
  }

  void check_the_end() {
    const auto want = [&](bool fine, const std::string& what) {
      if (!fine) world_.violation("at the end: " + what);
    };
    for (uint32_t index = 0; index < workers_.size(); ++index) {
      proxy::Worker& worker = *workers_[index];
      std::string why;
      want(is_clean(*kernels_[index], why), why);
      want(worker.station().buffers(core::BufferGroup::downstream).held() == 0,
           "request buffers are missing");
      want(worker.station().buffers(core::BufferGroup::upstream).held() == 0,
           "response buffers are missing");
      want(worker.station().wheel().armed() == 0,
           std::to_string(worker.station().wheel().armed()) + " timers are armed");
      want(!postboxes_[index]->has_mail(), "mail is left");
      want(worker.station().hold_places_taken == 0, "places for held requests are still taken");
      const proxy::Counters& counters = worker.counters();
      want(counters.stale_completions.get() == 0, "stale completions");
      want(counters.exchanges.get() == 0 && counters.exchanges_held.get() == 0,
           "exchanges are still counted");
      want(counters.connections_open.get() == 0 && counters.connections_idle.get() == 0,
           "connections are still counted");
      want(counters.upstream_open.get() == 0 && counters.upstream_idle.get() == 0,
           "upstream connections are still counted");
      want(worker.pipes().taken() == 0, "pipes are missing");
      want(counters.tunnels_open.get() == 0, "tunnels are still counted");
      want(counters.heads_gathering.get() == 0, "half heads are still counted");
      want(worker.station().addresses.keys() == 0, "somebody's address is still known");
      want(counters.buffers_starved.get() == 0, "starved connections are still counted");
    }
    control_->sweep();
    want(control_->alive() == 1,
         std::to_string(control_->alive()) + " configurations are still in use");
    control_->registry().for_each_upstream([&](const gateway::Upstream& record) {
      want(record.permits.taken() == 0, "permits for connections are missing");
      want(record.permits.starving.load() == 0, "somebody still waits for permits");
      for (const auto& core : record.cores) {
        want(core->waiting() == 0, "somebody still waits for a connection");
        want(core->places.get() == 0, "an upstream's places are still taken");
        want(core->has_room_for_tunnel({.tunnels = 1}), "an upstream's tunnels are still counted");
      }
    });
    check_limits(want);
    for (const auto& [number, times] : origin_.arrivals()) {
      const unsigned most = tally_.idempotent[number] ? 1 + config_.upstreams.front().retries : 1;
      want(times <= most,
           "request " + std::to_string(number) + " arrived " + std::to_string(times) + " times");
    }
  }

  // Every decision is what the formula says, and nothing went through that no limit let in.
  template <typename Want>
  void check_limits(Want&& want) {
    tests::JournalOracle oracle{config_.limit_rules};
    for (const auto& journal : journals_) {
      const auto wrong = oracle.judge(*journal, true);
      want(!wrong, wrong.value_or(""));
    }
    uint64_t full_admitted = 0;
    for (const auto& worker : workers_)
      full_admitted += worker->shard().counters().full_admitted.get();
    const std::vector<config::Route>& routes = config_.routes;
    for (const auto& list : {routes.back().limits_before, routes.back().limits_after}) {
      for (const uint16_t limit : list) {
        const bool is_for_all =
            config_.limits[limit].key.front().kind == config::KeyPart::Kind::address;
        const bool is_enforced_rate =
            config_.limit_rules[limit].kind == limiter::Limit::Kind::bucket &&
            config_.limit_rules[limit].enforcement == limiter::Enforcement::enforce;
        if (!is_for_all || !is_enforced_rate) continue;
        want(origin_.arrivals().size() <= oracle.admitted(limit) + full_admitted,
             "more requests went through than a limit let in");
      }
    }
  }

  core::Random choice_;
  World world_;
  config::Config config_;
  Origin origin_;
  HangingOrigin hanging_;
  Tally tally_;
  std::unique_ptr<Control> control_;
  std::vector<int> listeners_;
  std::vector<std::unique_ptr<core::Postbox>> postboxes_;
  std::vector<std::unique_ptr<core::Kernel>> kernels_;
  std::unique_ptr<gateway::OffloadPool> offload_;
  std::vector<std::unique_ptr<metrics::LogRing>> logs_;
  std::vector<std::unique_ptr<limiter::Journal>> journals_;
  std::vector<std::unique_ptr<proxy::Worker>> workers_;
  std::vector<core::Duration> timeouts_;  // of the wait that each worker is in
  std::vector<std::unique_ptr<Client>> clients_;
  proxy::KeyWish wish_;
  std::vector<std::unique_ptr<auth::KeySnapshot>> snapshots_;
  std::vector<proxy::KeysMessage> keys_messages_;
  uint64_t keys_sequence_ = 0;
  bool has_later_ = false;
  size_t first_snapshot_ = 0;  // of the newest generation
  uint64_t seed_;
  unsigned reload_percent_ = 0;
  unsigned reloads_ = 0;
  std::array<core::Instant, 4> standing_still_until_{};
  std::vector<core::Message> yield_messages_, drain_messages_, cut_messages_, stop_messages_;
};

}  // namespace

Outcome simulate(uint64_t seed, Tracing tracing) {
  return std::make_unique<Run>(seed, tracing)->run();
}

}  // namespace sluice::simulation
