// The event loop of the example service and the answers that it gives.
#include "cli/example_service.h"

#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <map>
#include <memory>
#include <unordered_map>

#include "core/affinity.h"
#include "http/head_scanner.h"
#include "http/parser.h"

namespace sluice::cli {

namespace {

using Clock = std::chrono::steady_clock;
constexpr size_t piece_bytes = 64 * 1024;
constexpr size_t chunk_bytes = 8 * 1024;
constexpr size_t echo_bytes_max = 64 << 20;

uint64_t number_of(std::string_view text, std::string_view name) {
  if (text.substr(0, name.size()) != name) return 0;
  uint64_t number = 0;
  std::from_chars(text.data() + name.size(), text.data() + text.size(), number);
  return number;
}

// One client of the service: reads a request, writes its answer, then reads the next.
class Client {
 public:
  explicit Client(int socket) : socket_(socket) {}
  ~Client() { ::close(socket_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Goes on as far as it can; false when the connection is over.
  bool progress() {
    while (true) {
      if (due_) return true;
      if (!flush()) return false;
      if (is_writing()) return true;
      if (closing_) return false;
      const Step step = take_request();
      if (step == Step::broken) return false;
      if (step == Step::answered) continue;
      const ssize_t got = ::recv(socket_, room(), piece_bytes, 0);
      if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) return false;
      in_.resize(used_ + (got > 0 ? static_cast<size_t>(got) : 0));
      if (got < 0) return true;
    }
  }

  [[nodiscard]] bool is_writing() const { return written_ < out_.size() || remaining_ > 0; }
  [[nodiscard]] std::optional<Clock::time_point> due() const { return due_; }
  void wake() { due_.reset(); }

 private:
  enum class Step : uint8_t { answered, needs_bytes, broken };

  char* room() {
    used_ = in_.size();
    in_.resize(used_ + piece_bytes);
    return in_.data() + used_;
  }

  Step take_request() {
    if (!has_head_) {
      if (in_.empty()) return Step::needs_bytes;
      const auto outcome = scanner_.scan(in_);
      if (outcome.state == http::HeadScanner::Outcome::State::incomplete) return Step::needs_bytes;
      if (outcome.state == http::HeadScanner::Outcome::State::broken) return Step::broken;
      head_.assign(in_, 0, outcome.end);
      in_.erase(0, outcome.end);
      if (parser_.parse_request({head_.data() + outcome.begin, outcome.end - outcome.begin},
                                request_) != http::Rule::none)
        return Step::broken;
      has_head_ = true;
      body_.clear();
      if (request_.expectation == http::Expectation::continue_100)
        out_ += "HTTP/1.1 100 Continue\r\n\r\n";
    }
    const auto piece = parser_.take_body(in_, in_.data());
    if (piece.rule != http::Rule::none || body_.size() + piece.produced > echo_bytes_max)
      return Step::broken;
    if (request_.path == "/echo") body_.append(in_, 0, piece.produced);
    in_.erase(0, piece.consumed);
    if (!piece.complete)
      return out_.empty() ? Step::needs_bytes : (flush() ? Step::needs_bytes : Step::broken);
    has_head_ = false;
    scanner_.reset(http::HeadKind::request);
    closing_ = request_.persistence == http::Persistence::close;
    answer();
    return Step::answered;
  }

  void respond(unsigned status, std::string_view type, std::string_view body) {
    respond_head(status, type, "Content-Length: " + std::to_string(body.size()));
    if (request_.method != http::Method::head) out_ += body;
  }

  void respond_head(unsigned status, std::string_view type, std::string_view framing) {
    out_ += "HTTP/1.1 " + std::to_string(status) + " ";
    out_ += http::reason_phrase(static_cast<uint16_t>(status));
    out_ += "\r\nContent-Type: ";
    out_ += type;
    out_ += "\r\n";
    out_ += framing;
    out_ += closing_ ? "\r\nConnection: close\r\n\r\n" : "\r\n\r\n";
  }

  void answer() {
    const std::string_view path = request_.path;
    if (path == "/") {
      respond(200, "text/plain", "Hello, world!");
    } else if (path == "/api/hello") {
      respond(200, "application/json", "{\"message\":\"Hello from the example service\"}\n");
    } else if (path == "/health") {
      respond(200, "application/json", "{\"status\":\"ok\"}\n");
    } else if (path == "/echo") {
      respond(200, "application/octet-stream", body_);
    } else if (path == "/headers") {
      respond(200, "text/plain", head_);
    } else if (path == "/slow") {
      due_ = Clock::now() + std::chrono::milliseconds{
                                std::min<uint64_t>(number_of(request_.query, "ms="), 600'000)};
      respond(200, "application/json", "{\"message\":\"Sorry that it took so long\"}\n");
    } else if (path == "/bytes" || path == "/chunked") {
      const uint64_t size = number_of(request_.query, "n=");
      chunked_ = path == "/chunked";
      respond_head(
          200, "application/octet-stream",
          chunked_ ? "Transfer-Encoding: chunked" : "Content-Length: " + std::to_string(size));
      remaining_ = request_.method == http::Method::head ? 0 : size;
      position_ = 0;
      if (chunked_ && remaining_ == 0 && request_.method != http::Method::head) out_ += "0\r\n\r\n";
    } else if (const uint64_t status = number_of(path, "/status/");
               status >= 200 && status <= 599) {
      respond(static_cast<unsigned>(status), "text/plain",
              status == 204 || status == 304 ? "" : "as you wish\n");
    } else {
      respond(404, "text/plain", "no such path\n");
    }
  }

  // Adds what fits of a generated body: the letters of the alphabet over and over.
  void generate() {
    out_.erase(0, written_);
    written_ = 0;
    while (remaining_ > 0 && out_.size() < piece_bytes) {
      const uint64_t size = std::min<uint64_t>(remaining_, chunked_ ? chunk_bytes : piece_bytes);
      if (chunked_) {
        std::array<char, 16> line;
        out_.append(line.data(),
                    std::to_chars(line.data(), line.data() + line.size(), size, 16).ptr)
            .append("\r\n");
      }
      for (uint64_t i = 0; i < size; ++i) out_ += static_cast<char>('a' + (position_ + i) % 26);
      position_ += size;
      remaining_ -= size;
      if (chunked_) out_ += remaining_ == 0 ? "\r\n0\r\n\r\n" : "\r\n";
    }
  }

  bool flush() {
    while (is_writing()) {
      if (remaining_ > 0 && out_.size() - written_ < piece_bytes) generate();
      const ssize_t sent =
          ::send(socket_, out_.data() + written_, out_.size() - written_, MSG_NOSIGNAL);
      if (sent < 0) return errno == EAGAIN || errno == EINTR;
      written_ += static_cast<size_t>(sent);
    }
    out_.clear();
    written_ = 0;
    return true;
  }

  int socket_;
  std::string in_;
  std::string out_;
  std::string head_;
  std::string body_;
  size_t used_ = 0;
  size_t written_ = 0;
  uint64_t remaining_ = 0;
  uint64_t position_ = 0;
  bool chunked_ = false;
  bool has_head_ = false;
  bool closing_ = false;
  std::optional<Clock::time_point> due_;
  http::HeadScanner scanner_;
  http::Parser parser_;
  http::RequestHead request_;
};

class Service {
 public:
  Service(int listener, int wake)
      : listener_(listener), wake_(wake), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    watch(listener_, EPOLL_CTL_ADD, EPOLLIN);
    watch(wake_, EPOLL_CTL_ADD, EPOLLIN);
  }
  ~Service() { ::close(epoll_); }

  void run() {
    std::array<epoll_event, 128> events;
    while (true) {
      const int count =
          ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), timeout_ms());
      for (int i = 0; i < count; ++i) {
        const int socket = events[static_cast<size_t>(i)].data.fd;
        if (socket == wake_) return;
        if (socket == listener_) {
          accept_all();
        } else {
          serve(socket);
        }
      }
      const auto now = Clock::now();
      while (!due_.empty() && due_.begin()->first <= now) {
        const int socket = due_.begin()->second;
        due_.erase(due_.begin());
        if (const auto found = clients_.find(socket);
            found != clients_.end() && found->second->due()) {
          found->second->wake();
          serve(socket);
        }
      }
    }
  }

 private:
  void watch(int socket, int operation, uint32_t events) const {
    epoll_event event{.events = events, .data = {.fd = socket}};
    ::epoll_ctl(epoll_, operation, socket, &event);
  }

  [[nodiscard]] int timeout_ms() const {
    if (due_.empty()) return -1;
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(due_.begin()->first - Clock::now()).count();
    return static_cast<int>(std::clamp<int64_t>(left, 0, 60'000));
  }

  void accept_all() {
    int socket = 0;
    while ((socket = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
      clients_[socket] = std::make_unique<Client>(socket);
      watch(socket, EPOLL_CTL_ADD, EPOLLIN);
    }
  }

  void serve(int socket) {
    const auto found = clients_.find(socket);
    if (found == clients_.end()) return;
    Client& client = *found->second;
    const bool was_writing = client.is_writing();
    const bool was_due = client.due().has_value();
    if (!client.progress()) {
      clients_.erase(found);
      return;
    }
    if (client.due() && !was_due) due_.emplace(*client.due(), socket);
    const bool is_writing = client.is_writing() && !client.due();
    if (is_writing != was_writing || client.due() || was_due) {
      watch(socket, EPOLL_CTL_MOD, client.due() ? 0U : is_writing ? EPOLLOUT : EPOLLIN);
    }
  }

  int listener_;
  int wake_;
  int epoll_;
  std::unordered_map<int, std::unique_ptr<Client>> clients_;
  std::multimap<Clock::time_point, int> due_;
};

}  // namespace

std::optional<std::string> ExampleService::listen(const core::SocketAddress& address) {
  listener_ = ::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  ::setsockopt(listener_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::bind(listener_, address.data(), address.size()) != 0 || ::listen(listener_, 4096) != 0) {
    return "can't listen on " + address.text() + ": " + std::strerror(errno);
  }
  core::SocketAddress bound;
  socklen_t size = core::SocketAddress::capacity;
  ::getsockname(listener_, bound.data(), &size);
  port_ = bound.port();
  wake_ = ::eventfd(0, EFD_CLOEXEC);
  return std::nullopt;
}

void ExampleService::run() { Service{listener_, wake_}.run(); }

void ExampleService::start() {
  thread_ = std::thread{[this] {
    core::enter_thread("sluice-example", -1);
    run();
  }};
}

void ExampleService::stop() {
  if (wake_ < 0) return;
  const uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(wake_, &one, sizeof one);
  if (thread_.joinable()) thread_.join();
}

ExampleService::~ExampleService() {
  stop();
  if (listener_ >= 0) ::close(listener_);
  if (wake_ >= 0) ::close(wake_);
}

}  // namespace sluice::cli
