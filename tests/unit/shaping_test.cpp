// Holding requests back, and what a refused client is told, by a whole worker in virtual time: no
// test waits for anything.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "proxy/worker.h"
#include "tests/simulation/control.h"
#include "tests/simulation/kernel_simulated.h"
#include "tests/simulation/world.h"

namespace sluice {
namespace {

using simulation::SocketId;
using simulation::World;
using std::chrono::milliseconds;
using std::chrono::seconds;

// Notes when each path arrives, and answers at once; but never on /forever.
struct Origin : simulation::Actor {
  explicit Origin(World& in) : world(in) { world.listen(9001, this); }
  void on_socket(SocketId socket) override {
    std::string& text = texts[socket];
    text += world.take(socket, SIZE_MAX);
    while (text.find("\r\n\r\n") != std::string::npos) {
      const std::string path = text.substr(4, text.find(' ', 4) - 4);
      text.erase(0, text.find("\r\n\r\n") + 4);
      arrivals.emplace_back(path, world.now());
      if (path != "/forever") world.send(socket, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    }
  }
  World& world;
  std::map<SocketId, std::string> texts;
  std::vector<std::pair<std::string, core::Instant>> arrivals;
};

struct Client : simulation::Actor {
  Client(World& in, uint32_t address)
      : world(in), socket(world.connect_actor(this, 8000, address)) {}
  void on_socket(SocketId) override {
    text += world.take(socket, SIZE_MAX);
    if (text.find("\r\n\r\n") == std::string::npos) return;
    status = static_cast<unsigned>(std::stoul(text.substr(9, 3)));
    const auto retry = text.find("Retry-After: ");
    retry_after = retry == std::string::npos ? 0 : std::stol(text.substr(retry + 13));
    code = text;
    text.clear();
  }
  void ask(const std::string& path) {
    status = 0;
    world.send(socket, "GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n");
  }
  World& world;
  SocketId socket;
  std::string text;
  std::string code;  // all of the last answer
  unsigned status = 0;
  int64_t retry_after = 0;
};

class Shaping : public ::testing::Test {
 protected:
  void start(const limiter::Policy& policy, uint32_t held_max = 100) {
    config::add_upstream(config_, "default", core::SocketAddress::ipv4(0x7f000001, 9001),
                         "127.0.0.1:9001");
    config_.upstreams.front().timeouts.deadline = deadline_;
    config_.cores = {-1};
    config_.bounds.limiter_keys = 100;
    config_.bounds.held = held_max;
    config::add_default_routes(config_, policy);
    config_.routes.front().auth = config::AuthMode::none;
    config::complete(config_);
    core::KernelUnavailable unavailable;
    kernel_ = core::Kernel::open({}, unavailable);
    control_.make(config_);
    proxy::WorkerOptions options = simulation::worker_options(
        control_, 0, *kernel_, simulation::adopt(*kernel_, world_.listen(8000, nullptr)));
    options.peers.push_back({&postbox_, kernel_.get()});
    worker_ = std::make_unique<proxy::Worker>(std::move(options));
    ASSERT_EQ(worker_->prepare(), core::Error::none);
    timeout_ = worker_->begin_turn();
  }
  Client& client(uint32_t address = 0x0a000001) {
    clients_.push_back(std::make_unique<Client>(world_, address));
    return *clients_.back();
  }
  // Lets time pass until it is so, or until `end`.
  bool run_until(const std::function<bool()>& is_so, core::Instant end = core::Instant::max()) {
    for (int step = 0; step < 100'000 && !is_so(); ++step) {
      if (!submitted_) simulation::submit(*kernel_, timeout_);
      submitted_ = true;
      simulation::pump(*kernel_, true);
      if (!simulation::is_runnable(*kernel_)) {
        const core::Instant next = std::min(world_.next_event(), simulation::wakes_at(*kernel_));
        world_.advance_to(std::min(next, end));
        if (next > end) break;
        world_.run_due();
        continue;
      }
      worker_->finish_turn(timeout_);
      timeout_ = worker_->begin_turn();
      submitted_ = false;
    }
    return is_so();
  }
  bool is_held(uint64_t count) {
    return run_until([&] { return worker_->counters().exchanges_held.get() == count; });
  }

  core::Duration deadline_ = seconds{120};
  World world_{1, {}};
  Origin origin_{world_};
  config::Config config_;
  core::Postbox postbox_{4, 64};
  std::unique_ptr<core::Kernel> kernel_;
  simulation::Control control_{1};
  std::unique_ptr<proxy::Worker> worker_;
  core::Duration timeout_{};
  bool submitted_ = false;
  std::vector<std::unique_ptr<Client>> clients_;
};

TEST_F(Shaping, requests_are_held_in_the_order_of_their_arrival_each_until_its_turn) {
  start({.rate = {1, 50'000'000}, .burst = 20, .delay = 2});
  for (int i = 0; i < 12; ++i) {
    client().ask("/" + std::to_string(i));
    ASSERT_TRUE(run_until([&] {
      return worker_->shard().counters(0).passed.get() + worker_->shard().counters(0).held.get() ==
             static_cast<uint64_t>(i) + 1;
    }));
  }
  ASSERT_TRUE(run_until([&] { return origin_.arrivals.size() == 12; }));
  for (size_t i = 0; i < 12; ++i) {
    EXPECT_EQ(origin_.arrivals[i].first, "/" + std::to_string(i));
    if (i < 4) continue;  // delay + 1 pass at once
    const auto apart = origin_.arrivals[i].second - origin_.arrivals[i - 1].second;
    EXPECT_GE(apart, milliseconds{47}) << i;
    EXPECT_LE(apart, milliseconds{53}) << i;
  }
}

// What can't be let go before the deadline is refused when it comes, and leaves no trace.
TEST_F(Shaping, hold_beyond_the_deadline_is_refused_at_once_and_not_charged) {
  deadline_ = seconds{3};
  start({.rate = {1, 1'000'000'000}, .burst = 9, .delay = 0});
  for (int i = 0; i < 4; ++i) {
    client().ask("/held");
    ASSERT_TRUE(run_until([&] {
      return worker_->shard().counters(0).passed.get() + worker_->shard().counters(0).held.get() ==
             static_cast<uint64_t>(i) + 1;
    }));
  }
  const core::Instant before = world_.now();
  for (int i = 0; i < 3; ++i) {
    Client& late = client();
    late.ask("/late");
    ASSERT_TRUE(run_until([&] { return late.status == 429; }));
    EXPECT_EQ(late.retry_after, 1) << "whose turn comes in 3 s, and it would be the fourth";
  }
  EXPECT_LT(world_.now() - before, milliseconds{100});
  ASSERT_TRUE(run_until([&] { return origin_.arrivals.size() == 4; }));
  EXPECT_LE(origin_.arrivals.back().second - before, seconds{3}) << "the refused ones were charged";
}

TEST_F(Shaping, held_request_holds_one_buffer_and_nothing_upstream) {
  start({.rate = {1, 1'000'000'000}, .burst = 9, .delay = 0});
  for (int i = 0; i < 6; ++i) client().ask("/x");
  ASSERT_TRUE(is_held(5));
  ASSERT_TRUE(run_until(
      [&] { return origin_.arrivals.size() == 1 && worker_->counters().exchanges.get() == 5; }));
  EXPECT_EQ(worker_->station().buffers(core::BufferGroup::downstream).held(), 5U);
  EXPECT_EQ(worker_->station().buffers(core::BufferGroup::upstream).held(), 0U);
}

TEST_F(Shaping, client_that_leaves_frees_its_place_and_its_charge_stands) {
  start({.rate = {1, 1'000'000'000}, .burst = 9, .delay = 0}, 1);
  client().ask("/a");
  ASSERT_TRUE(run_until([&] { return clients_[0]->status == 200; }));
  client().ask("/b");
  ASSERT_TRUE(is_held(1));
  client().ask("/c");
  ASSERT_TRUE(run_until([&] { return clients_[2]->status != 0; }));
  EXPECT_EQ(clients_[2]->status, 429U) << "there is one place to wait, and it is taken";
  EXPECT_NE(clients_[2]->code.find("limit.address"), std::string::npos);
  world_.close(clients_[1]->socket);
  ASSERT_TRUE(is_held(0));
  const core::Instant asked_at = world_.now();
  client().ask("/d");
  ASSERT_TRUE(is_held(1));
  ASSERT_TRUE(run_until([&] { return clients_[3]->status == 200; }));
  EXPECT_GE(world_.now() - asked_at, milliseconds{1900})
      << "/b had taken the first turn, and keeps it";
  EXPECT_LE(world_.now() - asked_at, milliseconds{2100})
      << "/c was refused, and must not have been charged";
}

TEST_F(Shaping, nobody_is_held_longer_than_max_hold) {
  start({.rate = {1, 1'000'000'000}, .burst = 9, .delay = 0, .max_hold = seconds{2}});
  for (int i = 0; i < 5; ++i) client().ask("/x");
  ASSERT_TRUE(run_until([&] { return worker_->shard().counters(0).refused.get() == 2; }));
  EXPECT_TRUE(is_held(2));
  ASSERT_TRUE(run_until([&] { return worker_->counters().exchanges.get() == 0; }));
  EXPECT_EQ(origin_.arrivals.size(), 3U);
}

TEST_F(Shaping, held_request_is_refused_at_the_deadline_of_the_drain_and_finished_before_it) {
  start({.rate = {1, 1'000'000'000}, .burst = 9, .delay = 0});
  for (int i = 0; i < 4; ++i) client().ask("/x");
  ASSERT_TRUE(is_held(3));
  core::Message drain{.kind = static_cast<uint16_t>(proxy::MessageKind::drain)},
      cut{.kind = static_cast<uint16_t>(proxy::MessageKind::cut)};
  ASSERT_TRUE(postbox_.post(1, drain));
  kernel_->wake();
  const auto answered = [&] {
    return std::count_if(clients_.begin(), clients_.end(),
                         [](const auto& each) { return each->status != 0; });
  };
  ASSERT_TRUE(run_until([&] { return answered() == 2; }))
      << "one has its turn while the drain goes on";
  ASSERT_TRUE(postbox_.post(1, cut));
  kernel_->wake();
  ASSERT_TRUE(run_until([&] { return worker_->is_drained() && answered() == 4; }));
  std::map<unsigned, int> by_status;
  for (const auto& each : clients_) ++by_status[each->status];
  EXPECT_EQ(by_status[200], 2);
  EXPECT_EQ(by_status[503], 2);
  EXPECT_EQ(worker_->counters().drain_cut.get(), 2U);
}

// The contract: who waits exactly as long as Retry-After says, alone with the key, is admitted.
class Contract : public Shaping, public ::testing::WithParamInterface<limiter::Policy> {};

TEST_P(Contract, who_waits_as_long_as_retry_after_says_is_admitted) {
  start(GetParam());
  Client& asker = client();
  unsigned refusals = 0;
  for (int i = 0; i < 500 && refusals < 20; ++i) {
    asker.ask("/x");
    ASSERT_TRUE(run_until([&] { return asker.status != 0; }));
    if (asker.status != 429) continue;
    ++refusals;
    run_until([] { return false; }, world_.now() + seconds{asker.retry_after});
    asker.ask("/x");
    ASSERT_TRUE(run_until([&] { return asker.status != 0; }));
    EXPECT_EQ(asker.status, 200U);
  }
  EXPECT_EQ(refusals, 20U);
}

INSTANTIATE_TEST_SUITE_P(
    policies, Contract,
    ::testing::Values(limiter::Policy{.rate = {3, 1'000'000'000}, .burst = 4, .delay = 4},
                      limiter::Policy{.rate = {1, 7'000'000'000}, .burst = 0},
                      limiter::Policy{.rate = {1, 1'700'000'000},
                                      .burst = 8,
                                      .delay = 2,
                                      .max_hold = milliseconds{500}}));

}  // namespace
}  // namespace sluice
