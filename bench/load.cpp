// A load generator that does not wait for whom it measures: requests begin at a fixed rate, each at
// its intended instant, and latency counts from that instant, however late a connection was free
// for it (open loop). Without a rate every connection asks again as soon as it was answered (closed
// loop). Connections come from as many loopback addresses as wanted; they are kept, or each request
// opens one and waits for its end. Paths are asked for by turns, so answers of mixed sizes come; a
// token is a connection's, or another one each request.
//
// One thread, epoll; `load --help` names the options. Prints one line:  requests/s errors p50 p90
// p95 p99 p99.9 max (ms)
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fstream>
#include <string>
#include <vector>

#include "bench/histogram.h"
#include "core/address.h"

namespace {

using namespace sluice;
using Clock = std::chrono::steady_clock;

enum class Lifetime : uint8_t { kept, each_request };

struct Options {
  uint16_t port = 0;
  double rate = 0;  // requests a second; 0: closed loop
  double seconds = 5;
  unsigned connections = 64;
  unsigned addresses = 1;
  Lifetime connection = Lifetime::kept;
  Lifetime token = Lifetime::kept;
  std::string tokens, json, svg;
  std::vector<std::string> paths{"/"};
};

struct Connection {
  enum class State : uint8_t { idle, awaiting_head, awaiting_body };
  State state = State::idle;
  int socket = -1;
  std::string head;        // of the answer, as far as it has come
  uint64_t body_left = 0;  // awaiting_body
  bool closes = false;     // as the answer says
  Clock::time_point intended{};
};

class Load {
 public:
  explicit Load(const Options& options)
      : options_(options),
        epoll_(::epoll_create1(EPOLL_CLOEXEC)),
        connections_(options.connections) {
    if (!options.tokens.empty()) {
      std::ifstream file{options.tokens};
      for (std::string line; std::getline(file, line);) tokens_.push_back(line);
      if (tokens_.empty())
        std::fprintf(stderr, "load: no tokens in %s\n", options.tokens.c_str()), std::exit(1);
    }
    for (unsigned index = 0; index < connections_.size(); ++index) {
      if (options.connection == Lifetime::kept) open(index);
      idle_.push_back(index);
    }
  }

  void run() {
    begin_ = Clock::now();
    const auto end = begin_ + std::chrono::duration_cast<Clock::duration>(
                                  std::chrono::duration<double>(options_.seconds));
    const auto give_up = end + std::chrono::seconds{5};
    while (Clock::now() < end || (in_flight_ > 0 && Clock::now() < give_up)) {
      const auto now = Clock::now();
      if (now < end) send_due(now);
      wait(now < end ? until_next(Clock::now()) : std::chrono::milliseconds{10});
    }
    errors_ += in_flight_;
    taken_ = std::chrono::duration<double>(Clock::now() - begin_).count();
  }
  void report() const;

 private:
  void open(unsigned index) {
    Connection& connection = connections_[index];
    connection.socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(connection.socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const unsigned number = index % options_.addresses;
    const auto from = core::SocketAddress::ipv4(0x7f010001 + (number / 250 << 8) + number % 250, 0);
    const auto to = core::SocketAddress::ipv4(0x7f000001, options_.port);
    if (::bind(connection.socket, from.data(), from.size()) != 0 ||
        ::connect(connection.socket, to.data(), to.size()) != 0) {
      std::fprintf(stderr, "load: can't connect to port %u: %s\n", options_.port,
                   std::strerror(errno));
      std::exit(1);
    }
    epoll_event event{.events = EPOLLIN, .data = {.u32 = index}};
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.socket, &event);
  }

  [[nodiscard]] Clock::time_point intended(uint64_t number) const {
    return begin_ + std::chrono::duration_cast<Clock::duration>(
                        std::chrono::duration<double>(static_cast<double>(number) / options_.rate));
  }
  [[nodiscard]] std::chrono::nanoseconds until_next(Clock::time_point now) const {
    if (options_.rate == 0 || idle_.empty()) return std::chrono::milliseconds{10};
    return std::max<std::chrono::nanoseconds>(std::chrono::nanoseconds{0}, intended(next_) - now);
  }

  void send_due(Clock::time_point now) {
    while (!idle_.empty() && (options_.rate == 0 || intended(next_) <= now)) {
      const unsigned index = idle_.front();
      Connection& connection = connections_[index];
      idle_.pop_front();
      connection.intended = options_.rate == 0 ? now : intended(next_);
      if (connection.socket < 0) open(index);
      write_request(index);
      ++next_;
      ++in_flight_;
      connection.state = Connection::State::awaiting_head;
      connection.head.clear();
      // A connection that broke meanwhile says so when it is read from.
      static_cast<void>(::send(connection.socket, request_.data(), request_.size(), MSG_NOSIGNAL));
    }
  }

  void write_request(unsigned index) {
    request_.assign("GET ")
        .append(options_.paths[next_ % options_.paths.size()])
        .append(" HTTP/1.1\r\nHost: load.example\r\n");
    request_.append("User-Agent: load\r\nAccept: */*\r\n");
    if (options_.connection == Lifetime::each_request) request_.append("Connection: close\r\n");
    if (!tokens_.empty()) {
      const uint64_t number = options_.token == Lifetime::kept ? index : next_;
      request_.append("Authorization: Bearer ")
          .append(tokens_[number % tokens_.size()])
          .append("\r\n");
    }
    request_.append("\r\n");
  }

  void wait(std::chrono::nanoseconds timeout) {
    epoll_event events[256];
    const timespec limit{
        .tv_sec = 0, .tv_nsec = static_cast<long>(std::min<int64_t>(timeout.count(), 999'999'999))};
    const int count = ::epoll_pwait2(epoll_, events, 256, &limit, nullptr);
    for (int i = 0; i < count; ++i) receive(events[i].data.u32);
  }

  void receive(unsigned index) {
    Connection& connection = connections_[index];
    const ssize_t got = ::recv(connection.socket, piece_.data(), piece_.size(), 0);
    if (got <= 0) {
      const bool was_asked = connection.state != Connection::State::idle;
      if (was_asked) ++errors_, --in_flight_;
      close(index);
      if (was_asked) idle_.push_back(index);  // else it is there already
      return;
    }
    uint64_t size = static_cast<uint64_t>(got);
    if (connection.state == Connection::State::awaiting_head)
      size = read_head(connection, {piece_.data(), size});
    if (connection.state != Connection::State::awaiting_body) return;
    connection.body_left -= std::min(connection.body_left, size);
    if (connection.body_left > 0) return;
    connection.state = Connection::State::idle;
    --in_flight_;
    histogram_.record(static_cast<uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - connection.intended)
            .count()));
    if (connection.closes || options_.connection == Lifetime::each_request) close(index);
    idle_.push_back(index);
  }

  // Returns how many of the bytes are of the body.
  uint64_t read_head(Connection& connection, std::string_view bytes) {
    connection.head.append(bytes);
    const size_t end = connection.head.find("\r\n\r\n");
    if (end == std::string::npos) return 0;
    const size_t length_at = connection.head.find("Content-Length: ");
    connection.body_left = 0;
    if (length_at < end)
      std::from_chars(connection.head.data() + length_at + 16, connection.head.data() + end,
                      connection.body_left);
    if (length_at > end || connection.head.compare(9, 3, "200") != 0) ++errors_;
    connection.closes = connection.head.find("Connection: close\r\n") < end || length_at > end;
    connection.state = Connection::State::awaiting_body;
    return connection.head.size() - end - 4;
  }

  void close(unsigned index) {
    Connection& connection = connections_[index];
    ::close(connection.socket);
    connection.socket = -1;
    connection.state = Connection::State::idle;
    if (options_.connection == Lifetime::kept) open(index);
  }

  Options options_;
  int epoll_;
  std::vector<Connection> connections_;
  std::vector<std::string> tokens_;
  std::string request_;
  std::vector<char> piece_ = std::vector<char>(256 * 1024);
  std::deque<unsigned> idle_;
  Clock::time_point begin_{};
  uint64_t next_ = 0;
  uint64_t in_flight_ = 0;
  uint64_t errors_ = 0;
  double taken_ = 0;
  bench::Histogram histogram_;
};

// Latency over percentiles, both on logarithmic scales: where a service begins to stumble is where
// the line turns up.
void write_svg(const std::string& path, const bench::Histogram& histogram) {
  std::ofstream out{path};
  constexpr double width = 800, height = 400, left = 70, bottom = 40;
  const double top_us = std::max<double>(1000, static_cast<double>(histogram.max()) * 1.2);
  const auto x = [&](double nines) { return left + nines / 5 * (width - left - 20); };
  const auto y = [&](double us) {
    return height - bottom -
           std::log10(std::max(10.0, us) / 10) / std::log10(top_us / 10) * (height - bottom - 20);
  };
  out << "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 800 400\" "
         "font-family=\"sans-serif\" font-size=\"12\">\n"
      << "<rect width=\"800\" height=\"400\" fill=\"white\"/>\n";
  const char* const names[] = {"0 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %"};
  for (int nines = 0; nines <= 5; ++nines) {
    out << "<line x1=\"" << x(nines) << "\" y1=\"20\" x2=\"" << x(nines) << "\" y2=\""
        << height - bottom << "\" stroke=\"#ddd\"/><text x=\"" << x(nines) << "\" y=\""
        << height - 18 << "\" text-anchor=\"middle\">" << names[nines] << "</text>\n";
  }
  for (double us = 10; us <= top_us; us *= 10) {
    out << "<line x1=\"" << left << "\" y1=\"" << y(us) << "\" x2=\"780\" y2=\"" << y(us)
        << "\" stroke=\"#ddd\"/><text x=\"" << left - 6 << "\" y=\"" << y(us) + 4
        << "\" text-anchor=\"end\">" << (us < 1000 ? us : us / 1000) << (us < 1000 ? " us" : " ms")
        << "</text>\n";
  }
  out << "<polyline fill=\"none\" stroke=\"#06c\" stroke-width=\"2\" points=\"";
  for (double nines = 0; nines <= 5; nines += 0.02) {
    const double share = 1 - std::pow(10, -nines);
    if ((1 - share) * static_cast<double>(histogram.count()) < 1) break;
    out << x(nines) << "," << y(static_cast<double>(histogram.percentile(share))) << " ";
  }
  out << "\"/>\n</svg>\n";
}

void Load::report() const {
  const auto ms = [&](double share) {
    return static_cast<double>(histogram_.percentile(share)) / 1e3;
  };
  const double rate = static_cast<double>(histogram_.count()) / options_.seconds;
  std::printf(
      "%.0f requests/s, %llu errors of %llu; ms: p50 %.3f p90 %.3f p95 %.3f p99 %.3f p99.9 %.3f "
      "max %.3f\n",
      rate, static_cast<unsigned long long>(errors_), static_cast<unsigned long long>(next_),
      ms(0.5), ms(0.9), ms(0.95), ms(0.99), ms(0.999), static_cast<double>(histogram_.max()) / 1e3);
  if (!options_.json.empty()) {
    std::ofstream out{options_.json};
    out << "{\"wanted_rate\":" << options_.rate << ",\"rate\":" << rate << ",\"requests\":" << next_
        << ",\"errors\":" << errors_ << ",\"connections\":" << options_.connections
        << ",\"addresses\":" << options_.addresses << ",\"p50_ms\":" << ms(0.5)
        << ",\"p90_ms\":" << ms(0.9) << ",\"p95_ms\":" << ms(0.95) << ",\"p99_ms\":" << ms(0.99)
        << ",\"p999_ms\":" << ms(0.999)
        << ",\"max_ms\":" << static_cast<double>(histogram_.max()) / 1e3 << "}\n";
  }
  if (!options_.svg.empty()) write_svg(options_.svg, histogram_);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{
      "Offers requests at a fixed rate, or as fast as they are answered; prints rate, errors and "
      "latencies"};
  const auto lifetime = [&app](const std::string& name, Lifetime& value,
                               const std::string& description) {
    const auto set = [&value](const std::string& text) {
      value = text == "new" ? Lifetime::each_request : Lifetime::kept;
    };
    app.add_option_function<std::string>(name, set, description)
        ->check(CLI::IsMember({"kept", "new"}));
  };
  app.add_option("--port", options.port, "on 127.0.0.1")->required();
  app.add_option("--rate", options.rate,
                 "requests a second; 0: each connection asks again once it is answered")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--seconds", options.seconds)->check(CLI::PositiveNumber);
  app.add_option("--connections", options.connections)->check(CLI::Range(1U, 100'000U));
  app.add_option("--addresses", options.addresses, "loopback addresses that they come from")
      ->check(CLI::Range(1U, 60'000U));
  lifetime("--connection", options.connection, "kept, or a new one each request");
  app.add_option("--path", options.paths, "several are asked for by turns: --path /a,/b")
      ->delimiter(',');
  app.add_option("--tokens", options.tokens, "a file with one a line")->check(CLI::ExistingFile);
  lifetime("--token", options.token, "one kept by each connection, or a new one each request");
  app.add_option("--json", options.json, "where to write the result");
  app.add_option("--svg", options.svg, "where to draw latency over percentiles");
  CLI11_PARSE(app, argc, argv);
  Load load{options};
  load.run();
  load.report();
  return 0;
}
