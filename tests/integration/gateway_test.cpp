// The gateway as it ships, over real sockets on free ports, with the example service behind it and
// real clients before it.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <fstream>
#include <thread>

#include "tests/integration/fixture.h"

namespace sluice {
namespace {

std::string run(const std::string& command) {
  std::string output;
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  std::array<char, 4096> piece;
  size_t got = 0;
  while ((got = std::fread(piece.data(), 1, piece.size(), pipe)) > 0)
    output.append(piece.data(), got);
  ::pclose(pipe);
  return output;
}

TEST_F(GatewayTest, request_goes_through_and_is_refused_without_a_token) {
  start();
  EXPECT_TRUE(
      ask(request("GET /api/hello", "Connection: close\r\n")).starts_with("HTTP/1.1 200 OK\r\n"));
  const std::string refused =
      ask("GET /api/hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(refused.starts_with("HTTP/1.1 401 Unauthorized\r\n"));
  EXPECT_NE(refused.find("WWW-Authenticate: Bearer realm=\"sluice\"\r\n"), std::string::npos);
  EXPECT_TRUE(ask("GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                  .starts_with("HTTP/1.1 200 OK\r\n"));
}

TEST_F(GatewayTest, load_balancer_says_who_the_client_is) {
  config_.listeners.front().proxy_protocol = config::ProxyProtocol::required;
  config_.trusted.push_back(*core::Cidr::parse("127.0.0.0/8"));
  start();
  const std::string command = "curl -sf --haproxy-protocol -H 'Authorization: Bearer " + token() +
                              "' " + url("/echo") + " -d hello";
  EXPECT_EQ(std::system((command + " | grep -q hello").c_str()), 0);
  EXPECT_EQ(ask("GET /health HTTP/1.1\r\nHost: a\r\n\r\n"), "")
      << "without a header nobody is heard";
}

TEST_F(GatewayTest, pipelined_requests_are_answered_in_order) {
  start();
  Connection connection{gateway_->port()};
  std::string all;
  for (int i = 0; i < 20; ++i) all += request("GET /bytes?n=" + std::to_string(i));
  connection.send(all + request("GET /health", "Connection: close\r\n"));
  const std::string answers = connection.read_all();
  size_t at = 0;
  for (int i = 1; i < 20; ++i) {
    const size_t found = answers.find("Content-Length: " + std::to_string(i) + "\r\n", at);
    ASSERT_NE(found, std::string::npos) << i;
    at = found;
  }
}

TEST_F(GatewayTest, large_bodies_arrive_whole_both_ways) {
  start();
  std::string body(5'000'000, 'x');
  for (size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>(i * 2654435761U >> 13);
  for (const bool chunked : {false, true}) {
    std::string encoded = body;
    if (chunked) {
      encoded.clear();
      for (size_t at = 0; at < body.size(); at += 70'000) {
        const size_t size = std::min<size_t>(70'000, body.size() - at);
        char line[16];
        std::snprintf(line, sizeof line, "%zx\r\n", size);
        encoded += line + body.substr(at, size) + "\r\n";
      }
      encoded += "0\r\n\r\n";
    }
    const std::string framing = chunked ? "Transfer-Encoding: chunked\r\n"
                                        : "Content-Length: " + std::to_string(body.size()) + "\r\n";
    const std::string answer =
        ask(request("POST /echo", framing + "Connection: close\r\n", encoded));
    const size_t head = answer.find("\r\n\r\n");
    ASSERT_NE(head, std::string::npos);
    EXPECT_TRUE(answer.substr(head + 4) == body) << "chunked " << chunked;
  }
  const std::string answer = ask(request("GET /bytes?n=30000000", "Connection: close\r\n"));
  EXPECT_EQ(answer.size() - answer.find("\r\n\r\n") - 4, 30'000'000U);
}

TEST_F(GatewayTest, old_client_gets_the_body_without_chunks) {
  start();
  const std::string answer =
      ask("GET /chunked?n=100000 HTTP/1.0\r\nAuthorization: Bearer " + token() + "\r\n\r\n");
  EXPECT_EQ(answer.find("Transfer-Encoding"), std::string::npos);
  EXPECT_EQ(answer.size() - answer.find("\r\n\r\n") - 4, 100'000U);
}

TEST_F(GatewayTest, body_is_asked_for_once_token_and_endpoint_are_well) {
  start();
  Connection connection{gateway_->port()};
  connection.send(request("POST /echo", "Content-Length: 5\r\nExpect: 100-continue\r\n"));
  EXPECT_EQ(connection.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  connection.send("hello");
  EXPECT_TRUE(connection.read_until("hello").starts_with("HTTP/1.1 200 OK\r\n"));
  Connection refused{gateway_->port()};
  refused.send(
      "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_TRUE(refused.read_all().starts_with("HTTP/1.1 401 "));
}

TEST_F(GatewayTest, slow_and_missing_endpoints_have_their_status) {
  config_.upstreams.front().timeouts.head = std::chrono::milliseconds{100};
  start();
  EXPECT_TRUE(ask(request("GET /slow?ms=60000", "Connection: close\r\n"))
                  .starts_with("HTTP/1.1 504 Gateway Timeout\r\n"));
  gateway_->stop();
  config_.upstreams.front().endpoints.front().destination =
      core::SocketAddress::ipv4(0x7f000001, 1);
  start();
  const std::string refused = ask(request("GET /", "Connection: close\r\n"));
  EXPECT_TRUE(refused.starts_with("HTTP/1.1 502 Bad Gateway\r\n"));
  EXPECT_NE(refused.find("\"code\":\"upstream.refused\""), std::string::npos);
  EXPECT_EQ(refused.find("127.0.0.1"), std::string::npos) << "no address is revealed";
}

TEST_F(GatewayTest, bounds_of_heads_and_bodies_answer_and_close) {
  config_.bounds.request_body_bytes = 1000;
  config_.timeouts.head = std::chrono::milliseconds{200};
  start();
  EXPECT_TRUE(ask(request("POST /echo", "Content-Length: 1001\r\n", std::string(1001, 'x')))
                  .starts_with("HTTP/1.1 413 "));
  EXPECT_TRUE(ask(request("POST /echo", "Transfer-Encoding: chunked\r\n",
                          "7d0\r\n" + std::string(2000, 'x') + "\r\n0\r\n\r\n"))
                  .starts_with("HTTP/1.1 413 "));
  EXPECT_TRUE(ask("GET /" + std::string(9000, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n")
                  .starts_with("HTTP/1.1 414 "));
  EXPECT_TRUE(ask("GET / HTTP/1.1\r\nHost: a\r\nA: " + std::string(40'000, 'a') + "\r\n\r\n")
                  .starts_with("HTTP/1.1 431 "));
  EXPECT_TRUE(ask("GET / HTT").starts_with("HTTP/1.1 408 "));
  EXPECT_TRUE(ask("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").starts_with("HTTP/1.1 400 "));
  EXPECT_TRUE(ask("CONNECT a:80 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                  .starts_with("HTTP/1.1 405 "));
}

TEST_F(GatewayTest, field_that_is_dropped_for_its_underscore_is_said_once_a_minute_by_name) {
  config_.cores.resize(1);
  start();
  const auto said = [&] {
    std::string text;
    for (const std::string& notice : gateway_->take_notices()) text += notice + "\n";
    return text;
  };
  EXPECT_EQ(said(), "");
  for (int i = 0; i < 3; ++i)
    static_cast<void>(ask(request("GET /", "api_key: secret\r\nConnection: close\r\n")));
  EXPECT_EQ(said(),
            "a field with a '_' in its name was dropped, for example api_key; underscores: pass in "
            "the route lets such fields through\n");
  static_cast<void>(ask(request("GET /", "other_key: x\r\nConnection: close\r\n")));
  EXPECT_EQ(said(), "") << "a minute has not passed";
  EXPECT_EQ(metric("gateway_dropped_fields_total"), 4U);
}

TEST_F(GatewayTest, limit_admits_exactly_burst_and_one_over_all_cores) {
  policy_ = {.rate = {1, 3'600'000'000'000}, .burst = 5, .delay = 5};
  start();
  // Many connections at once; whichever core they land on, one core owns the key.
  const std::string command =
      "ab -q -n 60 -c 12 -H 'Authorization: Bearer " + token() + "' " + url("/api/hello");
  const std::string output = run(command);
  EXPECT_NE(output.find("Complete requests:      60"), std::string::npos) << output;
  EXPECT_NE(output.find("Non-2xx responses:      54"), std::string::npos) << output;
  const std::string refused = ask(request("GET /", "Connection: close\r\n"));
  EXPECT_NE(refused.find("Retry-After: "), std::string::npos);
}

TEST_F(GatewayTest, burst_is_shaped_to_the_rate) {
  policy_ = {.rate = {1, 20'000'000}, .burst = 5, .delay = 0};
  start();
  const auto begin = std::chrono::steady_clock::now();
  const std::string output =
      run("ab -q -n 6 -c 6 -H 'Authorization: Bearer " + token() + "' " + url("/api/hello"));
  EXPECT_EQ(output.find("Non-2xx"), std::string::npos) << output;
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds{100})
      << "six at one each 20 ms";
}

TEST_F(GatewayTest, curl_is_served) {
  start();
  const std::string auth = " -H 'Authorization: Bearer " + token() + "' ";
  EXPECT_EQ(run("curl -s -o /dev/null -w '%{http_code} %{size_download}'" + auth + "'" +
                url("/bytes?n=1000000") + "'"),
            "200 1000000");
  EXPECT_EQ(run("curl -s -o /dev/null -w '%{http_code} %{size_download}'" + auth + "'" +
                url("/chunked?n=1000000") + "'"),
            "200 1000000");
  EXPECT_EQ(
      run("curl -s -I -o /dev/null -w '%{http_code}'" + auth + "'" + url("/bytes?n=10") + "'"),
      "200");
  EXPECT_EQ(run("head -c 300000 /dev/zero | curl -s -T - -o /dev/null -w '%{http_code} "
                "%{size_download}'" +
                auth + "'" + url("/echo") + "'"),
            "200 300000");
  EXPECT_EQ(run("curl -s -o /dev/null -w '%{http_code}'" + auth + "--path-as-is '" +
                url("/status/404/../204") + "'"),
            "204");
}

TEST_F(GatewayTest, metrics_satisfy_promtool) {
  start();
  ask(request("GET /api/hello", "Connection: close\r\n"));
  const std::string output =
      run("curl -s " + url("/metrics") + " | promtool check metrics && echo fine");
  EXPECT_EQ(output, "fine\n");
}

TEST_F(GatewayTest, cores_serve_while_the_pool_works) {
  start();
  std::atomic<int> working{4};
  std::vector<std::thread> workers;
  for (int i = 0; i < 4; ++i) {
    workers.emplace_back([&] {
      EXPECT_TRUE(ask(request("GET /demo/work?ms=300", "Connection: close\r\n"))
                      .starts_with("HTTP/1.1 200 "));
      --working;
    });
  }
  int served = 0;
  while (working > 0) {
    EXPECT_TRUE(
        ask(request("GET /api/hello", "Connection: close\r\n")).starts_with("HTTP/1.1 200 "));
    ++served;
  }
  for (auto& worker : workers) worker.join();
  EXPECT_GT(served, 10);
  EXPECT_TRUE(
      ask(request("GET /demo/work?ms=1001", "Connection: close\r\n")).starts_with("HTTP/1.1 400 "));
}

TEST_F(GatewayTest, drain_finishes_what_is_in_flight_and_says_so) {
  start();
  Connection slow{gateway_->port()};
  slow.send(request("GET /slow?ms=300"));
  Connection idle{gateway_->port()};
  idle.send(request("GET /api/hello"));
  idle.read_until("}\n");
  // The slow one has reached the endpoint once the gateway counts it.
  while (ask("GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
             .find("gateway_requests_in_flight 2") == std::string::npos) {
  }
  gateway_->begin_drain();
  EXPECT_EQ(idle.read_all(), "") << "an idle connection closes";
  const std::string answer = slow.read_all();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n"));
  EXPECT_NE(answer.find("Connection: close\r\n"), std::string::npos);
  EXPECT_TRUE(gateway_->wait(std::chrono::seconds{10}));
  const auto report = gateway_->stop();
  EXPECT_EQ(report.finished, 1U);
  EXPECT_EQ(report.cut, 0U);
  EXPECT_FALSE(Connection{gateway_->port()}.is_connected());
  gateway_.reset();
}

TEST_F(GatewayTest, cut_refuses_what_waits_and_counts_it) {
  start();
  Connection slow{gateway_->port()};
  slow.send(request("GET /slow?ms=600000"));
  while (ask("GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
             .find("gateway_requests_in_flight 2") == std::string::npos) {
  }
  gateway_->begin_drain();
  gateway_->cut();
  EXPECT_TRUE(slow.read_all().starts_with("HTTP/1.1 503 "));
  EXPECT_TRUE(gateway_->wait(std::chrono::seconds{10}));
  EXPECT_EQ(gateway_->stop().cut, 1U);
  gateway_.reset();
}

TEST_F(GatewayTest, second_gateway_on_the_port_is_told) {
  start();
  config_.listeners.front().address = core::SocketAddress::ipv4(0x7f000001, gateway_->port());
  gateway::Gateway second{config_};
  const auto failure = second.start();
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->exit_code, gateway::exit_cannot_bind);
  EXPECT_NE(failure->text.find("another program uses this port"), std::string::npos);
}

TEST_F(GatewayTest, idle_connections_beyond_the_bound_give_way) {
  config_.bounds.connections = 300;
  config_.bounds.connections_per_address = 2000;
  start();
  std::vector<std::unique_ptr<Connection>> idle;
  for (int i = 0; i < 1500; ++i) {
    idle.push_back(std::make_unique<Connection>(gateway_->port()));
    ASSERT_TRUE(idle.back()->is_connected());
  }
  EXPECT_TRUE(ask(request("GET /api/hello", "Connection: close\r\n")).starts_with("HTTP/1.1 200 "));
  EXPECT_EQ(ask("GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                .find("gateway_connections_shed_total 0\n"),
            std::string::npos);
}

// sd_notify(3)'s protocol, without a service manager: the socket is the test's own.
TEST(Notify, service_manager_hears_ready_and_stopping) {
  const int manager = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = "sluice-test-" + std::to_string(::getpid());
  name.copy(address.sun_path + 1, name.size());
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  ASSERT_EQ(::bind(manager, reinterpret_cast<const sockaddr*>(&address), size), 0);
  const std::string pid =
      run("NOTIFY_SOCKET=@" + name +
          " JWT_SECRET=mysecret " SLUICE_BINARY
          " run --listen 127.0.0.1:0 --log none --cores 1 >/dev/null 2>&1 & echo $!");
  const auto next = [&] {
    pollfd readable{.fd = manager, .events = POLLIN, .revents = 0};
    if (::poll(&readable, 1, 20'000) <= 0) return std::string{"nothing"};
    std::array<char, 256> text;
    const ssize_t got = ::recv(manager, text.data(), text.size(), 0);
    return std::string{text.data(), static_cast<size_t>(std::max<ssize_t>(got, 0))};
  };
  EXPECT_EQ(next(), "READY=1");
  ::kill(std::stoi(pid), SIGTERM);
  EXPECT_EQ(next(), "STOPPING=1");
  ::close(manager);
}

TEST_F(GatewayTest, client_that_leaves_frees_its_place_at_once) {
  start();
  {
    Connection leaving{gateway_->port()};
    leaving.send(request("GET /slow?ms=600000"));
    while (ask("GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
               .find("gateway_requests_in_flight 2") == std::string::npos) {
    }
  }
  while (ask("GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
             .find("gateway_requests_in_flight 1") == std::string::npos) {
  }
  const std::string metrics = ask("GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_NE(metrics.find("status=\"499\",reason=\"downstream.closed\"} 1"), std::string::npos);
}

}  // namespace
}  // namespace sluice
