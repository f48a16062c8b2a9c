// A header block of HTTP/2 -> the same head that the HTTP/1.1 parser makes of the same message, so
// that everything above works on either, and what leaves is built by the same serializer. Each rule
// of RFC 9113 8 has its code in http/rule.h; targets, authorities and lengths are judged by what
// judges them in HTTP/1.1.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "http/h2/bounds.h"
#include "http/h2/field_block.h"
#include "http/h2/priority.h"
#include "http/message.h"

namespace sluice::http::h2 {

// What a look at a block brought: the rule that it breaks, and how much memory its text took.
struct HeadRead {
  Rule rule = Rule::none;
  uint32_t text_bytes = 0;
};

// `memory` takes the text that the head's views point into: head_memory_bytes of it.
//
// Cookies that came in crumbs are one field again (RFC 9113 8.2.3). Host is the first field, as
// HTTP/1.1 has it, whether it came or was only said in :authority. Without content-length and
// without an end, the body is chunked.
[[nodiscard]] HeadRead read_request(const FieldBlock& block, ExtendedConnect extended_connect,
                                    std::span<char> memory, RequestHead& out);
// `request` is the method that is answered.
[[nodiscard]] Rule read_response(const FieldBlock& block, Method request, std::span<char> memory,
                                 ResponseHead& out);
// The lines that may go on, "name: value\r\n", as http::ChunkedBody keeps them. `memory` holds
// trailer_memory_bytes.
[[nodiscard]] Rule read_trailers(const FieldBlock& block, std::span<char> memory,
                                 std::string_view& lines);

// Before anybody has judged the block: what its body must come to, and how urgent it is.
struct Glance {
  bool has_content_length = false;
  uint64_t content_length = 0;
  uint16_t status = 0;
  Method method = Method::other;
  Priority priority;
};
[[nodiscard]] Glance glance_at(const FieldBlock& block);

}  // namespace sluice::http::h2
