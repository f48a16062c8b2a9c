// Who gets in when the room is taken, by a whole worker in virtual time: half heads, bodies that
// never come, endpoints that hang, addresses that take all they can.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/simulation/one_worker.h"

namespace sluice {
namespace {

using simulation::OneWorker;
using simulation::SocketId;
using simulation::World;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr uint16_t hanging_port = 9002;

// Answers each request with 200; never on /hang, and with more than anybody reads on /large.
struct Origin : simulation::Actor {
  Origin(World& in, uint16_t port) : world(in) { world.listen(port, this); }
  void on_socket(SocketId socket) override {
    std::string& text = texts[socket];
    text += world.take(socket, SIZE_MAX);
    while (text.find("\r\n\r\n") != std::string::npos) {
      const bool hangs = text.find(" /hang") < text.find("\r\n");
      const bool large = text.find(" /large") < text.find("\r\n");
      text.erase(0, text.find("\r\n\r\n") + 4);
      if (hangs) continue;
      const std::string body(large ? 2'000'000 : 2, 'x');
      pending[socket] +=
          "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    }
    std::string& out = pending[socket];
    out.erase(0, world.send(socket, out));
  }
  World& world;
  std::map<SocketId, std::string> texts;
  std::map<SocketId, std::string> pending;
};

struct Client : simulation::Actor {
  enum class Reading : uint8_t { all, nothing };
  Client(World& in, uint32_t address, Reading how = Reading::all)
      : world(in),
        reading(how),
        socket(world.connect_actor(this, simulation::one_worker_port, address)) {}
  void on_socket(SocketId) override {
    if (reading == Reading::all) text += world.take(socket, SIZE_MAX);
  }
  void say(const std::string& bytes) { world.send(socket, bytes); }
  void ask(const std::string& path) { say("GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n"); }
  // "200", "503 overload", or "" while there is no answer.
  [[nodiscard]] std::string answer() const {
    if (text.size() < 12) return "";
    const auto code = text.find("details=\"");
    if (code == std::string::npos) return text.substr(9, 3);
    return text.substr(9, 3) + " " + text.substr(code + 9, text.find('"', code + 9) - code - 9);
  }
  [[nodiscard]] bool is_closed() const {
    const auto& state = world.socket(socket);
    return state.fin_received || state.reset;
  }
  World& world;
  Reading reading;
  SocketId socket;
  std::string text;
};

class Room : public testing::Test {
 protected:
  Room() {
    config_ = simulation::open_config();
    config_.bounds.connections = 200;
    config_.bounds.exchanges = 64;
    config_.bounds.upstream_connections = 32;
    config_.bounds.connections_per_address = 200;
    config::add_upstream(config_, "hanging", core::SocketAddress::ipv4(0x7f000001, hanging_port),
                         "127.0.0.1:9002");
    config::Route other{.name = "hanging", .auth = config::AuthMode::none};
    other.match.path = "/hang";
    other.to.parts.push_back({.upstream = 1});
    config_.routes.push_back(other);
  }
  void start() {
    config::complete(config_);
    worker_ = std::make_unique<OneWorker>(world_, config_);
  }
  Client& client(uint32_t address, Client::Reading how = Client::Reading::all) {
    clients_.push_back(std::make_unique<Client>(world_, address, how));
    return *clients_.back();
  }
  void run(core::Duration duration) { worker_->run_for(duration); }
  [[nodiscard]] const proxy::Counters& counters() { return worker_->worker().counters(); }
  // What somebody who just comes is told.
  std::string ask(uint32_t address, const std::string& path) {
    Client& polite = client(address);
    polite.ask(path);
    run(milliseconds{200});
    return polite.answer();
  }

  World world_{1, {}};
  config::Config config_;
  Origin origin_{world_, simulation::one_worker_origin_port};
  Origin hanging_{world_, hanging_port};
  std::unique_ptr<OneWorker> worker_;
  std::vector<std::unique_ptr<Client>> clients_;
};

constexpr uint32_t polite_address = 0x0a0000ff;
constexpr const char* half_a_head = "GET / HTTP/1.1\r\nHost: a\r\nX: ";

TEST_F(Room, half_heads_hold_no_place_and_the_oldest_goes_when_there_are_too_many) {
  start();
  for (uint32_t number = 0; number < 100; ++number) {
    client(0x0a000001 + number % 8).say(half_a_head);
    run(milliseconds{1});
  }
  run(milliseconds{100});
  EXPECT_EQ(worker_->worker().exchanges_taken(), 0U);
  EXPECT_EQ(counters().heads_gathering.get(), config_.bounds.half_heads());
  EXPECT_EQ(counters().heads_shed.get(), 100 - config_.bounds.half_heads());
  EXPECT_EQ(clients_.front()->answer(), "408 http.head_shed");
  EXPECT_EQ(clients_.back()->answer(), "") << "the youngest still has time";
  EXPECT_EQ(ask(polite_address, "/"), "200");
  run(seconds{11});
  EXPECT_EQ(clients_[99]->answer(), "408 http.head_timeout");
  EXPECT_EQ(counters().heads_gathering.get(), 0U);
  run(seconds{20});
  EXPECT_EQ(worker_->worker().station().request_buffers.held(), 0U);
}

TEST_F(Room, head_in_pieces_is_served_beside_half_heads) {
  start();
  for (uint32_t number = 0; number < 5; ++number) client(0x0a000001).say(half_a_head);
  Client& slow = client(polite_address);
  slow.say("GET / HTTP/1.1\r\n");
  run(seconds{1});
  slow.say("Host: a\r\n");
  run(seconds{1});
  slow.say("\r\n");
  run(seconds{1});
  EXPECT_EQ(slow.answer(), "200");
  EXPECT_NE(worker_->last_log().find("\"read_ms\":19"), std::string::npos)
      << "read from the first byte on: " << worker_->last_log();
}

TEST_F(Room, address_has_at_most_its_part_of_the_connections) {
  config_.bounds.connections_per_address = 0;
  config_.trusted.push_back(*core::Cidr::parse("10.0.0.9"));
  start();
  for (int number = 0; number < 60; ++number) client(0x0a000001);
  run(milliseconds{100});
  EXPECT_EQ(counters().connections_open.get(), 50U) << "a quarter of 200";
  EXPECT_EQ(counters().connections_over_address.get(), 10U);
  EXPECT_NE(worker_->last_log().find("downstream.address_full"), std::string::npos);
  for (int number = 0; number < 60; ++number) client(0x0a000009);
  run(milliseconds{100});
  EXPECT_EQ(counters().connections_open.get(), 110U) << "a trusted one may have any number";
  for (auto& one : clients_) world_.close(one->socket);
  run(seconds{1});
  EXPECT_EQ(worker_->worker().station().addresses.keys(), 0U);
  EXPECT_EQ(ask(0x0a000001, "/"), "200");
}

TEST_F(Room, refused_uploads_whose_body_never_comes_keep_no_place) {
  config::Route denied{.name = "denied", .auth = config::AuthMode::none};
  denied.match.path = "/nowhere";
  denied.addresses.allow.push_back(*core::Cidr::parse("192.0.2.1"));
  config_.routes.push_back(denied);
  start();
  for (uint32_t number = 0; number < 150; ++number) {
    client(0x0a000001 + number % 8)
        .say("POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc");
  }
  run(milliseconds{100});
  EXPECT_EQ(clients_.front()->answer(), "403 route.address");
  EXPECT_LE(worker_->worker().exchanges_taken(), config_.bounds.exchanges);
  EXPECT_EQ(ask(polite_address, "/"), "200");
}

TEST_F(Room, slow_bodies_leave_places_to_others) {
  start();
  for (uint32_t number = 0; number < 150; ++number) {
    client(0x0a000001 + number % 8)
        .say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc");
  }
  run(milliseconds{500});
  for (uint32_t number = 0; number < 5; ++number)
    EXPECT_EQ(ask(polite_address + number, "/"), "200");
}

TEST_F(Room, clients_that_never_read_leave_places_to_others) {
  start();
  for (uint32_t number = 0; number < 150; ++number)
    client(0x0a000001 + number % 8, Client::Reading::nothing).ask("/large");
  run(seconds{3});
  for (uint32_t number = 0; number < 5; ++number)
    EXPECT_EQ(ask(polite_address + number, "/"), "200");
}

TEST_F(Room, hanging_upstream_starves_neither_others_nor_our_own_answers) {
  start();
  for (uint32_t number = 0; number < 150; ++number) client(0x0a000001 + number).ask("/hang");
  run(milliseconds{500});
  const std::string busy = ask(polite_address, "/hang");
  EXPECT_EQ(busy, "503 upstream.busy") << "at once";
  EXPECT_NE(clients_.back()->text.find("Retry-After: "), std::string::npos);
  EXPECT_EQ(ask(polite_address, "/"), "200");
  EXPECT_EQ(ask(polite_address, "/health"), "200");
  run(seconds{130});
  EXPECT_EQ(worker_->worker().exchanges_taken(), 0U) << "all waiting ends";
  EXPECT_EQ(ask(polite_address, "/"), "200");
}

TEST_F(Room, all_places_taken_is_an_overload_and_health_still_answers) {
  config_.upstreams.front().share_percent = 100;
  config_.upstreams.back().share_percent = 100;
  config_.bounds.upstream_connections = 200;
  start();
  for (uint32_t number = 0; number < 100; ++number) client(0x0a000001 + number).ask("/hang");
  run(milliseconds{500});
  EXPECT_EQ(ask(polite_address, "/hang"), "503 overload");
  EXPECT_EQ(counters().overload_refused.get(), 37U);
  EXPECT_EQ(ask(polite_address, "/health"), "200");
}

TEST_F(Room, our_own_lack_of_ports_and_descriptors_is_no_endpoints_failure) {
  start();
  world_.faults().no_ports = 100;
  EXPECT_EQ(ask(polite_address, "/"), "503 local.ports");
  EXPECT_NE(clients_.back()->text.find("Retry-After: "), std::string::npos);
  world_.faults().no_ports = 0;
  Client& late = client(polite_address);
  run(milliseconds{10});
  world_.faults().no_sockets = 100;
  late.ask("/");
  run(milliseconds{200});
  EXPECT_EQ(late.answer(), "503 local.descriptors");
  world_.faults().no_sockets = 0;
  EXPECT_EQ(counters().local_lacks.get(), 2U);
  proxy::CoreEndpoint* endpoint = worker_->worker().station().generation->upstream(0).choose(
      world_.now(), world_.random(), 0, nullptr);
  ASSERT_NE(endpoint, nullptr);
  EXPECT_EQ(endpoint->failures.get(), 0U);
  EXPECT_EQ(ask(polite_address, "/"), "200");
}

TEST_F(Room, refused_connection_is_the_next_endpoints_turn_and_costs_no_retry) {
  config_.upstreams.front().endpoints.push_back(
      {.authority = "127.0.0.1:9003",
       .destination = core::SocketAddress::ipv4(0x7f000001, 9003)});  // nobody is there
  config_.upstreams.front().retries = 0;
  config_.upstreams.front().ejection.failures = 0;
  start();
  for (int number = 0; number < 20; ++number) {
    EXPECT_EQ(ask(polite_address, "/"), "200");
    Client& poster = client(polite_address);
    poster.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    run(milliseconds{200});
    EXPECT_EQ(poster.answer(), "200");
  }
  EXPECT_GT(counters().retries.get(), 0U);
  EXPECT_EQ(counters().retries_refused.get(), 0U);
}

TEST_F(Room, log_names_the_endpoint_that_refused) {
  config_.upstreams.front().endpoints.front().authority = "127.0.0.1:9003";
  config_.upstreams.front().endpoints.front().destination =
      core::SocketAddress::ipv4(0x7f000001, 9003);
  start();
  EXPECT_EQ(ask(polite_address, "/"), "502 upstream.refused");
  EXPECT_NE(worker_->last_log().find("\"endpoint\":\"127.0.0.1:9003\""), std::string::npos)
      << worker_->last_log();
}

TEST_F(Room, head_timeout_is_retried_where_that_does_no_harm) {
  config_.upstreams.front().timeouts.head = seconds{1};
  start();
  Client& getter = client(polite_address);
  getter.ask("/hang-here");
  run(milliseconds{1500});
  EXPECT_EQ(getter.answer(), "") << "a second try";
  run(seconds{1});
  EXPECT_EQ(getter.answer(), "504 upstream.head_timeout");
  Client& poster = client(polite_address);
  poster.say("POST /hang-here HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
  run(milliseconds{1500});
  EXPECT_EQ(poster.answer(), "504 upstream.head_timeout");
}

TEST_F(Room, keys_that_hold_many_places_leave_some_to_others) {
  config_.bounds.exchanges = 256;
  config_.bounds.held = 64;
  config::NamedLimit slow{.name = "slow", .key = {{.kind = config::KeyPart::Kind::address}}};
  const uint16_t limit =
      config_.add_limit(slow, {.policy = {.rate = {.requests = 1, .period_ns = 1'000'000'000},
                                          .burst = 50,
                                          .delay = 0,
                                          .max_hold = seconds{60}}});
  config_.routes.front().limits_after.push_back(limit);
  start();
  for (uint32_t number = 0; number < 150; ++number) client(0x0a000001 + number % 25).ask("/");
  run(milliseconds{100});
  EXPECT_GT(counters().hold_places_refused.get(), 0U);
  EXPECT_LT(worker_->worker().station().hold_places_taken, 64U);
  Client& one = client(polite_address);
  Client& other = client(polite_address);
  one.ask("/");
  other.ask("/");
  run(seconds{2});
  EXPECT_EQ(one.answer(), "200");
  EXPECT_EQ(other.answer(), "200") << "held for a second, and served";
}

TEST_F(Room, one_upstream_has_the_whole_room) {
  config_.upstreams.pop_back();
  config_.routes.pop_back();
  config_.bounds.upstream_connections = 64;
  start();
  EXPECT_EQ(worker_->worker().station().generation->upstream(0).room().requests, 64U);
  EXPECT_EQ(worker_->worker().station().generation->upstream(0).room().connections, 64U);
}

}  // namespace
}  // namespace sluice
