// Finds the client behind trusted proxies.
#include "proxy/client_address.h"

#include <algorithm>

#include "config/config.h"

namespace sluice::proxy {

namespace {

// "192.0.2.1", "192.0.2.1:4711", "2001:db8::1", "[2001:db8::1]:4711": all of them are in use.
std::optional<core::SocketAddress> parse_hop(std::string_view text) {
  text = http::trim_blanks(text);
  if (const auto address = core::SocketAddress::parse_host(text, 0)) return address;
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos || (text.front() != '[' && text.find(':') != colon))
    return std::nullopt;
  return core::SocketAddress::parse_host(text.substr(0, colon), 0);
}

// No chain of proxies is longer; behind it, the last hop that is known is the client.
constexpr size_t hops_max = 32;

}  // namespace

bool is_trusted(const config::Config& config, const core::SocketAddress& address) {
  if (address.is_unix_peer()) return config.trust_unix == config::TrustUnix::yes;
  return std::any_of(config.trusted.begin(), config.trusted.end(),
                     [&](const core::Cidr& network) { return network.contains(address); });
}

core::SocketAddress client_address(const config::Config& config, const core::SocketAddress& peer,
                                   const http::Fields& fields) {
  core::SocketAddress client = peer;
  size_t hops = hops_max;
  if (!is_trusted(config, peer)) return client;
  for (uint32_t index = fields.size(); index-- > 0;) {
    const http::Field& field = fields[index];
    if (field.id != http::FieldName::x_forwarded ||
        !http::equals_ignoring_case(fields.name(field), "x-forwarded-for"))
      continue;
    std::string_view list = fields.value(field);
    while (!list.empty() && hops-- > 0) {
      const auto comma = list.rfind(',');
      const auto hop = parse_hop(comma == std::string_view::npos ? list : list.substr(comma + 1));
      if (!hop) return client;
      client = *hop;
      if (!is_trusted(config, client)) return client;
      list = comma == std::string_view::npos ? std::string_view{} : list.substr(0, comma);
    }
  }
  return client;
}

}  // namespace sluice::proxy
