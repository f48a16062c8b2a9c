// Both directions at once, and many clients that do as little as they can: early answers, ends that
// stop reading, half-closed connections, slow heads and bodies, and the order in which room is
// made. In virtual time.
#include <gtest/gtest.h>

#include <memory>

#include "tests/conformance/rig.h"

namespace sluice::conformance {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const std::string ask = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";

class Flows : public ::testing::Test {
 protected:
  void start() {
    config::complete(config_);
    gateway_ = std::make_unique<simulation::OneWorker>(world_, config_);
  }
  void pass(core::Duration time) { gateway_->run_for(time); }
  const proxy::Counters& counters() { return gateway_->worker().counters(); }
  bool logged(const std::string& reason) {
    return gateway_->last_log().find("\"reason\":\"" + reason + "\"") != std::string::npos;
  }

  World world_{11, {}};
  RecordingOrigin origin_{world_};
  config::Config config_ = simulation::open_config();
  std::unique_ptr<simulation::OneWorker> gateway_;
};

// --- both directions -------------------------------------------------------------------------

// Answers as soon as it has seen a head, and reads no further.
struct EarlyOrigin : simulation::Actor {
  EarlyOrigin(World& in, std::string with) : world(in), answer(std::move(with)) {
    world.listen(9002, this);
  }
  void on_socket(SocketId socket) override {
    if (answered || world.socket(socket).listening ||
        world.socket(socket).received.find("\r\n\r\n") == std::string::npos)
      return;
    answered = true;
    world.send(socket, answer);
  }
  World& world;
  std::string answer;
  bool answered = false;
};

TEST_F(Flows, early_answer_is_delivered_whole_and_the_upload_is_cut) {
  EarlyOrigin early{world_, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly"};
  config_.upstreams.front().endpoints.front().destination =
      core::SocketAddress::ipv4(0x7f000001, 9002);
  start();
  RawClient client{world_};
  client.send("POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n" +
              std::string(2'000'000, 'x'));
  pass(seconds{10});
  EXPECT_EQ(client.answers(), "200, closed");
  EXPECT_EQ(client.messages().at(0).body, "early");
  pass(seconds{5});
  EXPECT_EQ(counters().exchanges.get(), 0U);
}

TEST_F(Flows, early_answer_to_a_small_upload_keeps_the_connection) {
  EarlyOrigin early{world_, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly"};
  config_.upstreams.front().endpoints.front().destination =
      core::SocketAddress::ipv4(0x7f000001, 9002);
  start();
  RawClient client{world_};
  client.send("POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234");
  pass(milliseconds{300});
  client.send("56789GET /health HTTP/1.1\r\nHost: a\r\n\r\n");
  pass(milliseconds{300});
  EXPECT_EQ(client.answers(), "200, 200");
}

TEST_F(Flows, refusal_in_mid_upload_is_delivered_by_lingering) {
  config_.bounds.request_body_bytes = 100'000;
  start();
  RawClient client{world_};
  client.send("POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n20000\r\n" +
              std::string(0x20000, 'x'));
  pass(seconds{1});
  EXPECT_EQ(client.answers(), "413 http.body_too_large, closed");
}

TEST_F(Flows, endpoint_that_stops_reading_is_not_waited_for_forever) {
  struct Deaf : simulation::Actor {
    void on_socket(SocketId) override {}
  } deaf;
  world_.listen(9002, &deaf);
  config_.upstreams.front().endpoints.front().destination =
      core::SocketAddress::ipv4(0x7f000001, 9002);
  start();
  RawClient client{world_};
  client.send("POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000\r\n\r\n" +
              std::string(4'000'000, 'x'));
  pass(config_.upstreams.front().timeouts.head + seconds{10});
  EXPECT_EQ(client.answers(), "504 upstream.head_timeout, closed");
}

// A client with a small window that never reads.
struct Unreading : simulation::Actor {
  explicit Unreading(World& in)
      : world(in), socket(world.connect_actor(this, simulation::one_worker_port, 0x0a000002)) {
    world.socket(socket).window = 1000;
  }
  void on_socket(SocketId) override {}
  World& world;
  SocketId socket;
};

TEST_F(Flows, client_that_stops_reading_holds_one_buffer_and_not_for_long) {
  start();
  origin_.answer_with({.pieces = {"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n" +
                                  std::string(10'000'000, 'x')}});
  Unreading client{world_};
  world_.send(client.socket, ask);
  pass(seconds{2});
  EXPECT_EQ(gateway_->worker().station().buffers(core::BufferGroup::upstream).held(), 1U);
  pass(config_.timeouts.write + seconds{2});
  EXPECT_TRUE(logged("downstream.write_timeout")) << gateway_->last_log();
  EXPECT_EQ(gateway_->worker().station().buffers(core::BufferGroup::upstream).held(), 0U);
  EXPECT_EQ(counters().connections_open.get(), 0U);
}

TEST_F(Flows, fin_in_the_middle_of_an_exchange_means_that_the_client_is_gone) {
  start();
  origin_.answer_with({});  // never
  RawClient client{world_};
  client.send(ask);
  pass(milliseconds{200});
  client.finish();
  pass(milliseconds{200});
  EXPECT_TRUE(logged("downstream.closed"));
  EXPECT_NE(gateway_->last_log().find("\"status\":499"), std::string::npos);
}

TEST_F(Flows, events_flow_as_they_come) {
  start();
  origin_.answer_with({.pieces = {"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n",
                                  "data: 1\n\n", "data: 2\n\n"}});
  RawClient client{world_};
  client.send(ask);
  pass(milliseconds{20});
  for (const char* event : {"9\r\ndata: 1\n\n\r\n", "9\r\ndata: 2\n\n\r\n"}) {
    pass(milliseconds{25});
    EXPECT_TRUE(client.text().ends_with(event)) << client.text();
  }
  EXPECT_EQ(client.text().find("0\r\n\r\n"), std::string::npos) << "not over";
}

TEST_F(Flows, body_timeout_of_nothing_lets_a_silent_stream_live) {
  config_.upstreams.front().timeouts.body = core::Duration{0};
  start();
  origin_.answer_with(
      {.pieces = {"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n"}});
  RawClient client{world_};
  client.send(ask);
  pass(std::chrono::hours{3});
  EXPECT_FALSE(client.is_closed());
}

TEST_F(Flows, silent_stream_is_cut_and_does_not_look_complete) {
  start();
  origin_.answer_with({.pieces = {"HTTP/1.1 200 OK\r\n\r\nhello"}});
  RawClient client{world_};
  client.send(ask);
  pass(config_.upstreams.front().timeouts.body + seconds{2});
  EXPECT_TRUE(client.answers().starts_with("incomplete")) << client.answers();
  EXPECT_TRUE(client.is_closed());
  EXPECT_TRUE(logged("upstream.body_timeout"));
}

TEST_F(Flows, hundred_continue_is_ours_to_say_once_everything_is_well) {
  start();
  RawClient client{world_};
  client.send("POST /e HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n\r\n");
  pass(milliseconds{200});
  EXPECT_EQ(client.text(), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("hello");
  pass(milliseconds{200});
  EXPECT_EQ(client.answers(), "100, 200");
  EXPECT_EQ(origin_.arrived(), "POST /e hello");
  EXPECT_EQ(origin_.messages().front().field("expect"), nullptr);
  // Whoever does not wait is told nothing.
  RawClient hasty{world_};
  hasty.send(
      "POST /e HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello");
  pass(milliseconds{200});
  EXPECT_EQ(hasty.answers(), "200");
}

// --- whose connection it is ------------------------------------------------------------------

std::string version_2(unsigned command, unsigned family, const std::string& addresses) {
  std::string header{"\r\n\r\n\0\r\nQUIT\n", 12};
  header += static_cast<char>(0x20 | command);
  header += static_cast<char>(family);
  header += static_cast<char>(addresses.size() >> 8);
  header += static_cast<char>(addresses.size());
  return header + addresses;
}

class ProxyProtocol : public Flows {
 protected:
  void start() {
    config_.listeners.front().proxy_protocol = config::ProxyProtocol::required;
    if (config_.trusted.empty())
      config_.trusted.push_back(
          *core::Cidr::parse("10.0.0.0/8"));  // the client of the rig is in it
    Flows::start();
  }
  // Who the endpoint is told that it was, or how it ended.
  std::string client_of(const std::string& header, size_t cut = std::string::npos) {
    origin_.forget();
    RawClient client{world_};
    const std::string all = header + ask;
    client.send(std::string_view{all}.substr(0, cut));
    pass(milliseconds{100});
    if (cut < all.size()) client.send(std::string_view{all}.substr(cut));
    pass(milliseconds{200});
    if (origin_.messages().empty()) return client.is_closed() ? "closed" : "waits";
    return *origin_.messages().front().field("x-forwarded-for");
  }
};

TEST_F(ProxyProtocol, says_who_the_client_is_however_it_is_cut) {
  start();
  const std::string ipv6_addresses = std::string{"\x20\x01\x0d\xb8", 4} + std::string(11, '\0') +
                                     "\x05" + std::string(16, '\0') +
                                     std::string{"\x11\x5c\x1f\x40", 4};
  const std::string ipv4_addresses{"\xc0\x00\x02\x07\x0a\x00\x00\x01\x11\x5c\x1f\x40", 12};
  const std::vector<std::pair<std::string, std::string>> table = {
      {"PROXY TCP4 192.0.2.7 10.0.0.1 4444 8000\r\n", "192.0.2.7"},
      {"PROXY TCP6 2001:db8::5 ::1 4444 8000\r\n", "2001:db8::5"},
      {"PROXY UNKNOWN\r\n", "10.0.0.1"},
      {"PROXY UNKNOWN 192.0.2.7 10.0.0.1 4444 8000\r\n", "10.0.0.1"},
      {version_2(1, 0x11, ipv4_addresses), "192.0.2.7"},
      {version_2(1, 0x21, ipv6_addresses), "2001:db8::5"},
      {version_2(1, 0x11, ipv4_addresses + std::string{"\x03\x00\x04\1\2\3\4", 7}), "192.0.2.7"},
      {version_2(1, 0x11, ipv4_addresses + std::string(4000, '\x04')), "192.0.2.7"},
      {version_2(0, 0x00, ""), "10.0.0.1"},
      {version_2(0, 0x11, ipv4_addresses), "10.0.0.1"},
      {version_2(1, 0x31, std::string(216, 'x')), "10.0.0.1"},
      {version_2(1, 0x00, ""), "10.0.0.1"},
  };
  for (const auto& [header, who] : table) {
    for (size_t cut = 1; cut <= header.size() + 1; cut += header.size() / 120 + 1) {
      ASSERT_EQ(client_of(header, cut), who) << header << ", cut at " << cut;
    }
  }
}

TEST_F(ProxyProtocol, what_is_none_closes_the_connection) {
  start();
  const std::string ipv4_addresses{"\xc0\x00\x02\x07\x0a\x00\x00\x01\x11\x5c\x1f\x40", 12};
  const std::vector<std::string> table = {
      "",
      "proxy TCP4 192.0.2.7 10.0.0.1 4444 8000\r\n",
      "PROXY TCP4 192.0.2.7 10.0.0.1 4444 8000\n",
      "PROXY  TCP4 192.0.2.7 10.0.0.1 4444 8000\r\n",
      "PROXY TCP4 192.0.2.7 10.0.0.1 4444\r\n",
      "PROXY TCP4 192.0.2.7 10.0.0.1 4444 8000 1\r\n",
      "PROXY TCP4 192.0.2.7 10.0.0.1 04444 8000\r\n",
      "PROXY TCP4 192.0.2.7 10.0.0.1 65536 8000\r\n",
      "PROXY TCP4 192.0.2.256 10.0.0.1 4444 8000\r\n",
      "PROXY TCP4 2001:db8::5 ::1 4444 8000\r\n",
      "PROXY TCP6 192.0.2.7 10.0.0.1 4444 8000\r\n",
      "PROXY TCP5 192.0.2.7 10.0.0.1 4444 8000\r\n",
      "PROXY UNKNOWN " + std::string(100, 'x') + "\r\n",
      version_2(2, 0x11, ipv4_addresses),
      version_2(1, 0x11, ipv4_addresses.substr(1)),
      version_2(1, 0x21, ipv4_addresses),
      version_2(1, 0x11, ipv4_addresses + std::string(5000, 'x')),
      std::string{"\r\n\r\n\0\r\nQUIT\n\x11\x11\0\x0c", 16} + ipv4_addresses,
  };
  for (const std::string& header : table) EXPECT_EQ(client_of(header), "closed") << header;
  EXPECT_EQ(counters().proxy_headers_refused.get(), table.size());
}

TEST_F(ProxyProtocol, nobody_speaks_it_who_is_not_trusted_or_takes_too_long) {
  config_.trusted.push_back(*core::Cidr::parse("192.168.0.0/16"));
  start();
  EXPECT_EQ(client_of("PROXY TCP4 192.0.2.7 10.0.0.1 4444 8000\r\n"), "closed");
  EXPECT_EQ(counters().proxy_headers_refused.get(), 1U);
}

TEST_F(ProxyProtocol, has_a_deadline_and_what_it_says_is_no_longer_trusted_by_itself) {
  start();
  {
    RawClient client{world_};
    client.send("PROXY TCP4 192.0.2.7 ");
    pass(config_.timeouts.head - seconds{1});
    EXPECT_FALSE(client.is_closed());
    pass(seconds{3});
    EXPECT_TRUE(client.is_closed());
  }
  EXPECT_EQ(counters().proxy_headers_refused.get(), 1U);
  // X-Forwarded-For is for those whom the header names, and 192.0.2.7 is no proxy of ours.
  RawClient forger{world_};
  forger.send(
      "PROXY TCP4 192.0.2.7 10.0.0.1 4444 8000\r\nGET /a HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: "
      "6.6.6.6\r\n\r\n");
  pass(milliseconds{200});
  EXPECT_EQ(*origin_.messages().back().field("x-forwarded-for"), "192.0.2.7");
  EXPECT_NE(gateway_->last_log().find("\"client\":\"192.0.2.7\""), std::string::npos);
  // And a second header on the same connection is a broken request.
  forger.send("PROXY TCP4 192.0.2.8 10.0.0.1 4444 8000\r\n" + ask);
  pass(milliseconds{200});
  EXPECT_EQ(forger.answers(), "200, 400 http.request_line, closed");
}

// --- slow and many ---------------------------------------------------------------------------

TEST_F(Flows, slow_heads_have_ten_seconds_however_they_trickle) {
  start();
  RawClient client{world_};
  const std::string head = "GET /a HTTP/1.1\r\nHost: a\r\nX: " + std::string(100, 'x');
  for (size_t at = 0; at < head.size() && !client.is_closed(); ++at) {
    client.send(head.substr(at, 1));
    pass(milliseconds{500});
  }
  EXPECT_EQ(client.answers(), "408 http.head_timeout, closed");
  EXPECT_LT(world_.now() - core::Instant{seconds{1'000'000}}, seconds{13});
}

TEST_F(Flows, body_below_its_least_rate_is_refused) {
  start();
  RawClient client{world_};
  client.send("POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
  for (int second = 0; second < 80 && !client.is_closed(); ++second) {
    client.send("x");
    pass(seconds{1});
  }
  EXPECT_EQ(client.answers(), "408 http.body_timeout, closed");
}

TEST_F(Flows, body_that_stops_is_refused) {
  start();
  RawClient client{world_};
  client.send("POST /slow HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel");
  pass(config_.timeouts.body + seconds{2});
  EXPECT_EQ(client.answers(), "408 http.body_timeout, closed");
}

TEST_F(Flows, room_is_made_by_those_that_are_idle_longest_and_then_nobody_is_let_in) {
  config_.bounds.connections = config_.bounds.connections_per_address = 300;
  start();
  std::vector<std::unique_ptr<RawClient>> idle;
  for (int i = 0; i < 299; ++i) {
    idle.push_back(std::make_unique<RawClient>(world_));
    pass(milliseconds{30});
  }
  EXPECT_EQ(counters().connections_shed.get(), 0U);
  RawClient one_more{world_};
  one_more.send(ask);
  pass(milliseconds{500});
  EXPECT_EQ(one_more.answers(), "200");
  EXPECT_GE(counters().connections_shed.get(), 1U);
  EXPECT_TRUE(idle.front()->is_closed()) << "the oldest goes";
  EXPECT_FALSE(idle.back()->is_closed());
}

TEST_F(Flows, last_request_of_a_connection_is_announced) {
  config_.bounds.requests_per_connection = 3;
  start();
  RawClient client{world_};
  for (int i = 0; i < 2; ++i) {
    client.send(ask);
    pass(milliseconds{100});
  }
  EXPECT_EQ(client.text().find("Connection: close"), std::string::npos);
  EXPECT_EQ(client.answers(), "200, 200");
  client.send(ask);
  pass(milliseconds{100});
  EXPECT_NE(client.text().find("Connection: close"), std::string::npos);
  EXPECT_EQ(client.answers(), "200, closed");
}

TEST_F(Flows, busy_connections_are_never_shed) {
  config_.bounds = {.connections = 260,
                    .exchanges = 400,
                    .upstream_connections = 400,
                    .limiter_keys = 100,
                    .connections_per_address = 300};
  start();
  std::vector<std::unique_ptr<RawClient>> busy;
  for (int i = 0; i < 260; ++i) {
    origin_.answer_with({});  // never
    busy.push_back(std::make_unique<RawClient>(world_));
    busy.back()->send(ask);
    pass(milliseconds{60});
  }
  RawClient waiting{world_};
  waiting.send(ask);
  pass(seconds{2});
  EXPECT_EQ(waiting.answers(), "") << "it waits in the backlog";
  EXPECT_EQ(counters().connections_shed.get(), 0U);
  for (const auto& client : busy) EXPECT_FALSE(client->is_closed());
  busy.clear();
  pass(seconds{2});
  EXPECT_EQ(waiting.answers(), "200");
}

TEST_F(Flows, lingering_is_bounded) {
  start();
  RawClient client{world_};
  client.send("GET /a HTTP/1.1\nHost: a\r\n\r\n");
  pass(milliseconds{100});
  int pushes = 0;
  for (; pushes < 10'000 && counters().connections_open.get() > 0; ++pushes) {
    client.send(std::string(10'000, 'x'));
    pass(milliseconds{20});
  }
  EXPECT_LE(pushes, 11 * 50) << "ten seconds";
  EXPECT_GE(pushes, 9 * 50);
  EXPECT_EQ(client.answers(), "400 http.bare_lf, closed");
}

}  // namespace
}  // namespace sluice::conformance
