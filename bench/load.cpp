// A load generator that does not wait for whom it measures: requests begin at a fixed rate, each at its intended instant, and
// latency counts from that instant, however late a connection was free for it (open loop). Without a rate every connection
// asks again as soon as it was answered (closed loop). Each connection has a loopback address of its own, and a token.
//
//   load --port N [--rate N] [--seconds N] [--connections N] [--addresses N] [--tokens FILE] [--path /x] [--json FILE] [--svg FILE]
//
// One thread, epoll. Prints one line:  requests/s errors p50 p90 p95 p99 p99.9 max (ms)
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

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

struct Options {
  uint16_t port = 0;
  double rate = 0;  // requests a second; 0: closed loop
  double seconds = 5;
  unsigned connections = 64;
  unsigned addresses = 1;
  std::string tokens, path = "/", json, svg;
};

struct Connection {
  int socket = -1;
  std::string request;
  std::string answer;
  Clock::time_point intended{};
  bool is_waiting = false;
};

class Load {
 public:
  explicit Load(const Options& options) : options_(options), epoll_(::epoll_create1(EPOLL_CLOEXEC)), connections_(options.connections) {
    std::vector<std::string> tokens;
    if (!options.tokens.empty()) {
      std::ifstream file{options.tokens};
      for (std::string line; std::getline(file, line);) tokens.push_back(line);
    }
    for (unsigned index = 0; index < connections_.size(); ++index) {
      Connection& connection = connections_[index];
      connection.request = "GET " + options.path + " HTTP/1.1\r\nHost: load.example\r\nUser-Agent: load\r\nAccept: */*\r\n";
      if (!tokens.empty()) connection.request += "Authorization: Bearer " + tokens[index % tokens.size()] + "\r\n";
      connection.request += "\r\n";
      open(index);
      idle_.push_back(index);
    }
  }

  void run() {
    begin_ = Clock::now();
    const auto end = begin_ + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(options_.seconds));
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
    if (::bind(connection.socket, from.data(), from.size()) != 0 || ::connect(connection.socket, to.data(), to.size()) != 0) {
      std::fprintf(stderr, "load: can't connect to port %u: %s\n", options_.port, std::strerror(errno));
      std::exit(1);
    }
    epoll_event event{.events = EPOLLIN, .data = {.u32 = index}};
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.socket, &event);
  }

  [[nodiscard]] Clock::time_point intended(uint64_t number) const {
    return begin_ + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(static_cast<double>(number) / options_.rate));
  }
  [[nodiscard]] std::chrono::nanoseconds until_next(Clock::time_point now) const {
    if (options_.rate == 0 || idle_.empty()) return std::chrono::milliseconds{10};
    return std::max<std::chrono::nanoseconds>(std::chrono::nanoseconds{0}, intended(next_) - now);
  }

  void send_due(Clock::time_point now) {
    while (!idle_.empty() && (options_.rate == 0 || intended(next_) <= now)) {
      Connection& connection = connections_[idle_.front()];
      idle_.pop_front();
      connection.intended = options_.rate == 0 ? now : intended(next_);
      ++next_;
      connection.is_waiting = ::send(connection.socket, connection.request.data(), connection.request.size(), MSG_NOSIGNAL) ==
                              static_cast<ssize_t>(connection.request.size());
      ++in_flight_;
    }
  }

  void wait(std::chrono::nanoseconds timeout) {
    epoll_event events[256];
    const timespec limit{.tv_sec = 0, .tv_nsec = static_cast<long>(std::min<int64_t>(timeout.count(), 999'999'999))};
    const int count = ::epoll_pwait2(epoll_, events, 256, &limit, nullptr);
    for (int i = 0; i < count; ++i) receive(events[i].data.u32);
  }

  void receive(unsigned index) {
    Connection& connection = connections_[index];
    char piece[16384];
    const ssize_t size = ::recv(connection.socket, piece, sizeof piece, 0);
    if (size <= 0) {
      if (connection.is_waiting) ++errors_, --in_flight_;
      reopen(index);
      return;
    }
    connection.answer.append(piece, static_cast<size_t>(size));
    const size_t head = connection.answer.find("\r\n\r\n");
    const size_t length_at = connection.answer.find("Content-Length: ");
    if (head == std::string::npos || length_at == std::string::npos) return;
    size_t length = 0;
    std::from_chars(connection.answer.data() + length_at + 16, connection.answer.data() + head, length);
    if (connection.answer.size() < head + 4 + length) return;
    if (connection.answer.compare(9, 3, "200") != 0) ++errors_;
    const bool closes = connection.answer.find("Connection: close\r\n") < head;
    connection.answer.clear();
    connection.is_waiting = false;
    --in_flight_;
    histogram_.record(
        static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - connection.intended).count()));
    if (closes) {
      reopen(index);
    } else {
      idle_.push_back(index);
    }
  }

  void reopen(unsigned index) {
    ::close(connections_[index].socket);
    connections_[index].answer.clear();
    connections_[index].is_waiting = false;
    open(index);
    idle_.push_back(index);
  }

  Options options_;
  int epoll_;
  std::vector<Connection> connections_;
  std::deque<unsigned> idle_;
  Clock::time_point begin_{};
  uint64_t next_ = 0;
  uint64_t in_flight_ = 0;
  uint64_t errors_ = 0;
  double taken_ = 0;
  bench::Histogram histogram_;
};

// Latency over percentiles, both on logarithmic scales: where a service begins to stumble is where the line turns up.
void write_svg(const std::string& path, const bench::Histogram& histogram) {
  std::ofstream out{path};
  constexpr double width = 800, height = 400, left = 70, bottom = 40;
  const double top_us = std::max<double>(1000, static_cast<double>(histogram.max()) * 1.2);
  const auto x = [&](double nines) { return left + nines / 5 * (width - left - 20); };
  const auto y = [&](double us) {
    return height - bottom - std::log10(std::max(10.0, us) / 10) / std::log10(top_us / 10) * (height - bottom - 20);
  };
  out << "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 800 400\" font-family=\"sans-serif\" font-size=\"12\">\n"
      << "<rect width=\"800\" height=\"400\" fill=\"white\"/>\n";
  const char* const names[] = {"0 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %"};
  for (int nines = 0; nines <= 5; ++nines) {
    out << "<line x1=\"" << x(nines) << "\" y1=\"20\" x2=\"" << x(nines) << "\" y2=\"" << height - bottom
        << "\" stroke=\"#ddd\"/><text x=\"" << x(nines) << "\" y=\"" << height - 18 << "\" text-anchor=\"middle\">" << names[nines]
        << "</text>\n";
  }
  for (double us = 10; us <= top_us; us *= 10) {
    out << "<line x1=\"" << left << "\" y1=\"" << y(us) << "\" x2=\"780\" y2=\"" << y(us) << "\" stroke=\"#ddd\"/><text x=\"" << left - 6
        << "\" y=\"" << y(us) + 4 << "\" text-anchor=\"end\">" << (us < 1000 ? us : us / 1000) << (us < 1000 ? " us" : " ms")
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
  const auto ms = [&](double share) { return static_cast<double>(histogram_.percentile(share)) / 1e3; };
  const double rate = static_cast<double>(histogram_.count()) / options_.seconds;
  std::printf("%.0f requests/s, %llu errors of %llu; ms: p50 %.3f p90 %.3f p95 %.3f p99 %.3f p99.9 %.3f max %.3f\n", rate,
              static_cast<unsigned long long>(errors_), static_cast<unsigned long long>(next_), ms(0.5), ms(0.9), ms(0.95), ms(0.99),
              ms(0.999), static_cast<double>(histogram_.max()) / 1e3);
  if (!options_.json.empty()) {
    std::ofstream out{options_.json};
    out << "{\"wanted_rate\":" << options_.rate << ",\"rate\":" << rate << ",\"requests\":" << next_ << ",\"errors\":" << errors_
        << ",\"connections\":" << options_.connections << ",\"addresses\":" << options_.addresses << ",\"p50_ms\":" << ms(0.5)
        << ",\"p90_ms\":" << ms(0.9) << ",\"p95_ms\":" << ms(0.95) << ",\"p99_ms\":" << ms(0.99) << ",\"p999_ms\":" << ms(0.999)
        << ",\"max_ms\":" << static_cast<double>(histogram_.max()) / 1e3 << "}\n";
  }
  if (!options_.svg.empty()) write_svg(options_.svg, histogram_);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i], value = argv[i + 1];
    if (name == "--port")
      options.port = static_cast<uint16_t>(std::atoi(value.c_str()));
    else if (name == "--rate")
      options.rate = std::atof(value.c_str());
    else if (name == "--seconds")
      options.seconds = std::atof(value.c_str());
    else if (name == "--connections")
      options.connections = static_cast<unsigned>(std::atoi(value.c_str()));
    else if (name == "--addresses")
      options.addresses = static_cast<unsigned>(std::atoi(value.c_str()));
    else if (name == "--tokens")
      options.tokens = value;
    else if (name == "--path")
      options.path = value;
    else if (name == "--json")
      options.json = value;
    else if (name == "--svg")
      options.svg = value;
    else
      options.port = 0, i = argc;
  }
  if (options.port == 0 || argc % 2 == 0 || options.connections == 0 || options.addresses == 0) {
    std::fprintf(stderr,
                 "usage: load --port N [--rate N] [--seconds N] [--connections N] [--addresses N] [--tokens FILE] [--path /x] [--json "
                 "FILE] [--svg FILE]\n");
    return 2;
  }
  Load load{options};
  load.run();
  load.report();
  return 0;
}
