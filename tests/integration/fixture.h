// A gateway as it ships, on a free port, with the example service behind it; and a client that says
// any bytes.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include "auth/mint.h"
#include "cli/example_service.h"
#include "config/reader.h"
#include "core/affinity.h"
#include "gateway/gateway.h"

namespace sluice {

inline constexpr std::string_view secret = "mysecret";

class Connection {
 public:
  // `from`: a loopback address of the client's choice, host order.
  explicit Connection(uint16_t port, uint32_t from = 0x7f000001)
      : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const auto own = core::SocketAddress::ipv4(from, 0);
    if (::bind(socket_, own.data(), own.size()) != 0) return;
    const auto address = core::SocketAddress::ipv4(0x7f000001, port);
    connected_ = ::connect(socket_, address.data(), address.size()) == 0;
  }
  ~Connection() { ::close(socket_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  [[nodiscard]] bool is_connected() const { return connected_; }
  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
  }
  // Until the text ends with `end` or the connection closes.
  std::string read_until(std::string_view end) {
    while (!text_.ends_with(end)) {
      if (!receive()) break;
    }
    return std::exchange(text_, {});
  }
  std::string read_all() {
    while (receive()) {
    }
    return std::exchange(text_, {});
  }
  void finish() { ::shutdown(socket_, SHUT_WR); }
  void reset_on_close() {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  }

 private:
  bool receive() {
    pollfd readable{.fd = socket_, .events = POLLIN, .revents = 0};
    if (::poll(&readable, 1, 20'000) <= 0) return false;
    std::array<char, 65536> piece;
    const ssize_t got = ::recv(socket_, piece.data(), piece.size(), 0);
    if (got <= 0) return false;
    text_.append(piece.data(), static_cast<size_t>(got));
    return true;
  }
  int socket_;
  bool connected_ = false;
  std::string text_;
};

inline std::string token(const std::string& subject = "tester") {
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  return auth::mint({.secret = secret,
                     .subject = subject,
                     .issued_at = now,
                     .expires = now + std::chrono::hours{1}});
}

inline std::string request(const std::string& line, const std::string& fields = "",
                           const std::string& body = "") {
  return line + " HTTP/1.1\r\nHost: sluice.test\r\nAuthorization: Bearer " + token() + "\r\n" +
         fields + "\r\n" + body;
}

class GatewayTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_FALSE(service_.listen(core::SocketAddress::ipv4(0x7f000001, 0)));
    service_.start();
    config_.listeners.front().address = core::SocketAddress::ipv4(0x7f000001, 0);
    config::add_upstream(config_, "default", core::SocketAddress::ipv4(0x7f000001, service_.port()),
                         "127.0.0.1:" + std::to_string(service_.port()));
    config::add_secret_auth(config_, "main", std::string{secret});
    config_.log_path = "none";
    config_.sandbox = config::Sandbox::off;  // the test's own process would be in it
    config_.demo_routes = config::DemoRoutes::on;
    config_.bounds = {
        .connections = 600, .exchanges = 128, .upstream_connections = 64, .limiter_keys = 1000};
    const auto cores = core::available_cores();
    config_.cores = {cores.front(), cores.back()};
    // More workers than cores: for whoever looks for races.
    if (const char* workers = std::getenv("SLUICE_TEST_WORKERS"); workers != nullptr)
      config_.cores.resize(std::stoul(workers), cores.front());
  }
  // From a configuration file's text in which UPSTREAM stands for the example service.
  void start(std::string yaml) {
    const auto at = yaml.find("UPSTREAM");
    if (at != std::string::npos)
      yaml.replace(at, 8, "http://127.0.0.1:" + std::to_string(service_.port()));
    ::setenv("GATEWAY_TEST_SECRET", std::string{secret}.c_str(), 1);
    config::ConfigReading reading = config::read_config_text("test.yaml", yaml);
    for (const std::string& complaint : reading.complaints) ADD_FAILURE() << complaint;
    ASSERT_TRUE(reading.config);
    const config::Config mine = config_;
    config_ = *reading.config;
    config_.listeners = mine.listeners;
    config_.log_path = mine.log_path;
    config_.sandbox = mine.sandbox;
    config_.bounds = mine.bounds;
    config_.cores = mine.cores;
    run_gateway();
  }
  void start() {
    config::add_default_routes(config_, policy_);
    config::complete(config_);
    run_gateway();
  }
  void run_gateway() {
    gateway_ = std::make_unique<gateway::Gateway>(config_);
    const auto failure = gateway_->start();
    ASSERT_FALSE(failure) << failure->text;
  }
  void TearDown() override {
    if (gateway_ == nullptr) return;
    const std::string metrics =
        ask("GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    if (!metrics.empty()) {
      for (const char* line :
           {"\ngateway_engine_io_workers 0\n", "\ngateway_engine_stale_completions_total 0\n",
            "\ngateway_engine_unexpected_errors_total 0\n"}) {
        EXPECT_NE(metrics.find(line), std::string::npos) << line;
      }
    }
    gateway_->stop();
  }
  std::string ask(const std::string& bytes, uint32_t from = 0x7f000001) {
    Connection connection{gateway_->port(), from};
    connection.send(bytes);
    return connection.read_all();
  }
  // The value of a metric, with its labels as they are written.
  uint64_t metric(const std::string& name) {
    const std::string text = ask("GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    const auto at = text.find("\n" + name + " ");
    return at == std::string::npos
               ? UINT64_MAX
               : std::strtoull(text.c_str() + at + name.size() + 2, nullptr, 10);
  }
  std::string url(const std::string& path) {
    return "http://127.0.0.1:" + std::to_string(gateway_->port()) + path;
  }

  cli::ExampleService service_;
  config::Config config_;
  limiter::Policy policy_{.rate = {1, 100}, .burst = 1'000'000, .delay = 1'000'000};
  std::unique_ptr<gateway::Gateway> gateway_;
};

}  // namespace sluice
