// Puts together the keys of limits, balancing and sticky splits.
#include "proxy/exchange/request_key.h"

namespace sluice::proxy {

std::optional<RequestKey> key_of(Station& station, const RequestContext& context,
                                 std::span<const config::KeyPart> parts, uint64_t id) {
  limiter::KeyHash key = station.ownership.key(id);
  const limiter::Network network = station.ownership.network_of(context.client);
  bool has_address = false;
  for (const config::KeyPart& part : parts) {
    std::string_view text;
    switch (part.kind) {
      case config::KeyPart::Kind::address:
        has_address = true;
        key.add(network);
        continue;
      case config::KeyPart::Kind::route: text = context.route().name; break;
      case config::KeyPart::Kind::claim:
        text = context.token.examined.principal.claim(part.claim);
        break;
      case config::KeyPart::Kind::header:
        // Several fields of a name are one list (RFC 9110 5.3); which of them counts must not be
        // the client's choice.
        for (const http::Field& field : context.request().fields) {
          if (!http::equals_ignoring_case(context.request().fields.name(field), part.name))
            continue;
          if (!text.empty()) key.add(text);
          text = context.request().fields.value(field);
        }
        break;
    }
    if (text.empty()) return std::nullopt;
    key.add(text);
    if (part.kind == config::KeyPart::Kind::header) key.end_list();
  }
  const limiter::Claim claim = key.claim(0);
  return RequestKey{claim, has_address ? station.ownership.owner_of(network)
                                       : station.ownership.owner_of(claim.hash)};
}

}  // namespace sluice::proxy
