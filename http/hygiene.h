// Which fields go on to the other side (RFC 9110 7.6.1, 6.5.1).
#pragma once

#include <string_view>

#include "http/message.h"

namespace sluice::http {

// Mark what must not be passed on: hop-by-hop fields and those that Connection names, fields with
// '_', and everything that Sluice sets itself. `towards_client` is how the response leaves:
// trailers can only be announced where there may be some.
void drop_request_fields(RequestHead& head);
void drop_response_fields(ResponseHead& head, Framing towards_client);

// Not what frames, routes, authenticates or says how to read the message: by the time a trailer
// comes, that has been decided.
[[nodiscard]] bool may_be_a_trailer(std::string_view name);

}  // namespace sluice::http
