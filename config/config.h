// The configuration: immutable once the gateway runs, shared by all cores. Defaults are those of
// the README's table.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "auth/key.h"
#include "auth/principal.h"
#include "auth/provider.h"
#include "auth/token_source.h"
#include "config/key_part.h"
#include "config/routes.h"
#include "config/tls.h"
#include "config/upstream_config.h"
#include "config/user.h"
#include "core/address.h"
#include "core/cidr.h"
#include "core/clock.h"
#include "core/destination.h"
#include "core/limits.h"
#include "http/h2/bounds.h"
#include "http/message.h"
#include "limiter/limit.h"
#include "limiter/owner.h"
#include "limiter/shard.h"
#include "limiter/steering.h"

namespace sluice::config {

// Towards clients; UpstreamTimeouts are those towards endpoints.
struct Timeouts {
  core::Duration head = std::chrono::seconds{10};   // request head, from its first byte
  core::Duration idle = std::chrono::seconds{75};   // downstream, between requests
  core::Duration body = std::chrono::seconds{60};   // without a byte from the client
  core::Duration write = std::chrono::seconds{60};  // without a byte taken by the client
  core::Duration linger = std::chrono::seconds{2};
  core::Duration drain_announce{0};  // /health fails, and listening goes on, for so long
  core::Duration drain = std::chrono::seconds{30};
};

// Per core; everything that is bounded by them is taken at start.
struct Bounds {
  bool operator==(const Bounds&) const = default;
  uint32_t connections = 8192;
  uint32_t exchanges = 2048;  // requests at once; each may hold a buffer a direction
  uint32_t upstream_connections = 1024;
  uint32_t held = 1024;     // exchanges that are shaped
  uint32_t tunnels = 1024;  // of the exchanges, those that may be tunnels
  uint32_t pipes = 64;      // for bodies and tunnels that are not copied; 0: all are
  uint32_t offload_jobs = 64;
  uint64_t limiter_keys = 1'000'000;  // over all cores together
  uint32_t token_cache_entries = 4096;
  uint32_t log_ring_bytes = 1 << 20;
  uint32_t requests_per_connection = 10'000;
  uint32_t socket_buffer_bytes = core::limits::socket_buffer_bytes;  // 0: the kernel's own
  uint64_t request_body_bytes = 16 << 20;
  uint64_t discard_bytes =
      256 << 10;           // of a body that nobody wants, before the connection is closed instead
  http::h2::Bounds http2;  // of a client's connection
  uint64_t http2_memory_bytes = 32 << 20;  // of all of them
  uint32_t connections_per_address = 0;    // of clients that are not trusted; 0: a quarter of them

  // Beside `exchanges`: heads that are not whole yet, and requests that Sluice answers itself
  // although all places are taken.
  [[nodiscard]] uint32_t half_heads() const { return exchanges / 8 + 2; }
  [[nodiscard]] uint32_t local_reserve() const { return exchanges / 16 + 2; }
  [[nodiscard]] uint32_t request_buffers() const {
    return exchanges + half_heads() + local_reserve();
  }
  // Of TLS, at once; the oldest goes for a newcomer.
  [[nodiscard]] uint32_t handshakes() const { return std::max(64U, connections / 8); }
  // Each request sends in two directions.
  [[nodiscard]] uint32_t sealed_buffers() const {
    return std::min(32'768U, 2 * request_buffers() + handshakes());
  }
  [[nodiscard]] uint32_t connections_of_one_address() const {
    return connections_per_address != 0 ? connections_per_address : (connections + 3) / 4;
  }
};

// Whether the endpoint gets to see the Authorization field or API key that the caller showed. A
// query parameter is always taken off; a cookie is the endpoint's own business and always passed
// on.
enum class Credential : uint8_t { pass_on, strip };

// A claim that goes upstream as a header field.
struct ClaimField {
  std::string name;
  uint16_t claim = 0;  // index into Config::claims
};

// Whether keys may come from another machine over plain HTTP.
enum class KeyTransport : uint8_t { protected_only, any };

// Where keys that may change come from, beside those that are fixed.
struct KeySources {
  std::string jwks_file;  // read again when it changes
  std::string jwks_url;   // fetched, and again before it is stale
  std::string
      jwks_ca;  // whom to believe about the URL's certificate, in PEM; empty: whom the system does
  std::string jwks_copy;  // where the last good answer of the URL is kept for the next start;
                          // empty: nowhere
  core::Duration refresh = std::chrono::minutes{5};  // unless Cache-Control says otherwise
  std::string discovery_url;  // of an OpenID configuration, which names the key set and the issuer
  std::string bearer_file;    // what it is asked with; empty: nothing
  KeyTransport transport = KeyTransport::protected_only;
  auth::KeyStrength strength = auth::KeyStrength::lenient;
  std::string api_keys_file;
  std::string passwords_file;
};

// One entry of auth:.
struct AuthConfig {
  auth::Provider provider;
  std::vector<auth::TokenSource> sources{auth::TokenSource{}};
  std::vector<auth::SharedKey> fixed_keys;
  KeySources key_sources;
  std::vector<ClaimField> claim_fields;
  std::string payload_field;  // gets the whole verified payload, base64url; empty: none does
  Credential credential = Credential::pass_on;
};

// GET /demo/work: whether the route exists.
enum class DemoRoutes : uint8_t { off, on };

// Whether connections of a listener begin with a PROXY protocol header, from a trusted peer; all of
// them do, or none.
enum class ProxyProtocol : uint8_t { off, required };

// Whether clients may speak HTTP/2 on a listener without TLS, by saying so first (RFC 9113 3.3).
enum class Http2 : uint8_t { off, on };

// Whether requests that come without TLS are sent to where it is spoken.
enum class HttpsRedirect : uint8_t { off, on };

// Where connections come in.
struct ListenerConfig {
  core::Destination address = core::SocketAddress::ipv4(0, 8000);
  ProxyProtocol proxy_protocol = ProxyProtocol::off;
  // Of a unix socket: who may connect. As the process's umask has it, if nothing is said.
  std::optional<unsigned> mode;
  std::optional<unsigned> group;
  std::shared_ptr<const ListenerTls> tls;  // nullptr: without
  std::string hsts;                        // the field's value; empty: none
  HttpsRedirect https = HttpsRedirect::off;
  Http2 h2c = Http2::off;
  uint16_t https_port = 0;  // of HttpsRedirect::on
  uint32_t id = 0;          // the same as long as the address is; by complete()
};
inline constexpr size_t listeners_max = 32;

// A reason has eight bits for the number of a limit.
inline constexpr size_t limits_max = 250;
inline constexpr size_t name_bytes_max =
    64;  // of a limit, a route, a field that the configuration names

// When a limit is asked. Before the token is looked at, refused tokens pay as well.
enum class LimitStage : uint8_t { before_auth, after_auth };

// What happens to a request that has no such claim or header.
enum class OnMissing : uint8_t { refuse, skip };

// A limit as the configuration names it; what a shard needs to know of it stands in
// Config::limit_rules, under the same index. `rate` and `concurrent` of one name are two limits
// with one name.
struct NamedLimit {
  std::string name;
  std::string reason;  // "limit.NAME"
  std::string policy;  // what RateLimit-Policy says of it, by add_limit()
  std::vector<KeyPart> key;
  LimitStage stage = LimitStage::after_auth;
  OnMissing on_missing = OnMissing::refuse;
  uint64_t id = 0;      // limiter::limit_id(): the same name and key keep their buckets
  uint16_t number = 0;  // in shards, logs and metrics; the same as long as the process lives
};

// How names are looked up.
struct ResolverConfig {
  std::string servers;  // "10.0.0.2:53,10.0.0.3"; empty: those of /etc/resolv.conf
  core::Duration timeout = std::chrono::seconds{5};
  core::Duration ttl_min = std::chrono::seconds{1};  // whatever the answer says
  core::Duration ttl_max =
      std::chrono::minutes{5};  // as well; and what the hosts file says holds so long
  bool operator==(const ResolverConfig&) const = default;
};

// Whether the process gives up what it does not need (gateway/sandbox.h).
enum class Sandbox : uint8_t { off, on };

// Whether whoever connects to a unix socket is trusted like a peer of Config::trusted.
enum class TrustUnix : uint8_t { no, yes };

// Whether a trace begins with a request that brings none (W3C Trace Context).
struct Tracing {
  enum class Begins : uint8_t { none, traces };
  Begins begins = Begins::none;
  uint32_t sampled_percent = 100;
};

// Immutable once it is published, and shared by all cores. Made by the command line or
// read_config(); complete() derives what follows from the rest.
struct Config {
  std::vector<ListenerConfig> listeners{ListenerConfig{}};
  std::vector<UpstreamConfig> upstreams;
  ResolverConfig resolver;
  std::vector<AuthConfig> auth;
  std::vector<auth::Provider> providers;  // of auth, by complete()
  std::vector<auth::Requirement> requirements;
  std::string revocations_file;
  // Tokens that don't verify, from one address on one core; above it no signature is checked for
  // it.
  limiter::Limit failed_tokens{
      .policy = {.rate = {.requests = 1, .period_ns = 100'000'000}, .burst = 50, .delay = 50}};
  std::vector<std::string> claims{
      "sub"};  // that limits and header fields use; auth::subject_claim first
  std::vector<NamedLimit> limits;
  std::vector<limiter::Limit> limit_rules;
  limiter::OnFull limits_on_full = limiter::OnFull::refuse;
  limiter::NetworkBits network_bits;
  limiter::Steering steering = limiter::Steering::automatic;
  std::vector<core::Cidr> trusted;  // peers whose X-Forwarded-For is believed
  TrustUnix trust_unix = TrustUnix::no;
  std::vector<int> cores;  // one worker each, pinned
  std::string log_path = "-";
  std::vector<std::string>
      files;  // that the configuration was read from, those it names among them
  std::vector<std::string> start_warnings;  // of what is unsafe, or about to fail
  bool reloads_on_change = false;
  std::string control_path;  // of the control socket; empty: there is none
  std::optional<User> user;  // whom root becomes once everything is open
  Sandbox sandbox = Sandbox::on;
  DemoRoutes demo_routes = DemoRoutes::off;
  std::vector<Route> routes;  // most specific first, once complete
  Tracing tracing;
  Timeouts timeouts;
  Bounds bounds;

  // `parts` and the rest as in NamedLimit. Returns the index.
  uint16_t add_limit(NamedLimit limit, const limiter::Limit& rule);
};

// One endpoint, and defaults for the rest.
void add_upstream(Config& config, const std::string& name, const core::Destination& destination,
                  const std::string& authority);

// Tokens by HS256, HS384 or HS512 with this secret.
void add_secret_auth(Config& config, const std::string& name, const std::string& secret);

// One limit called "address", by client address and after authentication, and one route for
// everything, behind a token.
void add_default_routes(Config& config, const limiter::Policy& policy);

// Adds the routes that Sluice answers itself, and puts the most specific first. Once.
void complete(Config& config);

}  // namespace sluice::config
