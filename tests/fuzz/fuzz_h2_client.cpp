// Any bytes from an endpoint of HTTP/2, in pieces of any size (the first byte says which), in
// answer to three requests. Nothing is lost or kept, cuts make no difference, and an answer that
// ended well is as long as it said.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "http/h2/client_session.h"
#include "tests/fuzz/require.h"

using namespace sluice::http;
using sluice::require;
namespace h2 = sluice::http::h2;

namespace {

// What the client came to know of one request.
struct Answer {
  uint16_t status = 0;
  Rule rule = Rule::none;
  bool ended = false;
  bool unprocessed = false;
  std::string body;
  std::string trailers;
  bool operator==(const Answer&) const = default;
};

class Client {
 public:
  Client() : session_(context_, {.streams = 3}) {
    const std::string_view head =
        "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    streams_.push_back(session_.request(head, Method::post, "http", h2::Fin::more));
    streams_.push_back(session_.request("HEAD /b HTTP/1.1\r\nHost: h\r\n\r\n", Method::head, "http",
                                        h2::Fin::last));
    streams_.push_back(
        session_.request("GET /c HTTP/1.1\r\nHost: h\r\n\r\n", Method::get, "http", h2::Fin::last));
    for (h2::Stream* stream : streams_) require(stream != nullptr, "no stream");
    static const std::string upload(5000, 'u');
    session_.offer(*streams_[0], std::as_bytes(std::span{upload.data(), upload.size()}),
                   h2::Fin::last, "x: y\r\n");
    write();
  }
  ~Client() {
    for (h2::Stream* stream : streams_) session_.release(*stream);
    write();
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  bool take(std::string_view part) {
    const bool alive = session_.receive(std::as_bytes(std::span{part.data(), part.size()}), 0);
    while (h2::Stream* stream = session_.next_event()) {
      static_cast<void>(h2::Session::take_events(*stream));
      read(*stream);
    }
    write();
    return alive;
  }
  std::vector<Answer> answers;

 private:
  void read(h2::Stream& stream) {
    Answer& answer = answers[static_cast<size_t>(stream.id() / 2)];
    while (h2::ClientSession::has_head(stream) && answer.rule == Rule::none) {
      answer.rule = session_.read_response(stream, text_, *head_);
      if (answer.rule == Rule::none) answer.status = head_->status;
    }
    std::string body(stream.body_bytes(), '\0');
    require(session_.read_body(stream, std::as_writable_bytes(std::span{body})) == body.size(),
            "less than there is");
    answer.body += body;
    answer.trailers = stream.trailers();
    answer.ended = stream.has_ended();
    answer.unprocessed = stream.is_unprocessed();
    if (!answer.ended || answer.rule != Rule::none) return;
    require(answer.status >= 200, "ended, and no final answer");
    require(stream.id() != 3 || answer.body.empty(), "a body to HEAD");
    require(head_->framing != Framing::length || stream.id() == 3 ||
                answer.body.size() == stream.received_bytes(),
            "bytes are lost");
  }
  void write() {
    h2::Output output{memory_};
    for (session_.write(output, 0); !output.empty(); session_.write(output, 0))
      session_.sent(output);
  }

  h2::Context context_{4 << 20};
  h2::ClientSession session_;
  std::vector<h2::Stream*> streams_;
  std::vector<char> text_ = std::vector<char>(h2::head_memory_bytes);
  std::unique_ptr<ResponseHead> head_ = std::make_unique<ResponseHead>();
  std::vector<std::byte> memory_ = std::vector<std::byte>(2000);
};

std::vector<Answer> ask(std::string_view bytes, size_t piece) {
  Client client;
  client.answers.resize(3);
  for (size_t at = 0; at < bytes.size(); at += piece) {
    if (!client.take(bytes.substr(at, piece))) break;
  }
  return client.answers;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2 || size > 20'000) return 0;
  const std::string bytes = std::string{"\0\0\0\4\0\0\0\0\0\0\0\0\4\1\0\0\0\0", 18} +
                            std::string{reinterpret_cast<const char*>(data) + 1, size - 1};
  const std::vector<Answer> pieces = ask(bytes, 1 + data[0]);
  const std::vector<Answer> whole = ask(bytes, bytes.size());
  for (size_t at = 0; at < whole.size(); ++at) {
    // What ended well did so however it was cut.
    if (!whole[at].ended || !pieces[at].ended) continue;
    require(whole[at] == pieces[at], "cuts make a difference");
  }
  return 0;
}
