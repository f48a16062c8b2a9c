// Any bytes as an answer to a GET: taken exactly if a second, independent reader takes it, with the
// same end.
#include <cstdint>
#include <memory>
#include <string>

#include "http/head_scanner.h"
#include "http/hygiene.h"
#include "http/parser.h"
#include "http/serializer.h"
#include "tests/fuzz/require.h"
#include "tests/fuzz/strict.h"

using namespace sluice::http;
using sluice::require;
namespace strict = sluice::strict;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 65536) return 0;
  std::string bytes{reinterpret_cast<const char*>(data), size};
  const strict::Reading theirs = strict::read_response(bytes);
  HeadScanner scanner;
  scanner.reset(HeadKind::response);
  const auto outcome = scanner.scan(bytes);
  using Scan = HeadScanner::Outcome::State;
  auto head = std::make_unique<ResponseHead>();
  Parser parser;
  const bool accepted =
      outcome.state == Scan::complete &&
      parser.parse_response({bytes.data(), outcome.end}, Method::get, *head) == Rule::none;
  require(!accepted || theirs.is_whole, "taken, and no head is there");
  if (!theirs.is_whole) return 0;
  require(outcome.state != Scan::incomplete, "a whole head is waited for");
  if (!accepted && theirs.head && theirs.head->may_be_refused) return 0;
  require(accepted == theirs.head.has_value(),
          accepted ? "taken, and should not be" : "refused, and should not be");
  if (!accepted) return 0;
  require(outcome.end == theirs.head->end && head->status == theirs.head->status, "another answer");
  const bool same =
      (head->framing == Framing::none && theirs.head->framing == strict::Framing::none) ||
      (head->framing == Framing::length && theirs.head->framing == strict::Framing::length) ||
      (head->framing == Framing::chunked && theirs.head->framing == strict::Framing::chunked) ||
      (head->framing == Framing::until_close &&
       theirs.head->framing == strict::Framing::until_close);
  require(same, "another framing");
  require(head->framing != Framing::length || head->content_length == theirs.head->length,
          "another length");

  const Framing towards_client =
      head->framing == Framing::until_close ? Framing::chunked : head->framing;
  drop_response_fields(*head, towards_client);
  auto memory = std::make_unique<std::array<std::byte, sluice::core::limits::buffer_send_bytes>>();
  Writer writer{*memory};
  write_response_head(writer, *head, {.framing = towards_client, .request_id = "i"});
  const std::string_view written{reinterpret_cast<const char*>(writer.written().data()),
                                 writer.size()};
  const strict::Reading again = strict::read_response(written);
  require(again.is_whole, "what is written has no end");
  require(!again.head || (again.head->end == written.size() && again.head->status == head->status),
          "what is written is another answer");
  return 0;
}
