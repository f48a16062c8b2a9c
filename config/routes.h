// What a route says: which requests it is for, and what becomes of them. Which route wins,
// config/route_table.h says.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/provider.h"
#include "auth/token_source.h"
#include "config/key_part.h"
#include "core/cidr.h"
#include "core/clock.h"
#include "http/hygiene.h"
#include "http/message.h"

namespace sluice::config {

enum class RouteKind : uint8_t {
  upstream,   // token and limits, then an endpoint
  redirect,   // token and limits, then elsewhere
  respond,    // token and limits, then a fixed answer
  health,     // GET /health, open to everyone
  metrics,    // GET /metrics, open to everyone
  demo_work,  // GET /demo/work?ms=N, behind token and limits
};

enum class AuthMode : uint8_t {
  none,      // everyone may call
  optional,  // a token is not needed; one that is there must be good
  required,
};

// A header field or a query parameter that must be there, or must be just that.
struct FieldMatch {
  enum class Place : uint8_t { header, query };
  Place place = Place::header;
  std::string name;  // headers: in any case
  std::optional<std::string> value;
  bool operator==(const FieldMatch&) const = default;
};

struct RouteMatch {
  enum class Path : uint8_t { prefix, exact };
  std::string host;  // in lower case; "*.example.com" is every name below it; empty: any
  std::string path = "/";
  Path path_kind = Path::prefix;   // by whole segments
  uint16_t methods = all_methods;  // a bit a http::Method
  std::vector<FieldMatch> fields;  // all of them
  static constexpr uint16_t all_methods = 0xffff;

  [[nodiscard]] bool operator==(const RouteMatch&) const = default;
};

[[nodiscard]] constexpr uint16_t method_bit(http::Method method) {
  return static_cast<uint16_t>(1U << static_cast<unsigned>(method));
}

// Header fields that a route removes (in every spelling), sets in place of what came, or adds.
struct HeaderEdits {
  struct NamedValue {
    std::string name;
    std::string value;
  };
  std::vector<std::string> remove;
  std::vector<NamedValue> set;
  std::vector<NamedValue> add;
  [[nodiscard]] bool empty() const { return remove.empty() && set.empty() && add.empty(); }
};

// Whether the endpoint is told that there is a proxy; some stop compressing when they see it.
enum class RequestVia : uint8_t { none, send };

// What may stand in a path beside names: some endpoints take it for other segments than Sluice
// does.
struct PathRules {
  enum class EncodedSlash : uint8_t { refuse, keep };  // %2F and %5C
  enum class Slashes : uint8_t { merge, keep };        // runs of them, in what is forwarded
  EncodedSlash encoded_slash = EncodedSlash::refuse;
  Slashes slashes = Slashes::merge;
};

// Of the path, before it goes upstream. Empty: nothing.
struct Rewrite {
  std::string strip_prefix;  // whole segments
  std::string add_prefix;
  std::string path;  // in place of all of it
  [[nodiscard]] bool empty() const {
    return strip_prefix.empty() && add_prefix.empty() && path.empty();
  }
};

struct Redirect {
  enum class Rest : uint8_t { drop, keep };
  std::string to;  // a path, or a URL; the query of the request follows if it has none of its own
  uint16_t status = 308;
  Rest rest = Rest::drop;  // keep: what follows the route's prefix follows
};

struct Respond {
  uint16_t status = 200;
  std::string body;
  std::string content_type = "text/plain; charset=utf-8";
};
inline constexpr size_t respond_bytes_max = 64 * 1024;

// Which pages of other origins may call (Fetch 3.2). Preflights are answered before token and
// limits.
struct Cors {
  std::vector<std::string> origins;  // "https://app.example"; "*": any
  std::vector<std::string>
      headers;  // that requests may have beside the simple ones; "*": those asked for
  std::vector<std::string> expose;  // beside those of limits
  bool credentials = false;
  core::Duration max_age = std::chrono::hours{1};
  std::string allowed, exposed, max_age_s;  // as they are written, by complete()
};
inline constexpr size_t cors_fields_max = 9;           // that an answer gets
inline constexpr size_t cors_bytes_max = 1024;         // of a list
inline constexpr size_t header_edits_max = 32;         // set and added, of a route and direction
inline constexpr size_t header_edit_bytes_max = 4096;  // of all of them
inline constexpr size_t rewrite_bytes_max =
    1024;  // of a new prefix or path, or the destination of a redirect

// Who may come at all, by address. A refusal wins.
struct AddressRules {
  std::vector<core::Cidr> allow;  // empty: everybody
  std::vector<core::Cidr> deny;
  [[nodiscard]] bool empty() const { return allow.empty() && deny.empty(); }
  bool operator==(const AddressRules&) const = default;
};

// A share of the requests, in parts of the sum of all.
struct TrafficSplit {
  struct Part {
    uint16_t upstream = 0;  // index into Config::upstreams
    uint32_t weight = 1;
  };
  std::vector<Part> parts;
  uint64_t weights = 0;         // of all
  std::vector<KeyPart> sticky;  // the same key, the same upstream; empty: by chance
};

// What Host goes upstream.
enum class HostMode : uint8_t { preserve, endpoint, name };

struct Route {
  std::string name;  // the label in logs and metrics
  RouteKind kind = RouteKind::upstream;
  RouteMatch match;
  AuthMode auth = AuthMode::required;
  auth::ProviderSet providers = 0;                 // whose tokens are good here
  std::vector<auth::TokenSource> sources;          // where those look for them, by complete()
  uint8_t requirement = auth::no_requirement;      // index into Config::requirements
  std::vector<std::string> upgrades{"websocket"};  // protocols that a tunnel may be made for
  std::vector<uint16_t> limits_before;             // indices into Config::limits, by LimitStage
  std::vector<uint16_t> limits_after;
  AddressRules addresses;
  std::optional<uint64_t> body_bytes;  // at most; 0: no bound. Otherwise that of Bounds
  std::optional<Cors> cors;
  std::optional<std::string> hsts;  // in place of the listener's, over TLS; empty: none
  TrafficSplit to;                  // of RouteKind::upstream
  core::Duration deadline{0};       // the shortest of its upstreams, by complete(); 0: none
  PathRules path;
  http::Underscores underscores = http::Underscores::drop;
  http::ForwardedForm forwarded = http::ForwardedForm::x;
  RequestVia via = RequestVia::none;
  Rewrite rewrite;
  HeaderEdits request_edits, response_edits;
  HostMode host_mode = HostMode::preserve;
  std::string host;  // of HostMode::name
  Redirect redirect;
  Respond respond;
  uint16_t label = 0;  // by the generation
};

// Whether some request that `lax` lets pass may be refused by `strict`: by token, requirement,
// address or limit.
[[nodiscard]] bool asks_more(const Route& strict, const Route& lax);

}  // namespace sluice::config
