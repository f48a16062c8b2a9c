// Connects and binds as the gateway would, and closes again at once.
#include "gateway/reachability.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "gateway/resolver.h"

namespace sluice::gateway {

namespace {

constexpr int connect_wait_ms = 1000;

class Socket {
 public:
  explicit Socket(int family)
      : descriptor_(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {}
  ~Socket() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  [[nodiscard]] int get() const { return descriptor_; }

 private:
  int descriptor_;
};

// Why nothing answers there; empty if something does.
std::string try_to_connect(const core::Destination& destination) {
  const Socket socket{destination.family()};
  if (socket.get() < 0) return std::strerror(errno);
  if (::connect(socket.get(), destination.data(), destination.size()) == 0) return "";
  if (errno != EINPROGRESS) return std::strerror(errno);
  pollfd waiting{.fd = socket.get(), .events = POLLOUT, .revents = 0};
  if (::poll(&waiting, 1, connect_wait_ms) <= 0) return "no answer within a second";
  int failure = 0;
  socklen_t size = sizeof failure;
  ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &failure, &size);
  return failure == 0 ? "" : std::strerror(failure);
}

Finding examine_endpoint(const config::UpstreamConfig& upstream,
                         const config::EndpointConfig& endpoint) {
  Finding finding{.topic = "endpoint " + endpoint.authority + " of " + upstream.name,
                  .detail = "answers",
                  .remedy = ""};
  if (endpoint.destination.size() == 0) return finding;  // its name has a finding of its own
  const std::string failure = try_to_connect(endpoint.destination);
  if (failure.empty()) return finding;
  finding.verdict = upstream.endpoints.size() > 1 ? Verdict::improvable : Verdict::failing;
  finding.detail = failure;
  finding.remedy = "start the service, or correct the endpoint";
  return finding;
}

}  // namespace

std::vector<Finding> examine_endpoints(config::Config& config) {
  std::vector<Finding> findings;
  const Names names = resolve_names(names_of(config), config.resolver);
  for (const std::string& complaint : resolve_endpoints(config, names))
    findings.push_back({Verdict::failing, "name", complaint, "correct the name or the resolver"});
  for (const config::UpstreamConfig& upstream : config.upstreams) {
    for (const config::EndpointConfig& endpoint : upstream.endpoints)
      findings.push_back(examine_endpoint(upstream, endpoint));
  }
  return findings;
}

// A unix socket is made anew by the gateway; only its folder matters, and start says so.
std::vector<Finding> examine_listeners(const config::Config& config) {
  std::vector<Finding> findings;
  for (const config::ListenerConfig& listener : config.listeners) {
    if (listener.address.is_unix()) continue;
    const Socket socket{listener.address.family()};
    const int one = 1;
    ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (listener.address.family() == AF_INET6)
      ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    Finding finding{.topic = "listen " + listener.address.text(), .detail = "free", .remedy = ""};
    if (::bind(socket.get(), listener.address.data(), listener.address.size()) != 0) {
      finding.verdict = errno == EADDRINUSE ? Verdict::improvable : Verdict::failing;
      finding.detail = std::strerror(errno);
      finding.remedy = errno == EADDRINUSE
                           ? "stop who listens there; if it is Sluice, run --take-over"
                       : errno == EACCES ? "run as root with user:, or give CAP_NET_BIND_SERVICE"
                                         : "listen on an address of this host";
    }
    findings.push_back(finding);
  }
  return findings;
}

}  // namespace sluice::gateway
