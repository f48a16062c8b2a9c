// Any bytes from a client of HTTP/2, in pieces of any size (the first byte says which), to an owner
// that answers what it can. Nothing is lost or kept, cuts make no difference to what is asked, what
// is taken is a request to a second reader once it is written for HTTP/1.1, and to nghttp2's own
// checks.
#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "http/h2/server_session.h"
#include "http/hygiene.h"
#include "http/serializer.h"
#include "tests/fuzz/require.h"
#include "tests/fuzz/strict.h"

using namespace sluice::http;
using sluice::require;
namespace h2 = sluice::http::h2;
namespace strict = sluice::strict;

namespace {

constexpr std::string_view opening{
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0\0\0\0\4\1\0\0\0\0", 42};

// What leaves for an endpoint is one request, with the end that the head says.
std::string write_and_read(RequestHead& head) {
  if (head.method == Method::connect) return "CONNECT";
  drop_request_fields(head, {});
  std::vector<std::byte> memory(sluice::core::limits::buffer_send_bytes);
  Writer writer{memory};
  write_request_head(
      writer, head,
      {.forwarding = {.peer = "::1"}, .host = "h", .request_id = "i", .traceparent = "t"});
  const std::string_view written{reinterpret_cast<const char*>(memory.data()), writer.size()};
  const strict::Reading again = strict::read_request(written);
  require(again.is_whole, "what is written has no end");
  if (!again.head) {  // our own fields may be one too many
    require(head.fields.size() > 80 || written.size() > 32 * 1024, "what is written is no request");
    return std::string{written};
  }
  require(again.head->end == written.size(), "what is written ends early");
  require(again.head->target == head.target && again.head->method == head.method_text,
          "what is written is another request");
  require(again.head->length == head.content_length, "what is written has another end");
  return std::string{written};
}

// What each stream was taken for: a request, or the rule that it broke.
std::map<int32_t, std::string> serve(std::string_view bytes, size_t piece) {
  std::map<int32_t, std::string> taken;
  h2::Context context{4 << 20};
  {
    h2::ServerSession session{context,
                              {.streams = 20, .extended_connect = h2::ExtendedConnect::allowed}};
    std::vector<char> text(h2::head_memory_bytes);
    auto head = std::make_unique<RequestHead>();
    std::vector<std::byte> out_memory(2000);
    std::vector<std::byte> body(100'000);
    const std::string answer(3000, 'a');
    uint64_t now_ms = 0;
    for (size_t at = 0; at < bytes.size(); at += piece) {
      const std::string_view part = bytes.substr(at, piece);
      const bool alive =
          session.receive(std::as_bytes(std::span{part.data(), part.size()}), now_ms);
      while (h2::Stream* stream = session.next_event()) {
        const h2::Events events = h2::Session::take_events(*stream);
        const Rule rule =
            events.head ? session.read_request(*stream, text, *head).rule : Rule::leading_bytes;
        if (events.head)
          taken[stream->id()] =
              rule == Rule::none ? write_and_read(*head) : std::string{reason_code(rule)};
        if (events.head && rule == Rule::none) {
          session.respond(*stream, "HTTP/1.1 200 OK\r\nA: b\r\n\r\n", h2::Fin::more);
          session.offer(*stream, std::as_bytes(std::span{answer.data(), answer.size()}),
                        h2::Fin::last, "x: y\r\n");
        } else if (events.head) {
          session.respond(*stream, "HTTP/1.1 400 Bad Request\r\n\r\n", h2::Fin::last);
        }
        static_cast<void>(session.read_body(*stream, body));
        if (events.gone || (events.sent && stream->has_ended())) session.release(*stream);
      }
      h2::Output output{out_memory};
      for (session.write(output, now_ms); !output.empty(); session.write(output, now_ms))
        session.sent(output);
      if (!alive) break;
    }
  }
  require(context.memory().used_bytes() == 0, "memory is kept");
  return taken;
}

// nghttp2 with its own checks on: the streams whose heads it has nothing against.
std::set<int32_t> judged_by_nghttp2(std::string_view bytes) {
  std::set<int32_t> fine;
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_frame_recv_callback(
      callbacks, [](nghttp2_session*, const nghttp2_frame* frame, void* user) {
        if (frame->hd.type == NGHTTP2_HEADERS)
          static_cast<std::set<int32_t>*>(user)->insert(frame->hd.stream_id);
        return 0;
      });
  nghttp2_session* session = nullptr;
  nghttp2_session_server_new(&session, callbacks, &fine);
  const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
                                             {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1}};
  nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, 2);
  nghttp2_session_mem_recv(session, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  nghttp2_session_del(session);
  nghttp2_session_callbacks_del(callbacks);
  return fine;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2 || size > 20'000) return 0;
  const std::string bytes =
      std::string{opening} + std::string{reinterpret_cast<const char*>(data) + 1, size - 1};
  const auto whole = serve(bytes, bytes.size());
  const auto pieces = serve(bytes, 1 + data[0]);
  // Which streams are let in may depend on what was answered meanwhile; what they say does not.
  for (const auto& [id, request] : whole) {
    const auto same = pieces.find(id);
    require(same == pieces.end() || same->second == request, "cuts make a difference");
  }
  const std::set<int32_t> fine = judged_by_nghttp2(bytes);
  for (const auto& [id, request] : whole)
    require(request.starts_with("http.") || fine.contains(id), "taken, and nghttp2 would not");
  return 0;
}
