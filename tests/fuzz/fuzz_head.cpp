// Any bytes as a request and as a response: nothing crashes, what is accepted is in normal form, and what is written for
// it is read again as the same message.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include "http/head_scanner.h"
#include "http/hygiene.h"
#include "http/parser.h"
#include "http/serializer.h"
#include "http/uri.h"

using namespace sluice::http;

namespace {

void require(bool fine) {
  if (!fine) std::abort();
}

// Scans and parses; false if it is refused.
bool read(std::string& bytes, Parser& parser, RequestHead& head, uint32_t& end) {
  HeadScanner scanner;
  scanner.reset(HeadKind::request);
  const auto outcome = scanner.scan(bytes);
  if (outcome.state != HeadScanner::Outcome::State::complete) return false;
  end = outcome.end;
  return parser.parse_request({bytes.data() + outcome.begin, outcome.end - outcome.begin}, head) == Rule::none;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 65536) return 0;
  std::string bytes{reinterpret_cast<const char*>(data), size};
  auto head = std::make_unique<RequestHead>();
  Parser parser;
  uint32_t end = 0;
  if (read(bytes, parser, *head, end) && head->method != Method::connect) {
    std::string target{head->target};
    const Target again = normalize_target(head->method, target.data(), target.size());
    require(again.rule == Rule::none && again.text == head->target);
    drop_request_fields(*head);
    auto memory = std::make_unique<std::array<std::byte, sluice::core::limits::buffer_send_bytes>>();
    Writer writer{*memory};
    write_request_head(writer, *head, {.client_address = "::1", .host = "h", .request_id = "i", .traceparent = "t"});
    std::string written{reinterpret_cast<const char*>(writer.written().data()), writer.size()};
    auto second = std::make_unique<RequestHead>();
    Parser second_parser;
    uint32_t second_end = 0;
    const bool understood = read(written, second_parser, *second, second_end);
    // Our own fields may be one too many; the message must not be another.
    require(!understood || (second_end == written.size() && second->target == head->target && second->framing == head->framing &&
                            second->content_length == head->content_length));
    while (!parser.body_complete()) {
      const BodyPiece piece = parser.take_body({bytes.data() + end, bytes.size() - end}, bytes.data() + end);
      require(piece.consumed <= bytes.size() - end && piece.produced <= bytes.size() - end);
      break;
    }
  }
  std::string response{reinterpret_cast<const char*>(data), size};
  HeadScanner scanner;
  scanner.reset(HeadKind::response);
  const auto outcome = scanner.scan(response);
  if (outcome.state == HeadScanner::Outcome::State::complete) {
    auto answer = std::make_unique<ResponseHead>();
    Parser response_parser;
    if (response_parser.parse_response({response.data(), outcome.end}, Method::get, *answer) == Rule::none) {
      require(answer->status >= 100 && answer->status <= 599);
      static_cast<void>(
          response_parser.take_body({response.data() + outcome.end, response.size() - outcome.end}, response.data() + outcome.end));
    }
  }
  return 0;
}
