// What the configuration says of an upstream: its endpoints, how they are chosen, judged and
// spared.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "config/key_part.h"
#include "core/clock.h"
#include "core/destination.h"

namespace sluice::config {

struct UpstreamTimeouts {
  core::Duration connect = std::chrono::seconds{3};
  core::Duration head =
      std::chrono::seconds{60};  // from the last request byte to the response head, each try
  core::Duration body = std::chrono::seconds{60};  // between bytes of a response; 0: no limit
  core::Duration deadline = std::chrono::seconds{
      120};  // from the last request byte to the response head, all tries; 0: none
  core::Duration tunnel = std::chrono::minutes{10};  // without a byte either way
  core::Duration idle =
      std::chrono::seconds{60};  // of a pooled connection, unless the endpoint says or shows less
};

struct UpstreamTls;

enum class Scheme : uint8_t { http, https };

enum class EndpointUse : uint8_t {
  serving,
  draining,  // gets no new requests
};

// One address, once resolved. A name with several is several endpoints, all with its weight.
struct EndpointConfig {
  std::string authority;  // "10.0.0.1:9001", as written; the Host of requests that brought none
  std::string host;       // the name to be resolved again; empty if it is an address or a path
  uint16_t port = 0;      // of a name
  std::string place;      // "FILE:LINE:COLUMN: ", for complaints
  core::Destination destination;
  uint32_t weight = 1;  // at most endpoint_weight_max
  EndpointUse use = EndpointUse::serving;
  Scheme scheme = Scheme::http;
  // A name may have none yet.
  [[nodiscard]] bool has_address() const { return destination.size() != 0; }
};
inline constexpr uint32_t endpoint_weight_max = 1000;
inline constexpr uint32_t endpoints_max = 256;  // of one upstream

enum class Balance : uint8_t {
  round_robin,
  least_requests,  // the better of two that are drawn
  hash,            // the same key, the same endpoint; few move when endpoints come or go
};

// Whether an endpoint is asked how it is, by GET, from one thread that is no core's.
struct HealthCheck {
  std::string path;  // empty: it is not asked
  std::string host;  // of the request; empty: the endpoint's authority
  core::Duration interval = std::chrono::seconds{5};
  core::Duration timeout = std::chrono::seconds{2};
  uint32_t down_after = 3;  // failures in a row
  uint32_t up_after = 2;    // successes in a row
  uint16_t status_min = 200, status_max = 399;
};

// What the requests themselves show: so many failures in a row (5xx, no connection, no answer), and
// the endpoint is left alone for a while that grows each time; never more than half of them at
// once. The gateway judges as a whole.
struct Ejection {
  uint32_t failures = 5;  // 0: never
  core::Duration time = std::chrono::seconds{30};
  core::Duration time_max = std::chrono::minutes{5};
};

// When so large a share of all requests fails, the upstream is spared altogether for a while; then
// single requests try it.
struct Circuit {
  uint32_t failure_percent = 0;  // 0: there is no circuit
  uint32_t requests_min = 20;    // in the window, to judge at all
  core::Duration window = std::chrono::seconds{10};
  core::Duration open_time = std::chrono::seconds{5};
  uint32_t probes = 3;  // successes in a row that close it again
};

// The PROXY protocol header that connections to the endpoints begin with; they serve one client
// each then.
enum class SendProxy : uint8_t { none, v1, v2 };

struct UpstreamConfig {
  std::string name;
  std::vector<EndpointConfig> endpoints;
  Balance balance = Balance::round_robin;
  std::vector<KeyPart> hash_key;  // of Balance::hash
  UpstreamTimeouts timeouts;
  HealthCheck health;
  Ejection ejection;
  Circuit circuit;
  core::Duration slow_start{0};  // until an endpoint that came up gets its whole share
  uint32_t share_percent = 0;    // of a core's requests and upstream connections; 0: see complete()
  uint32_t connections = 0;      // at most, over all cores; 0: what the cores have room for
  uint32_t queue = 1024;         // requests that wait for a connection, on each core
  core::Duration queue_wait{0};  // at most; 0: until the deadline
  uint32_t retries = 1;          // at most retries_max
  uint32_t retry_percent = 20;   // of requests; three a second are always allowed
  SendProxy send_proxy = SendProxy::none;
  std::shared_ptr<const UpstreamTls>
      tls;  // of endpoints with Scheme::https; nullptr: there are none
};
inline constexpr uint32_t retries_max = 5;
inline constexpr size_t upstreams_max = 1024;

}  // namespace sluice::config
