// The control plane (keeper of keys, names, health, reloads, generations) over simulated time,
// threads and faults. Seeded: one number is one run.
//   control_simulation_test --seeds 1000 [--first N]
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <list>
#include <memory>
#include <set>

#include "gateway/generation.h"
#include "gateway/health_checker.h"
#include "gateway/key_keeper.h"
#include "gateway/name_watcher.h"
#include "gateway/reloader.h"
#include "proxy/message.h"
#include "tests/simulation/control_world.h"

namespace sluice::simulation {
namespace {

using gateway::KeyView;
using gateway::Preparation;
using gateway::ReloadKind;
using std::chrono::milliseconds;
using std::chrono::seconds;

// A configuration at work, or to be.
struct Life {
  Life() = default;
  Life(const Life&) = delete;
  Life& operator=(const Life&) = delete;
  ~Life() {
    if (keys != nullptr) keys->retire();
  }
  std::unique_ptr<gateway::Generation> generation;
  std::shared_ptr<KeyView> keys;
  uint64_t published = 0;
};

// What a worker does with a configuration: adopts it, begins and ends requests with it, takes keys.
struct SimulatedCore {
  struct Message {
    Life* life;
    const auth::KeySnapshot* snapshot;  // none: adopt the configuration
    uint64_t sequence;
  };
  uint32_t index = 0;
  std::deque<Message> mailbox;
  Life* current = nullptr;
  std::vector<Life*> requests;  // with what they began

  void take_one() {
    if (mailbox.empty()) return;
    const Message message = mailbox.front();
    mailbox.pop_front();
    proxy::CoreGeneration& generation = message.life->generation->core(index);
    if (message.snapshot != nullptr) {
      generation.adopt_keys(*message.snapshot, message.sequence);
      return;
    }
    if (current != nullptr) current->generation->core(index).retire();
    current = message.life;
  }
  void begin_request() {
    if (current == nullptr || requests.size() > 20) return;
    requests.push_back(current);
    current->generation->core(index).use();
  }
  void end_request(size_t at) {
    if (at >= requests.size()) return;
    Life* const life = requests[at];
    requests.erase(requests.begin() + static_cast<std::ptrdiff_t>(at));
    life->generation->core(index).release();
  }
  [[nodiscard]] bool knows(const Life* life) const {
    return current == life ||
           std::any_of(mailbox.begin(), mailbox.end(),
                       [&](const Message& one) { return one.life == life; }) ||
           std::find(requests.begin(), requests.end(), life) != requests.end();
  }
};

constexpr uint32_t cores = 2;
constexpr seconds answer_patience{8};
constexpr seconds reload_patience{30};
// A reload that names nothing new waits for nobody: so long is what the threads take to get a turn.
constexpr milliseconds prepare_patience{1500};

class ControlSimulation {
 public:
  explicit ControlSimulation(uint64_t seed)
      : world_(seed),
        keeper_net_(world_, Thread::keeper),
        health_net_(world_, Thread::health),
        registry_(cores),
        keeper_(keeper_world(seed)),
        health_(health_world(seed)),
        names_({.now = [this] { return world_.now; },
                .resolve = [this](const std::set<std::string>& names, const auto&,
                                  const auto&) { return world_.resolve(names); }}),
        reloader_(reloader_world(), 0) {
    for (uint32_t index = 0; index < cores; ++index) {
      cores_[index].index = index;
      counters_.push_back(std::make_unique<auth::AuthCounters>());
    }
    for (const char* url : {"http://a/keys", "http://b/keys"}) world_.servers[url];
    for (const char* name : {"one.test", "two.test"}) world_.addresses[name] = {"127.0.0.1"};
    for (int last = 1; last <= 6; ++last)
      world_.endpoints["127.0.0." + std::to_string(last) + ":9001"] = Mood::good;
    world_.files["/keys"] = key_set(0);
    write_config();
  }

  // What went wrong, or nothing.
  std::string run() {
    start();
    for (int step = 0; step < 3000 && world_.failure.empty(); ++step) {
      if (step == 2000) operator_is_away_ = world_.happens(50);
      one_step();
    }
    world_.calm_down();
    weather_ = Weather::calm;
    for (int step = 0; step < 500 && world_.failure.empty(); ++step) one_step();
    // What a last reload would mend must be right without it as well.
    if (running_version_ != written_ || !operator_is_away_) {
      reloader_.want("the end", ++tickets_);
      asked_[tickets_] = {world_.now, written_};
    }
    for (int step = 0; step < 12000 && world_.failure.empty(); ++step) one_step();
    if (world_.failure.empty()) check_end();
    return world_.failure;
  }

 private:
  enum class Weather : uint8_t { stormy, calm };
  enum class Stage : uint8_t { none, reading, keys, health, done };
  struct Asked {
    Time at;
    uint64_t version;
  };

  template <typename Work>
  void as(Thread thread, Work&& work) {
    world_.thread = thread;
    work();
    world_.thread = Thread::control;
  }

  gateway::KeyKeeper::World keeper_world(uint64_t seed) {
    return {.now = [this] { return world_.now; },
            .ask = [this](uint64_t ticket, const auto& what) { keeper_net_.ask(ticket, what); },
            .answers = [this](milliseconds) { return keeper_net_.answers(); },
            .stamp =
                [this](const std::string& path) {
                  world_.only_on(Thread::keeper, "a look at a file");
                  return world_.files[path];
                },
            .read =
                [this](const std::string& path, size_t, config::FileHolds, const auto& take) {
                  take(world_.files[path]);
                  return config::FileReading{};
                },
            .write = [](const std::string&, const std::string&) {},
            .seed = seed};
  }
  gateway::HealthChecker::World health_world(uint64_t seed) {
    return {.now = [this] { return world_.now; },
            .ask = [this](uint64_t ticket, const auto& what) { health_net_.ask(ticket, what); },
            .answers = [this](milliseconds) { return health_net_.answers(); },
            .seed = seed};
  }
  gateway::Reloader::World reloader_world() {
    return {.now = [this] { return world_.now; },
            .names_version = [this] { return names_.version(); },
            .why_no_room = [this]() -> std::optional<std::string> {
              sweep();
              if (lives_.size() < gateway::generations_max) return std::nullopt;
              return "no room";
            },
            .begin = [this](ReloadKind kind) { begin(kind); },
            .take =
                [this] {
                  if (stage_ != Stage::done) return std::optional<Preparation>{};
                  stage_ = Stage::none;
                  return std::optional{done_};
                },
            .adopt = [this] { return adopt(); },
            .note_failure = [] {},
            .say = [](const std::string&) {},
            .in_words = [] { return std::string{}; }};
  }

  // --- the operator
  void write_config() {
    config::Config config;
    config.cores.assign(cores, -1);
    config.bounds.token_cache_entries = 64;
    const auto entry = [&](const std::string& url, const std::string& file) {
      config::AuthConfig& one = config.auth.emplace_back();
      one.provider.algorithms = {auth::Algorithm::eddsa};
      one.key_sources.jwks_url = url;
      one.key_sources.jwks_file = file;
    };
    if (world_.happens(80)) entry("http://a/keys", "");
    if (world_.happens(50)) entry("http://b/keys", "");
    if (world_.happens(50)) entry("", "/keys");
    for (const char* name : {"one.test", "two.test"}) {
      if (!world_.happens(80)) continue;
      config::UpstreamConfig& upstream = config.upstreams.emplace_back();
      upstream.name = name;
      upstream.endpoints = {{.authority = std::string{name} + ":9001", .host = name, .port = 9001}};
      if (world_.happens(70)) upstream.health.path = "/health";
    }
    config.routes.push_back({.name = "default", .kind = config::RouteKind::health});
    config::complete(config);
    file_ = std::move(config);
    ++written_;
  }
  void ask_for_reload() {
    if (world_.happens(50)) write_config();
    reloader_.want("somebody", ++tickets_);
    asked_[tickets_] = {world_.now, written_};
  }
  // Sources of keys, names or endpoints that the configuration at work does not have.
  [[nodiscard]] bool names_something_new() const {
    const config::Config& running = lives_.back()->generation->config();
    std::set<std::string> known;
    for (const auto& one : running.auth) {
      known.insert(one.key_sources.jwks_url);
      known.insert(one.key_sources.jwks_file);
    }
    for (const auto& one : running.upstreams) known.insert(one.name + one.health.path);
    const auto is_new = [&](const std::string& what) { return !known.contains(what); };
    known.insert("");
    return std::any_of(file_.auth.begin(), file_.auth.end(),
                       [&](const auto& one) {
                         return is_new(one.key_sources.jwks_url) ||
                                is_new(one.key_sources.jwks_file);
                       }) ||
           std::any_of(file_.upstreams.begin(), file_.upstreams.end(),
                       [&](const auto& one) { return is_new(one.name + one.health.path); });
  }

  // --- preparing, in steps, on a thread of its own
  void begin(ReloadKind kind) {
    if (stage_ != Stage::none) world_.fail("two preparations at once");
    stage_ = Stage::reading;
    kind_ = kind;
    began_at_ = world_.now;
    brings_something_new_ = lives_.empty() || (kind == ReloadKind::file && names_something_new());
    done_ = {};
    prepared_version_ = kind == ReloadKind::file ? written_ : running_version_;
    next_config_ = kind == ReloadKind::file ? file_ : lives_.back()->generation->config();
  }
  void prepare_step() {
    switch (stage_) {
      case Stage::none:
      case Stage::done: return;
      case Stage::reading: {
        done_.names_version = names_.fill(next_config_, {}).version;
        const config::Config& running = lives_.empty() ? next_config_ : newest().config();
        if (kind_ == ReloadKind::names && gateway::same_endpoints(next_config_, running)) {
          finish(Preparation::Result::unchanged);
          return;
        }
        next_ = std::make_unique<Life>();
        next_->generation = std::make_unique<gateway::Generation>(registry_, next_config_, 1);
        health_.meet(*next_->generation);
        stage_ = Stage::health;
        return;
      }
      case Stage::health:
        if (!health_.knows(*next_->generation)) return;
        next_->keys = keeper_.admit(next_->generation->config());
        stage_ = Stage::keys;
        return;
      case Stage::keys: {
        if (next_->keys->state() == KeyView::State::waiting) return;
        if (!next_->keys->complaints().empty()) {
          next_.reset();
          finish(Preparation::Result::failed);
          return;
        }
        std::vector<auth::AuthCounters*> counters;
        for (const auto& one : counters_) counters.push_back(one.get());
        next_->generation->make_cores({next_->keys->snapshot(), &keeper_.wish()}, counters);
        finish(Preparation::Result::ready);
        return;
      }
    }
  }
  void finish(Preparation::Result result) {
    if (!lives_.empty() && !brings_something_new_ && world_.now - began_at_ > prepare_patience &&
        gateway::same_endpoints(next_config_, newest().config()))
      world_.fail("a reload waits for what it does not name");
    done_.result = result;
    done_.why = "a complaint";
    stage_ = Stage::done;
  }

  // --- the control thread
  gateway::Generation& newest() { return *lives_.back()->generation; }
  std::optional<std::string> adopt() {
    if (!lives_.empty() && weather_ == Weather::stormy &&
        world_.happens(kind_ == ReloadKind::names ? 30 : 10)) {  // an address is taken, say
      health_.watch(newest());
      next_.reset();
      return "no listener";
    }
    next_->generation->take_effect();
    health_.watch(*next_->generation);
    check_health_is_known(*next_);
    Life* const life = lives_.emplace_back(std::move(next_)).get();
    for (SimulatedCore& core : cores_) core.mailbox.push_back({life, nullptr, 0});
    life->keys->serve(
        {.publish = [this, life](const auth::KeySnapshot& snapshot,
                                 uint64_t sequence) { send(life, snapshot, sequence); },
         .has_acknowledged =
             [life](uint64_t sequence) {
               return life->generation->has_acknowledged_keys(sequence);
             }});
    running_version_ = prepared_version_;
    names_.watch(newest().config());
    return std::nullopt;
  }
  void send(Life* life, const auth::KeySnapshot& snapshot, uint64_t sequence) {
    if (!life->generation->has_acknowledged_keys(sequence - 1))
      world_.fail("keys are published before all cores are through with those before");
    life->published = sequence;
    for (size_t entry = 0; entry < snapshot.keys.size(); ++entry) {
      for (const SimulatedCore& core : cores_) {
        if (snapshot.keys[entry].empty() &&
            !life->generation->core(core.index).keys().keys[entry].empty())
          world_.fail("good keys are thrown away");
      }
    }
    wished_at_.reset();
    for (SimulatedCore& core : cores_) core.mailbox.push_back({life, &snapshot, sequence});
  }
  void sweep() {
    for (auto at = lives_.begin(); at != lives_.end();) {
      Life& life = **at;
      if (std::next(at) == lives_.end() || !life.generation->is_released()) {
        ++at;
        continue;
      }
      if (life.keys->state() == KeyView::State::serving) life.keys->retire();
      if (life.keys->state() != KeyView::State::gone ||
          !life.generation->has_acknowledged_keys(life.keys->sequence())) {
        ++at;
        continue;
      }
      for (const SimulatedCore& core : cores_) {
        if (core.knows(&life)) world_.fail("a configuration is freed while a core uses it");
      }
      at = lives_.erase(at);
    }
    registry_.sweep();
  }
  void control_step() {
    for (const auto& reply : reloader_.tick()) {
      const auto asked = asked_.find(reply.ticket);
      if (asked == asked_.end()) {
        world_.fail("a reload is answered twice");
        return;
      }
      if (!reply.why && running_version_ < asked->second.version)
        world_.fail("a reload went well, and an older file is in use");
      asked_.erase(asked);
    }
    if (lives_.size() > gateway::generations_max) world_.fail("too many configurations");
    static_cast<void>(keeper_.take_notices());
    static_cast<void>(health_.take_notices());
  }

  // --- time
  void start() {
    begin(ReloadKind::file);
    const Time began = world_.now;
    while (stage_ != Stage::done) {
      if (world_.now - began > reload_patience) {
        world_.fail("a start never ends");
        return;
      }
      world_.now += milliseconds{5};
      as(Thread::preparer, [&] { prepare_step(); });
      as(Thread::keeper, [&] { static_cast<void>(keeper_.tick()); });
      as(Thread::health, [&] { static_cast<void>(health_.tick()); });
    }
    stage_ = Stage::none;
    if (const auto why = adopt()) world_.fail(*why);
  }
  void keeper_step() {
    const bool waited = stage_ == Stage::keys && next_->keys->state() == KeyView::State::waiting;
    static_cast<void>(keeper_.tick());
    if (waited && next_->keys->state() == KeyView::State::ready &&
        next_->keys->complaints().empty())
      check_keys_are_kept(*next_);
  }
  void one_step() {
    world_.now += milliseconds{1 + world_.random.below(20)};
    as(Thread::control, [&] { control_step(); });
    if (world_.happens(60)) as(Thread::keeper, [&] { keeper_step(); });
    if (world_.happens(60)) as(Thread::health, [&] { static_cast<void>(health_.tick()); });
    if (world_.happens(30)) as(Thread::names, [&] { static_cast<void>(names_.tick()); });
    if (world_.happens(60)) as(Thread::preparer, [&] { prepare_step(); });
    for (SimulatedCore& core : cores_) {
      if (world_.happens(70)) core.take_one();
      if (weather_ == Weather::stormy && world_.happens(5)) core.begin_request();
      if (world_.happens(weather_ == Weather::calm ? 50 : 3))
        core.end_request(weather_ == Weather::calm ? 0 : world_.random.below(20));
    }
    if (world_.happens(weather_ == Weather::calm ? 5 : 1)) as(Thread::control, [&] { sweep(); });
    if (weather_ == Weather::stormy) {
      if (world_.happens(2)) world_.misbehave();
      if (world_.happens(2) && !operator_is_away_) ask_for_reload();
      if (world_.happens(1) && !wished_at_) {
        wished_at_ = world_.now;
        keeper_.wish().express();
      }
    }
    check_patience();
  }

  // --- what must be
  void check_patience() {
    for (const auto& [ticket, asked] : asked_) {
      if (world_.now - asked.at > reload_patience) world_.fail("a reload is never answered");
    }
    if (wished_at_ && world_.now - *wished_at_ > answer_patience)
      world_.fail("a core waits for keys, and nobody answers");
  }
  void check_keys_are_kept(const Life& next) {
    if (lives_.empty()) return;
    for (size_t entry = 0; entry < next.generation->config().auth.size(); ++entry) {
      const auto& sources = next.generation->config().auth[entry].key_sources;
      const auto& before = newest().config().auth;
      for (size_t old = 0; old < before.size(); ++old) {
        if (before[old].key_sources.jwks_url != sources.jwks_url ||
            before[old].key_sources.jwks_file != sources.jwks_file)
          continue;
        if (!lives_.back()->generation->core(0).keys().keys[old].empty() &&
            next.keys->snapshot().keys[entry].empty())
          world_.fail("a reload throws good keys away");
      }
    }
  }
  void check_health_is_known(const Life& next) {
    const config::Config& config = next.generation->config();
    for (size_t upstream = 0; upstream < config.upstreams.size(); ++upstream) {
      for (const auto& endpoint : next.generation->endpoints(upstream)) {
        if (!config.upstreams[upstream].health.path.empty() &&
            endpoint->health.state.load() == proxy::Health::unchecked)
          world_.fail("requests go to an endpoint that nobody has asked how it is");
      }
    }
  }
  void check_end() {
    sweep();
    if (lives_.size() != 1) world_.fail("configurations are never freed");
    if (!asked_.empty()) world_.fail("a reload is never answered");
    if (running_version_ != written_) world_.fail("what is written is not in use");
    const Life& last = *lives_.back();
    const config::Config& config = last.generation->config();
    for (size_t upstream = 0; upstream < config.upstreams.size(); ++upstream) {
      const auto& wanted = world_.addresses[config.upstreams[upstream].name];
      const auto& endpoints = last.generation->endpoints(upstream);
      if (endpoints.size() != 1 || endpoints[0]->destination.text() != wanted.front() + ":9001") {
        world_.fail("a name has another address, and it is not in use");
        continue;
      }
      if (!config.upstreams[upstream].health.path.empty() &&
          endpoints[0]->health.state.load() != proxy::Health::up)
        world_.fail("an endpoint is well, and not in use");
    }
    for (size_t entry = 0; entry < config.auth.size(); ++entry) {
      const auto& sources = config.auth[entry].key_sources;
      const auto& keys = last.generation->core(0).keys().keys[entry];
      if (keys.empty()) world_.fail("there are keys, and none is in use");
      if (!keys.empty() && sources.jwks_url.empty() &&
          world_.files["/keys"].find(keys.front()->kid) == std::string::npos)
        world_.fail("a file has another key, and it is not in use");
    }
  }

  ControlWorld world_;
  ControlWorld::Network keeper_net_, health_net_;
  gateway::Registry registry_;
  gateway::KeyKeeper keeper_;
  gateway::HealthChecker health_;
  gateway::NameWatcher names_;
  gateway::Reloader reloader_;
  std::vector<std::unique_ptr<auth::AuthCounters>> counters_;
  std::list<std::unique_ptr<Life>> lives_;
  std::array<SimulatedCore, cores> cores_;

  config::Config file_, next_config_;
  uint64_t written_ = 0, running_version_ = 0, prepared_version_ = 0;
  std::map<uint64_t, Asked> asked_;
  uint64_t tickets_ = 0;
  std::optional<Time> wished_at_;
  Weather weather_ = Weather::stormy;
  bool operator_is_away_ = false;  // nobody asks for reloads any more
  Stage stage_ = Stage::none;
  ReloadKind kind_ = ReloadKind::file;
  Time began_at_{};
  bool brings_something_new_ = false;
  Preparation done_;
  std::unique_ptr<Life> next_;
};

}  // namespace
}  // namespace sluice::simulation

int main(int argc, char** argv) {
  uint64_t seeds = 200, first = 1;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::strcmp(argv[i], "--seeds") == 0) seeds = std::strtoull(argv[i + 1], nullptr, 10);
    if (std::strcmp(argv[i], "--first") == 0) first = std::strtoull(argv[i + 1], nullptr, 10);
  }
  for (uint64_t seed = first; seed < first + seeds; ++seed) {
    const std::string failure = sluice::simulation::ControlSimulation{seed}.run();
    if (failure.empty()) continue;
    std::fprintf(stderr, "control plane, seed %llu: %s\n", static_cast<unsigned long long>(seed),
                 failure.c_str());
    return 1;
  }
  std::printf("%llu seeds of the control plane\n", static_cast<unsigned long long>(seeds));
  return 0;
}
