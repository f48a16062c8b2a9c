// Which fields go on to the other side (RFC 9110 7.6.1, 6.5.1).
#pragma once

#include <string_view>

#include "http/forwarded.h"
#include "http/message.h"

namespace sluice::http {

// What becomes of fields with a '_' in their name. What one of them would be with a '-' in its
// place is dropped whatever this says where Sluice looks at that field.
enum class Underscores : uint8_t { drop, pass, refuse };

// Mark what must not be passed on: hop-by-hop fields and those that Connection names, fields with
// '_', and everything that Sluice sets itself. `towards_client` is how the response leaves:
// trailers can only be announced where there may be some.
struct RequestHygiene {
  Underscores underscores = Underscores::drop;
  ForwardedForm forwarded = ForwardedForm::x;
  Trust trust = Trust::none;
};
// Returns how many fields were dropped for their '_'.
uint32_t drop_request_fields(RequestHead& head, const RequestHygiene& hygiene);
// The first field with a '_' in its name, kept or not, or nullptr.
[[nodiscard]] const Field* find_underscored(const Fields& fields);
void drop_response_fields(ResponseHead& head, Framing towards_client);

// Not what frames, routes, authenticates or says how to read the message: by the time a trailer
// comes, that has been decided.
[[nodiscard]] bool may_be_a_trailer(std::string_view name);

}  // namespace sluice::http
