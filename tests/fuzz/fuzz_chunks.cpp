// Any bytes as a chunked body, in pieces of any size (the first byte says which): the payload is
// what a second reader finds, and framed anew it is the same body again, with the trailers that may
// go on.
#include <cstdint>
#include <memory>
#include <string>

#include "http/hygiene.h"
#include "http/parser.h"
#include "http/serializer.h"
#include "proxy/outbox.h"
#include "tests/fuzz/require.h"
#include "tests/fuzz/strict.h"

using namespace sluice::http;
using sluice::require;
namespace strict = sluice::strict;
namespace proxy = sluice::proxy;

namespace {

// The bytes that leave for it.
struct Relayed {
  Rule rule = Rule::none;
  bool complete = false;
  size_t consumed = 0;
  std::string payload;
  std::string framed;
};

Relayed relay(std::string_view bytes, size_t piece_size) {
  std::string head_bytes = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  auto head = std::make_unique<RequestHead>();
  Parser parser;
  require(parser.parse_request({head_bytes.data(), head_bytes.size()}, *head) == Rule::none,
          "the head");
  std::string trailers(sluice::core::limits::trailer_memory_bytes, '\0');
  parser.keep_trailers(trailers);
  Relayed relayed;
  std::string memory(chunk_line_max + piece_size + 8, '\0');
  while (!relayed.complete && relayed.rule == Rule::none && relayed.consumed < bytes.size()) {
    const std::string_view piece = bytes.substr(relayed.consumed, piece_size);
    char* at = memory.data() + chunk_line_max;
    piece.copy(at, piece.size());
    const BodyPiece taken = parser.take_body({at, piece.size()}, at);
    require(taken.consumed <= piece.size() && taken.produced <= piece.size(),
            "more than there was");
    relayed.rule = taken.rule;
    relayed.complete = taken.complete;
    if (taken.rule != Rule::none) break;
    require(taken.complete || taken.consumed == piece.size(), "bytes are left and it is not over");
    relayed.consumed += taken.consumed;
    relayed.payload.append(at, taken.produced);
    proxy::Outbox outbox;
    proxy::add_chunk(outbox, {.bytes = std::as_writable_bytes(std::span{at, taken.produced}),
                              .complete = taken.complete,
                              .trailers = parser.trailers()});
    for (; !outbox.empty(); outbox.advance(outbox.front().size())) {
      relayed.framed.append(reinterpret_cast<const char*>(outbox.front().data()),
                            outbox.front().size());
    }
  }
  return relayed;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2 || size > 20'000) return 0;
  const std::string_view bytes{reinterpret_cast<const char*>(data) + 1, size - 1};
  const strict::Body theirs = strict::read_chunked(bytes);
  const Relayed ours = relay(bytes, 1 + data[0]);
  const Relayed whole = relay(bytes, bytes.size());
  require(whole.rule == ours.rule && whole.complete == ours.complete, "cuts make a difference");
  if (theirs.state == strict::Body::State::broken)
    require(ours.rule != Rule::none, "taken, and should not be");
  if (ours.complete && ours.rule == Rule::none) {
    require(theirs.state == strict::Body::State::complete && theirs.end == ours.consumed,
            "the body ends elsewhere");
    require(theirs.payload == ours.payload && whole.payload == ours.payload, "another payload");
    for (const Relayed* one : {&ours, &whole}) {
      const strict::Body again = strict::read_chunked(one->framed);
      require(again.state == strict::Body::State::complete && again.end == one->framed.size(),
              "what leaves is no whole body");
      require(again.payload == ours.payload, "what leaves is another body");
      size_t kept = 0;
      for (const auto& trailer : theirs.trailers) {
        if (!may_be_a_trailer(trailer.first)) continue;
        require(kept < again.trailers.size() && again.trailers[kept] == trailer,
                "a trailer is lost or changed");
        ++kept;
      }
      require(kept == again.trailers.size(), "a trailer too many");
    }
  }
  if (theirs.state == strict::Body::State::complete && !theirs.may_be_refused)
    require(ours.rule == Rule::none && ours.complete, "refused, and should not be");
  return 0;
}
