// What a peer may do only so often in HTTP/2, and what it gets when it does more: GOAWAY with
// ENHANCE_YOUR_CALM, and a reason of its own. Each has a neighbour that is left alone.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "tests/unit/h2_rig.h"

namespace sluice::http::h2 {
namespace {

using namespace rig;

// Until it ends the session or has been done so often; how often it was done.
int repeat(Server& server, int times, const std::function<std::string(uint32_t)>& bytes) {
  for (int count = 0; count < times; ++count) {
    const bool alive = server.send(bytes(static_cast<uint32_t>(count)));
    while (Stream* stream = server.next()) server.session.release(*stream);
    if (!alive) return count;
    static_cast<void>(server.take());
  }
  return times;
}

void expect_calm(Server& server, Abuse abuse) {
  EXPECT_EQ(server.session.state(), Session::State::ended);
  EXPECT_EQ(server.session.why_ended(), Session::End::abuse);
  EXPECT_EQ(server.session.abuse(), abuse) << reason_code(server.session.abuse());
  static_cast<void>(server.take());
  const Frame* goaway = find(server.last_taken, goaway_frame);
  ASSERT_NE(goaway, nullptr);
  EXPECT_EQ(goaway->number(4), static_cast<uint32_t>(ErrorCode::enhance_your_calm));
  EXPECT_FALSE(server.send("more"));
  EXPECT_FALSE(server.session.wants_write());
}

struct Flood {
  const char* name;
  Abuse abuse;
  int at_least;  // as often as it may be done at once
  std::function<std::string(uint32_t)> bytes;
};

TEST(H2Abuse, floods_end_the_session) {
  const std::vector<Flood> floods = {
      {"streams that are reset at once", Abuse::reset, 190,
       [](uint32_t n) { return headers(2 * n + 3, get()) + rst(2 * n + 3); }},
      {"resets of a stream that is gone", Abuse::reset, 190,
       [](uint32_t n) { return n == 0 ? headers(3, get()) + rst(3) : rst(3); }},
      {"streams that we are made to reset by a window", Abuse::made_reset, 90,
       [](uint32_t n) {
         return headers(2 * n + 3, get(), end_headers) + window(2 * n + 3, 0x7fffffff);
       }},
      {"by a length that is not kept", Abuse::made_reset, 90,
       [](uint32_t n) {
         return headers(2 * n + 3, post("/", {{"content-length", "1"}}), end_headers) +
                data(2 * n + 3, "ab");
       }},
      {"by a trailer that is none", Abuse::made_reset, 90,
       [](uint32_t n) {
         return headers(2 * n + 3, post(), end_headers) +
                headers(2 * n + 3, {{":path", "/"}}, end_headers | end_stream);
       }},
      {"SETTINGS", Abuse::settings, 10, [](uint32_t) { return settings(); }},
      {"SETTINGS that resize the table", Abuse::settings, 10,
       [](uint32_t n) { return settings(setting(1, n % 2 * 4096)); }},
      {"PING", Abuse::ping, 60, [](uint32_t) { return frame(ping_frame, 0, 0, "12345678"); }},
      {"answers to no PING", Abuse::ping, 60,
       [](uint32_t) { return frame(ping_frame, acknowledgement, 0, "12345678"); }},
      {"small windows", Abuse::window_update, 1900, [](uint32_t) { return window(0, 1); }},
      {"PRIORITY", Abuse::priority, 390,
       [](uint32_t n) { return frame(priority_frame, 0, 2 * n + 3, number(0) + "a"); }},
      {"PRIORITY_UPDATE", Abuse::priority, 390,
       [](uint32_t) { return frame(priority_update_frame, 0, 0, number(1) + "u=1"); }},
      {"empty DATA", Abuse::empty_data, 90, [](uint32_t) { return data(1, ""); }},
      {"DATA of padding", Abuse::empty_data, 90,
       [](uint32_t) { return frame(data_frame, padded, 1, "\3" + std::string(3, '\0')); }},
  };
  for (const Flood& flood : floods) {
    SCOPED_TRACE(flood.name);
    Server server{{.streams = 1000}};
    server.greet();
    ASSERT_TRUE(server.send(headers(1, post(), end_headers)));
    Stream* open = server.next();
    ASSERT_NE(open, nullptr);
    const int done = repeat(server, 5000, flood.bytes);
    EXPECT_GE(done, flood.at_least);
    EXPECT_LT(done, 5000);
    expect_calm(server, flood.abuse);
  }
}

// The same, no faster than it may be done, goes on for ever.
TEST(H2Abuse, what_is_done_now_and_then_is_left_alone) {
  Server server;
  server.greet();
  for (uint32_t turn = 0; turn < 3000; ++turn) {
    server.now_ms += 1000;
    const uint32_t id = 2 * turn + 1;
    ASSERT_TRUE(server.send(headers(id, post(), end_headers) + data(id, "") + rst(id) + settings() +
                            window(0, 1) + frame(ping_frame, 0, 0, "12345678")))
        << turn << reason_code(server.session.abuse());
    while (Stream* stream = server.next()) server.session.release(*stream);
    static_cast<void>(server.take());
  }
}

// A receiver that answers each frame of a body with two windows and a PING is no flood.
TEST(H2Abuse, windows_and_pings_for_data_are_paid_for) {
  Server server;
  server.greet();
  ASSERT_TRUE(server.send(headers(1, get())));
  Stream* stream = server.next();
  server.session.respond(*stream, ok_head, Fin::more);
  const std::string body(1000, 'x');
  for (int turn = 0; turn < 20'000; ++turn) {
    server.session.offer(*stream, bytes_of(body), Fin::more);
    ASSERT_NE(find(server.take(), data_frame), nullptr);
    ASSERT_TRUE(
        server.send(window(0, 1000) + window(1, 1000) + frame(ping_frame, 0, 0, "12345678")))
        << turn << reason_code(server.session.abuse());
    ASSERT_EQ(server.next(), stream);
  }
  server.session.release(*stream);
}

TEST(H2Abuse, continuations_of_one_block_are_few) {
  const std::string block = hpack(get());
  std::string bytes = frame(headers_frame, end_stream, 1, block.substr(0, 10));
  for (uint32_t count = 0; count < continuations_max - 1; ++count)
    bytes += frame(continuation_frame, 0, 1, "");
  {
    Server server;
    server.greet();
    ASSERT_TRUE(server.send(bytes + frame(continuation_frame, end_headers, 1, block.substr(10))));
    EXPECT_NE(server.next(), nullptr);
  }
  Server server;
  server.greet();
  EXPECT_FALSE(server.send(bytes + frame(continuation_frame, 0, 1, block.substr(10)) +
                           frame(continuation_frame, 0, 1, "")));
  expect_calm(server, Abuse::continuation);
}

// One long field in the dynamic table, and a block that is nothing but references to it.
TEST(H2Abuse, header_bomb_ends_the_session) {
  std::string block = hpack(get());
  block += '\x40';  // with incremental indexing
  block += hpack_string("x") + hpack_string(std::string(4000, 'x'));
  {
    Server server;
    server.greet();
    // Too much for a head, and an answer for it.
    ASSERT_TRUE(server.send(
        frame(headers_frame, end_headers | end_stream, 1, block + std::string(20, '\xbe'))));
    Stream* stream = server.next();
    ASSERT_NE(stream, nullptr);
    EXPECT_EQ(server.read(*stream), Rule::head_too_large);
    server.session.respond(*stream, "HTTP/1.1 431 Too Large\r\n\r\n", Fin::last);
    EXPECT_NE(find(server.take(), headers_frame, 1), nullptr);
  }
  Server server;
  server.greet();
  const size_t before = server.context.memory().used_bytes();
  EXPECT_FALSE(server.send(
      frame(headers_frame, end_headers | end_stream, 1, block + std::string(10'000, '\xbe'))));
  EXPECT_LT(server.context.memory().used_bytes() - before, 128U * 1024);
  expect_calm(server, Abuse::header_list);
}

// Reset streams count until their owner has let them go.
TEST(H2Abuse, streams_opened_faster_than_they_end_are_refused) {
  Server server{{.streams = 10}};
  server.greet();
  std::vector<Stream*> held;
  uint32_t refused = 0;
  for (uint32_t id = 1; id < 200; id += 2) {
    ASSERT_TRUE(server.send(headers(id, get()) + rst(id)));
    while (Stream* stream = server.next()) held.push_back(stream);
    for (const Frame& one : server.take()) {
      if (one.type == rst_frame && one.number() == static_cast<uint32_t>(ErrorCode::refused_stream))
        ++refused;
    }
  }
  EXPECT_EQ(held.size(), 20U);
  EXPECT_EQ(server.session.streams(), 20U);
  EXPECT_EQ(refused, 80U);
  for (Stream* stream : held) server.session.release(*stream);
  ASSERT_TRUE(server.send(headers(201, get())));
  EXPECT_NE(server.next(), nullptr);
}

TEST(H2Abuse, more_streams_than_were_allowed_end_the_session) {
  Server server{{.streams = 10}};
  server.greet();
  bool alive = true;
  for (uint32_t id = 1; id < 30 && alive; id += 2) alive = server.send(headers(id, get()));
  const auto frames = server.take();
  const Frame* goaway = find(frames, goaway_frame);
  ASSERT_NE(goaway, nullptr);
  EXPECT_EQ(goaway->number(4), static_cast<uint32_t>(ErrorCode::protocol_error));
  EXPECT_EQ(server.session.why_ended(), Session::End::protocol);
}

TEST(H2Abuse, bodies_that_nobody_gives_a_window_to_end) {
  Server server;
  server.greet(setting(4, 0));
  const std::string body(10, 'x');
  int ended = 0;
  for (uint32_t id = 1; server.session.state() != Session::State::ended; id += 2) {
    ASSERT_LT(id, 100U);
    ASSERT_TRUE(server.send(headers(id, get())));
    Stream* stream = server.next();
    server.session.respond(*stream, ok_head, Fin::more);
    server.session.offer(*stream, bytes_of(body), Fin::last);
    static_cast<void>(server.take());
    server.now_ms += 30;
    ended += static_cast<int>(server.session.end_stalled(server.now_ms, 20));
    if (Stream* gone = server.next()) server.session.release(*gone);
  }
  EXPECT_GE(ended, 8);
  expect_calm(server, Abuse::stalled);
}

// What breaks framing ends the connection, with nghttp2's word for it.
TEST(H2Protocol, broken_framing_is_a_connection_error) {
  const std::vector<std::tuple<const char*, std::string, ErrorCode>> table = {
      {"DATA on no stream", data(0, "x"), ErrorCode::protocol_error},
      {"DATA on a stream nobody opened", data(1, "x"), ErrorCode::protocol_error},
      {"a stream of the server's", headers(2, get()), ErrorCode::protocol_error},
      {"a frame too large", frame(data_frame, 0, 1, std::string(16'385, 'x')),
       ErrorCode::frame_size_error},
      {"PING of seven bytes", frame(ping_frame, 0, 0, "1234567"), ErrorCode::frame_size_error},
      {"a setting out of range", settings(setting(4, 0x80000000)), ErrorCode::flow_control_error},
      {"a push by a client", frame(push_frame, end_headers, 1, number(2) + hpack(get())),
       ErrorCode::protocol_error},
      {"a block that can't be decoded",
       frame(headers_frame, end_headers, 1, "\xff\xff\xff\xff\xff\xff"),
       ErrorCode::compression_error},
      {"a block that something else comes between",
       frame(headers_frame, 0, 1, hpack(get())) + data(1, "x"), ErrorCode::protocol_error},
      {"a continuation of nothing", frame(continuation_frame, end_headers, 1, hpack(get())),
       ErrorCode::protocol_error},
      {"DATA behind the end", headers(1, get()) + data(1, "x"), ErrorCode::stream_closed},
      {"a window too large", window(0, 0x7fffffff), ErrorCode::flow_control_error},
      {"a window of nothing", headers(1, get()) + window(1, 0), ErrorCode::protocol_error},
      {"a padding longer than its frame", frame(data_frame, padded, 1, "\7abc"),
       ErrorCode::protocol_error},
  };
  for (const auto& [why, bytes, code] : table) {
    Server server;
    server.greet();
    static_cast<void>(server.send(bytes));
    const auto frames = server.take();
    const Frame* goaway = find(frames, goaway_frame);
    ASSERT_NE(goaway, nullptr) << why;
    EXPECT_EQ(goaway->number(4), static_cast<uint32_t>(code)) << why;
    EXPECT_EQ(server.session.state(), Session::State::ended) << why;
  }
}

TEST(H2Protocol, whoever_does_not_speak_it_is_told_at_once) {
  for (const char* bytes :
       {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"}) {
    Server server;
    EXPECT_FALSE(server.send(bytes));
    EXPECT_EQ(server.session.why_ended(), Session::End::protocol);
  }
  // SETTINGS come first.
  Server server;
  EXPECT_FALSE(server.send(std::string{preface} + headers(1, get())) && server.take().empty());
  static_cast<void>(server.take());
  EXPECT_EQ(server.session.state(), Session::State::ended);
}

}  // namespace
}  // namespace sluice::http::h2
