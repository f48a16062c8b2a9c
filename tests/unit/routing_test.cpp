// Which route a request takes, and which endpoint: against plain oracles, in virtual time.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "config/route_table.h"
#include "core/random.h"
#include "gateway/endpoint.h"
#include "gateway/health_checker.h"
#include "proxy/upstream/core_upstream.h"

namespace sluice::proxy {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// --- routes ----------------------------------------------------------------------------------

config::Route route(config::RouteMatch match) {
  return {.name = match.host + match.path, .match = std::move(match)};
}

bool host_fits(const std::string& pattern, const std::string& host) {
  if (pattern.empty()) return true;
  if (pattern.starts_with("*."))
    return host.size() > pattern.size() - 1 && host.ends_with(pattern.substr(1));
  return pattern == host;
}
bool path_fits(const config::RouteMatch& match, const std::string& path) {
  if (match.path_kind == config::RouteMatch::Path::exact) return path == match.path;
  return match.path == "/" || path == match.path || path.starts_with(match.path + "/");
}

// Looks at all of them, one after the other.
config::Found look_at_all(const std::vector<config::Route>& routes, http::Method method,
                          const std::string& host, const std::string& path) {
  config::Found found;
  const config::RouteMatch* best = nullptr;
  for (uint16_t index = 0; index < routes.size(); ++index) {
    const config::RouteMatch& match = routes[index].match;
    if (!host_fits(match.host, host) || !path_fits(match, path)) continue;
    found.methods = static_cast<uint16_t>(found.methods | match.methods);
    if ((match.methods & config::method_bit(method)) == 0 ||
        (best != nullptr && !config::RouteTable::comes_before(match, *best)))
      continue;
    best = &match;
    found.route = index;
  }
  return found;
}

TEST(RouteTable, ten_thousand_routes_are_found_as_if_all_were_looked_at) {
  core::Random random{5};
  const auto word = [&](uint64_t of) {
    return std::string(1, static_cast<char>('a' + random.below(of)));
  };
  std::vector<config::Route> routes;
  std::set<std::tuple<std::string, std::string, config::RouteMatch::Path>> seen;
  while (routes.size() < 10'000) {
    config::RouteMatch match;
    const uint64_t kind = random.below(4);
    if (kind == 1) match.host = word(20) + "." + word(20) + ".test";
    if (kind == 2) match.host = "*." + word(20) + ".test";
    if (kind == 3) match.host = "*.test";
    match.path = "";
    for (uint64_t depth = random.below(5); depth > 0; --depth) match.path += "/" + word(6);
    if (match.path.empty()) match.path = "/";
    match.path_kind =
        random.chance(30) ? config::RouteMatch::Path::exact : config::RouteMatch::Path::prefix;
    if (random.chance(40)) match.methods = static_cast<uint16_t>(1 + random.below(100));
    if (!seen.insert({match.host, match.path, match.path_kind}).second) continue;
    routes.push_back(route(match));
  }
  const config::RouteTable table{routes};
  for (int number = 0; number < 5'000; ++number) {
    const std::string host =
        random.chance(20) ? word(20) + ".elsewhere" : word(20) + "." + word(20) + ".test";
    std::string path;
    for (uint64_t depth = 1 + random.below(6); depth > 0; --depth) path += "/" + word(6);
    if (random.chance(10)) path += "/";
    const auto method = static_cast<http::Method>(random.below(7));
    const config::Found wanted = look_at_all(routes, method, host, path);
    const config::Found found = table.find(method, host, path, "", http::Fields{});
    ASSERT_EQ(found.route, wanted.route) << host << path;
    if (wanted.route == config::no_route) {
      ASSERT_EQ(found.methods, wanted.methods) << host << path;
    }
  }
}

TEST(RouteTable, more_specific_wins_by_the_documented_order) {
  const config::FieldMatch two{
      .place = config::FieldMatch::Place::query, .name = "v", .value = "2"};
  const config::FieldMatch any{.place = config::FieldMatch::Place::query, .name = "v"};
  const std::vector<config::Route> routes{
      route({.path = "/a"}),
      route({.path = "/a", .methods = config::method_bit(http::Method::post)}),
      route({.path = "/a", .fields = {two}}),
      route({.path = "/a/b", .path_kind = config::RouteMatch::Path::exact}),
      route({.path = "/a/b"}),
      route({.host = "*.test", .path = "/"}),
      route({.host = "*.x.test", .path = "/"}),
      route({.host = "a.x.test", .path = "/only"}),
      route({.path = "/any", .fields = {any}})};
  const config::RouteTable table{routes};
  const auto find = [&](const char* host, const char* path, const char* query = "",
                        http::Method method = http::Method::get) {
    return table.find(method, host, path, query, http::Fields{}).route;
  };
  EXPECT_EQ(find("h", "/a"), 0);
  EXPECT_EQ(find("h", "/a", "", http::Method::post), 1);
  EXPECT_EQ(find("h", "/a", "x=1&v=2", http::Method::post), 2) << "conditions before methods";
  EXPECT_EQ(find("h", "/a", "v=22"), 0);
  EXPECT_EQ(find("h", "/a/b"), 3);
  EXPECT_EQ(find("h", "/a/b/c"), 4);
  EXPECT_EQ(find("h", "/ab"), config::no_route) << "prefixes are whole segments";
  EXPECT_EQ(find("A.TEST:8000", "/a"), 5) << "a host before any";
  EXPECT_EQ(find("b.x.test", "/a"), 6) << "the longer suffix";
  EXPECT_EQ(find("a.x.test", "/only"), 7);
  EXPECT_EQ(find("a.x.test", "/other"), 6) << "where the path does not fit, the next host is asked";
  EXPECT_EQ(find("test", "/zz"), config::no_route) << "a suffix is what is below it";
  EXPECT_EQ(find("h", "/any", "v"), 8);
  EXPECT_EQ(find("h", "/any", "w"), config::no_route);
}

// --- endpoints -------------------------------------------------------------------------------

class Balancing : public ::testing::Test {
 protected:
  explicit Balancing(size_t endpoints = 4) {
    for (size_t index = 0; index < endpoints; ++index) {
      const auto port = static_cast<uint16_t>(9000 + index);
      config_.endpoints.push_back({.authority = std::to_string(port),
                                   .destination = core::SocketAddress::ipv4(0x7f000001, port)});
      records_.push_back(std::make_unique<gateway::Endpoint>(upstream_, config_.endpoints.back(),
                                                             static_cast<uint16_t>(index)));
    }
  }
  UpstreamPlan& plan() {
    plan_ = std::make_unique<UpstreamPlan>(config_, *upstream_->cores[0]);
    for (size_t index = 0; index < records_.size(); ++index)
      plan_->add(*records_[index]->cores[0], config_.endpoints[index]);
    plan_->complete();
    return *plan_;
  }
  CoreEndpoint& endpoint(size_t index) { return *records_[index]->cores[0]; }
  // How often each was chosen.
  std::vector<size_t> choose(size_t times) {
    std::vector<size_t> counts(records_.size());
    for (size_t time = 0; time < times; ++time) {
      const CoreEndpoint* chosen = plan_->choose(now_, random_, random_.next(), nullptr);
      if (chosen != nullptr) ++counts[chosen->label()];
    }
    return counts;
  }

  core::Random random_{3};
  core::Instant now_{seconds{1000}};
  config::UpstreamConfig config_;
  std::shared_ptr<gateway::Upstream> upstream_ = std::make_shared<gateway::Upstream>("u", 1, 0);
  std::vector<std::unique_ptr<gateway::Endpoint>> records_;
  std::unique_ptr<UpstreamPlan> plan_;
};

TEST_F(Balancing, round_robin_gives_each_its_weight_and_mixes_well) {
  config_.endpoints[1].weight = 3;
  config_.endpoints[3].use = config::EndpointUse::draining;
  UpstreamPlan& all = plan();
  EXPECT_EQ(choose(500), (std::vector<size_t>{100, 300, 100, 0}));
  size_t in_a_row = 0;
  for (int number = 0; number < 100; ++number) {
    in_a_row = all.choose(now_, random_, 0, nullptr)->label() == 1 ? in_a_row + 1 : 0;
    EXPECT_LE(in_a_row, 2U);
  }
  EXPECT_NE(all.choose(now_, random_, 0, &endpoint(1)), &endpoint(1)) << "another one is tried";
}

TEST_F(Balancing, nobody_who_is_down_is_chosen_and_one_who_comes_up_starts_slowly) {
  config_.slow_start = seconds{10};
  plan();
  records_[0]->health.state = Health::down;
  EXPECT_EQ(choose(300), (std::vector<size_t>{0, 100, 100, 100}));
  records_[0]->health.state = Health::up;
  records_[0]->health.up_since_ns = now_.time_since_epoch().count();
  EXPECT_NEAR(static_cast<double>(choose(310)[0]), 10, 2);
  now_ += seconds{5};
  EXPECT_NEAR(static_cast<double>(choose(355)[0]), 55, 2);
  now_ += seconds{5};
  EXPECT_EQ(choose(400)[0], 100U);
  for (const auto& record : records_) record->health.state = Health::down;
  EXPECT_EQ(choose(10), (std::vector<size_t>{0, 0, 0, 0}));
}

TEST_F(Balancing, least_requests_prefers_who_has_less_to_do) {
  config_.balance = config::Balance::least_requests;
  plan();
  for (int number = 0; number < 20; ++number) endpoint(2).note_opened();
  const auto counts = choose(1000);
  EXPECT_LT(counts[2], 100U) << "only when it is drawn twice";
  for (const size_t other : {0, 1, 3}) EXPECT_GT(counts[other], 200U);
  for (int number = 0; number < 20; ++number) endpoint(2).note_closed();
}

TEST_F(Balancing, hash_keeps_its_endpoint_and_few_move_when_one_leaves) {
  config_.balance = config::Balance::hash;
  UpstreamPlan& all = plan();
  std::map<uint64_t, uint16_t> before;
  std::vector<size_t> shares(4);
  for (int number = 0; number < 4000; ++number) {
    const uint64_t key = random_.next();
    before[key] = all.choose(now_, random_, key, nullptr)->label();
    ++shares[before[key]];
  }
  for (const size_t share : shares) EXPECT_NEAR(static_cast<double>(share), 1000, 250);
  records_[1]->health.state = Health::down;
  for (const auto& [key, label] : before) {
    const uint16_t now = all.choose(now_, random_, key, nullptr)->label();
    if (label != 1) {
      ASSERT_EQ(now, label) << "whose endpoint is there moves nowhere";
    } else {
      ASSERT_NE(now, 1);
    }
  }
}

TEST_F(Balancing, failures_in_a_row_eject_for_longer_each_time_and_never_more_than_half) {
  config_.ejection = {.failures = 3, .time = seconds{30}, .time_max = seconds{50}};
  UpstreamPlan& all = plan();
  const auto fail = [&](size_t index, int times) {
    for (int number = 0; number < times; ++number)
      all.note(endpoint(index), Outcome::failure, now_);
  };
  fail(0, 2);
  all.note(endpoint(0), Outcome::success, now_);
  fail(0, 2);
  EXPECT_FALSE(endpoint(0).is_ejected(now_)) << "not in a row";
  fail(0, 1);
  EXPECT_TRUE(endpoint(0).is_ejected(now_));
  fail(1, 3);
  fail(2, 3);
  EXPECT_TRUE(endpoint(1).is_ejected(now_));
  EXPECT_FALSE(endpoint(2).is_ejected(now_)) << "half are out already";
  now_ += seconds{30};
  EXPECT_FALSE(endpoint(0).is_ejected(now_));
  fail(0, 3);
  now_ += seconds{49};
  EXPECT_TRUE(endpoint(0).is_ejected(now_)) << "twice as long, up to the most";
  now_ += seconds{1};
  EXPECT_FALSE(endpoint(0).is_ejected(now_));
  now_ += seconds{61};
  all.note(endpoint(0), Outcome::success, now_);
  fail(0, 3);
  now_ += seconds{30};
  EXPECT_FALSE(endpoint(0).is_ejected(now_)) << "forgiven";
}

TEST_F(Balancing, idle_lifetime_is_learnt_and_forgotten) {
  CoreEndpoint& one = endpoint(0);
  EXPECT_EQ(one.idle_limit(seconds{60}, now_), seconds{60});
  one.learn_idle_limit(seconds{8}, now_);
  EXPECT_EQ(one.idle_limit(seconds{60}, now_), seconds{6});
  one.learn_idle_limit(milliseconds{1}, now_);
  EXPECT_EQ(one.idle_limit(seconds{60}, now_), seconds{6}) << "once may be a restart";
  one.learn_idle_limit(milliseconds{1}, now_);
  one.learn_idle_limit(milliseconds{1}, now_);
  EXPECT_EQ(one.idle_limit(seconds{60}, now_), seconds{0});
  EXPECT_EQ(one.idle_limit(seconds{60}, now_ + seconds{60}), seconds{60});
}

// --- circuit ---------------------------------------------------------------------------------

TEST(CircuitBreaker, opens_on_a_share_of_failures_and_closes_by_probes) {
  const config::Circuit rules{.failure_percent = 50,
                              .requests_min = 10,
                              .window = seconds{10},
                              .open_time = seconds{5},
                              .probes = 2};
  core::Instant now{seconds{1000}};
  CircuitBreaker circuit;
  for (int number = 0; number < 9; ++number) circuit.note(rules, Outcome::failure, now);
  EXPECT_TRUE(circuit.admit(rules, now)) << "too few to judge";
  now += seconds{11};
  for (int number = 0; number < 6; ++number) circuit.note(rules, Outcome::success, now);
  for (int number = 0; number < 5; ++number) circuit.note(rules, Outcome::failure, now);
  EXPECT_TRUE(circuit.admit(rules, now)) << "what was before the window counts no more";
  circuit.note(rules, Outcome::failure, now);
  EXPECT_FALSE(circuit.admit(rules, now));
  EXPECT_EQ(circuit.until_half_open(now), seconds{5});
  now += seconds{5};
  EXPECT_TRUE(circuit.admit(rules, now)) << "one may try";
  EXPECT_FALSE(circuit.admit(rules, now)) << "only one";
  circuit.note(rules, Outcome::failure, now);
  EXPECT_FALSE(circuit.admit(rules, now)) << "it failed";
  now += seconds{5};
  EXPECT_TRUE(circuit.admit(rules, now));
  now += seconds{5};
  EXPECT_TRUE(circuit.admit(rules, now)) << "one that never came back is not waited for";
  circuit.note(rules, Outcome::success, now);
  EXPECT_TRUE(circuit.admit(rules, now));
  circuit.note(rules, Outcome::success, now);
  for (int number = 0; number < 5; ++number) EXPECT_TRUE(circuit.admit(rules, now)) << "closed";
  EXPECT_EQ(circuit.opened.get(), 2U);
}

// --- permits ---------------------------------------------------------------------------------

TEST(ConnectionPermits, never_give_more_than_there_are) {
  ConnectionPermits permits;
  for (int number = 0; number < 100; ++number) EXPECT_TRUE(permits.take()) << "no bound";
  permits.set_most(101);
  EXPECT_TRUE(permits.take());
  EXPECT_FALSE(permits.take());
  permits.set_most(50);
  for (int number = 0; number < 51; ++number) permits.give_back();
  EXPECT_FALSE(permits.take()) << "a lower bound is met when so many have closed";
  permits.give_back();
  EXPECT_TRUE(permits.take());
}

// --- health ----------------------------------------------------------------------------------

TEST(HealthJudge, first_answer_counts_at_once_then_so_many_in_a_row) {
  const config::HealthCheck rules{.path = "/", .down_after = 3, .up_after = 2};
  gateway::HealthJudge judge;
  Health verdict = Health::unchecked;
  EXPECT_TRUE(judge.observe(Outcome::failure, rules, verdict));
  EXPECT_EQ(verdict, Health::down);
  EXPECT_FALSE(judge.observe(Outcome::success, rules, verdict));
  EXPECT_FALSE(judge.observe(Outcome::failure, rules, verdict));
  EXPECT_FALSE(judge.observe(Outcome::success, rules, verdict));
  EXPECT_TRUE(judge.observe(Outcome::success, rules, verdict));
  EXPECT_EQ(verdict, Health::up);
  for (int number = 0; number < 2; ++number)
    EXPECT_FALSE(judge.observe(Outcome::failure, rules, verdict));
  EXPECT_TRUE(judge.observe(Outcome::failure, rules, verdict));
  EXPECT_EQ(verdict, Health::down);
}

}  // namespace
}  // namespace sluice::proxy
