// Any bytes as a request: the gateway takes exactly what a second, independent reader takes, and
// for the same; it does so however the bytes are cut; and what it writes for it is read again as
// the same request.
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

namespace {

using Scan = HeadScanner::Outcome::State;

struct Read {
  Scan state = Scan::incomplete;
  Rule rule = Rule::none;
  uint32_t end = 0;
};

Read read(std::string& bytes, Parser& parser, RequestHead& head, size_t first_piece) {
  HeadScanner scanner;
  scanner.reset(HeadKind::request);
  auto outcome = scanner.scan(std::string_view{bytes}.substr(0, first_piece));
  if (outcome.state == Scan::incomplete) outcome = scanner.scan(bytes);
  Read result{.state = outcome.state, .rule = outcome.rule, .end = outcome.end};
  if (outcome.state == Scan::complete) {
    result.rule =
        parser.parse_request({bytes.data() + outcome.begin, outcome.end - outcome.begin}, head);
  }
  return result;
}

strict::Framing framing_of(Framing framing) {
  switch (framing) {
    case Framing::none: return strict::Framing::none;
    case Framing::length: return strict::Framing::length;
    case Framing::chunked: return strict::Framing::chunked;
    case Framing::until_close: return strict::Framing::until_close;
  }
  return strict::Framing::none;
}

void compare(const Read& ours, const RequestHead& head, const strict::Reading& theirs) {
  const bool accepted = ours.state == Scan::complete && ours.rule == Rule::none;
  require(!accepted || theirs.is_whole, "taken, and no head is there");
  if (!theirs.is_whole) return;
  require(ours.state != Scan::incomplete, "a whole head is waited for");
  // Of CONNECT's target nothing is asked: whatever it is, nobody is connected.
  if (theirs.head && theirs.head->method == "CONNECT") return;
  if (!accepted && theirs.head && theirs.head->may_be_refused) return;
  require(accepted == theirs.head.has_value(),
          accepted ? "taken, and should not be" : "refused, and should not be");
  if (!accepted) return;
  require(ours.end == theirs.head->end, "the head ends elsewhere");
  require(head.method_text == theirs.head->method, "another method");
  require(head.target == theirs.head->target, "another target");
  require(head.authority == theirs.head->authority, "another authority");
  require(framing_of(head.framing) == theirs.head->framing, "another framing");
  require(head.content_length == theirs.head->length, "another length");
  require(head.fields.size() == theirs.head->fields.size(), "other fields");
  for (uint32_t i = 0; i < head.fields.size(); ++i) {
    require(equals_ignoring_case(head.fields.name(head.fields[i]), theirs.head->fields[i].first),
            "another name");
    require(head.fields.value(head.fields[i]) == theirs.head->fields[i].second, "another value");
  }
}

// What leaves is the request again, as the second reader sees it.
void write_and_read(RequestHead& head) {
  drop_request_fields(head, {});
  auto memory = std::make_unique<std::array<std::byte, sluice::core::limits::buffer_send_bytes>>();
  Writer writer{*memory};
  write_request_head(
      writer, head,
      {.forwarding = {.peer = "::1"}, .host = "h", .request_id = "i", .traceparent = "t"});
  const std::string_view written{reinterpret_cast<const char*>(writer.written().data()),
                                 writer.size()};
  const strict::Reading again = strict::read_request(written);
  require(again.is_whole, "what is written has no end");
  if (!again.head) {  // our own fields may be one too many
    require(head.fields.size() > 80 || written.size() > 32 * 1024, "what is written is no request");
    return;
  }
  require(again.head->end == written.size(), "what is written ends early");
  require(again.head->target == head.target && again.head->method == head.method_text,
          "what is written is another request");
  require(
      again.head->framing == framing_of(head.framing) && again.head->length == head.content_length,
      "what is written has another end");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 65536) return 0;
  const std::string given{reinterpret_cast<const char*>(data), size};
  const strict::Reading theirs = strict::read_request(given);
  auto head = std::make_unique<RequestHead>();
  for (const size_t cut : {size, size / 2, size / 3}) {
    std::string bytes = given;
    Parser parser;
    const Read ours = read(bytes, parser, *head, cut);
    compare(ours, *head, theirs);
    if (cut == size && ours.state == Scan::complete && ours.rule == Rule::none &&
        head->method != Method::connect)
      write_and_read(*head);
  }
  return 0;
}
