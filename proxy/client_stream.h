// A request and its answer as its client speaks: one of Http1Stream and Http2Stream. Their
// functions are the same ones; where only one of them has something to do, the other does nothing.
//
// Part of an exchange, and opened once.
#pragma once

#include <cstdint>
#include <new>
#include <span>
#include <string_view>
#include <type_traits>

#include "proxy/http1_stream.h"
#include "proxy/http2_stream.h"

namespace sluice::proxy {

class ClientStream {
 public:
  using Afterwards = DownstreamConnection::Afterwards;
  using Rest = Http1Stream::Rest;
  using Fields = Http1Stream::Fields;
  enum class Protocol : uint8_t { http1, http2 };

  void open(DownstreamConnection& connection, const Arrival& arrival, Exchange& exchange,
            core::Token timer) {
    protocol_ = arrival.stream == nullptr ? Protocol::http1 : Protocol::http2;
    if (is_http2())
      (new (&as_.http2) Http2Stream)->open(connection, arrival, exchange, timer);
    else
      (new (&as_.http1) Http1Stream)->open(connection, arrival);
  }
  [[nodiscard]] bool is_http2() const { return protocol_ == Protocol::http2; }
  [[nodiscard]] Http2Stream& http2() { return as_.http2; }

  // --- the request ---------------------------------------------------------------------------
  [[nodiscard]] http::Rule read_head(const http::HeadScanner::Outcome& head) {
    return is_http2() ? as_.http2.read_head() : as_.http1.read_head(head);
  }
  [[nodiscard]] bool is_understood() const {
    return is_http2() ? as_.http2.is_understood() : as_.http1.is_understood();
  }
  [[nodiscard]] http::RequestHead& request() {
    return is_http2() ? as_.http2.request() : as_.http1.request();
  }
  [[nodiscard]] const http::RequestHead& request() const {
    return is_http2() ? as_.http2.request() : as_.http1.request();
  }
  [[nodiscard]] char* memory() const {
    return is_http2() ? as_.http2.memory() : as_.http1.memory();
  }
  [[nodiscard]] std::span<std::byte> head_area() const {
    return is_http2() ? as_.http2.head_area() : as_.http1.head_area();
  }
  [[nodiscard]] BodyPart first_part() const {
    return is_http2() ? as_.http2.first_part() : as_.http1.first_part();
  }
  [[nodiscard]] bool body_complete() const {
    return is_http2() ? as_.http2.body_complete() : as_.http1.body_complete();
  }
  [[nodiscard]] std::string_view drop_trailer(std::string_view name) {
    return is_http2() ? as_.http2.drop_trailer(name) : as_.http1.drop_trailer(name);
  }
  void receive_body(Station& station) {
    is_http2() ? as_.http2.receive_body(station) : as_.http1.receive_body(station);
  }
  [[nodiscard]] BodyPart on_body(uint32_t size) {
    return is_http2() ? as_.http2.on_body(size) : as_.http1.on_body(size);
  }
  [[nodiscard]] bool take_expectation() {
    return is_http2() ? as_.http2.take_expectation() : as_.http1.take_expectation();
  }

  // --- what HTTP/1.1 alone has: bytes past us, and tunnels -------------------------------------
  [[nodiscard]] Http1Stream& http1() { return as_.http1; }
  [[nodiscard]] const Http1Stream& http1() const { return as_.http1; }

  // --- the answer ----------------------------------------------------------------------------
  [[nodiscard]] http::Persistence persistence() const {
    return is_http2() ? as_.http2.persistence() : as_.http1.persistence();
  }
  void close_afterwards() {
    is_http2() ? as_.http2.close_afterwards() : as_.http1.close_afterwards();
  }
  [[nodiscard]] bool has_answer_begun() const {
    return is_http2() ? as_.http2.has_answer_begun() : as_.http1.has_answer_begun();
  }
  [[nodiscard]] http::Framing frame_answer(http::Framing framing) {
    return is_http2() ? as_.http2.frame_answer(framing) : as_.http1.frame_answer(framing);
  }
  void send_continue() { is_http2() ? as_.http2.send_continue() : as_.http1.send_continue(); }
  void send_informational(std::span<std::byte> memory, http::ResponseHead& response) {
    is_http2() ? as_.http2.send_informational(memory, response)
               : as_.http1.send_informational(memory, response);
  }
  void send_head(std::span<std::byte> memory, const http::ResponseHead& response,
                 const Fields& fields, const BodyPart& first) {
    is_http2() ? as_.http2.send_head(memory, response, fields, first)
               : as_.http1.send_head(memory, response, fields, first);
  }
  void send_body(const BodyPart& part) {
    is_http2() ? as_.http2.send_body(part) : as_.http1.send_body(part);
  }
  void send_reply(LocalReply& reply, const Fields& fields, uint64_t discard_max) {
    is_http2() ? as_.http2.send_reply(reply, fields)
               : as_.http1.send_reply(reply, fields, discard_max);
  }
  [[nodiscard]] bool has_nothing_to_send() const {
    return is_http2() ? as_.http2.has_nothing_to_send() : as_.http1.has_nothing_to_send();
  }
  [[nodiscard]] SendProgress flush(Station& station) {
    return is_http2() ? as_.http2.flush(station) : as_.http1.flush(station);
  }
  [[nodiscard]] bool is_flushing() const {
    return is_http2() ? as_.http2.is_flushing() : as_.http1.is_flushing();
  }

  // --- the end -------------------------------------------------------------------------------
  // What is left of a request in HTTP/2 is reset, and in nobody's way.
  [[nodiscard]] Rest rest() const { return is_http2() ? Rest::next_request : as_.http1.rest(); }
  void finish(Station& station, Afterwards afterwards) {
    is_http2() ? as_.http2.finish(station) : as_.http1.finish(station, afterwards);
  }
  // No answer, or no whole one: the client sees it end.
  void break_off(Station& station, Channel::Ending ending = Channel::Ending::fin) {
    is_http2() ? as_.http2.break_off(station) : connection().begin_close(station, ending);
  }
  void on_connection_gone(Station& station) {
    is_http2() ? as_.http2.on_connection_gone(station) : as_.http1.on_connection_gone();
  }

  // --- the connection ------------------------------------------------------------------------
  [[nodiscard]] bool has_connection() const {
    return is_http2() ? as_.http2.has_connection() : as_.http1.has_connection();
  }
  [[nodiscard]] DownstreamConnection& connection() const {
    return is_http2() ? as_.http2.connection() : as_.http1.connection();
  }
  // A connection with many streams is always read from, and hears when its client goes.
  void watch(Station& station) {
    if (!is_http2()) connection().channel().watch(station);
  }
  [[nodiscard]] bool is_receiving() const {
    return !is_http2() && connection().channel().is_receiving();
  }
  [[nodiscard]] bool is_sending() const {
    return is_http2() ? as_.http2.is_flushing() : connection().channel().is_sending();
  }
  [[nodiscard]] bool can_splice() const {
    return !is_http2() && connection().channel().can_splice();
  }
  [[nodiscard]] uint64_t bytes_sent() const {
    return is_http2() ? as_.http2.bytes_sent() : as_.http1.bytes_sent();
  }

 private:
  static_assert(std::is_trivially_destructible_v<Http1Stream> &&
                std::is_trivially_destructible_v<Http2Stream>);

  Protocol protocol_ = Protocol::http1;
  union Kind {
    Kind() {}
    Http1Stream http1;
    Http2Stream http2;
  };
  Kind as_;
};

}  // namespace sluice::proxy
