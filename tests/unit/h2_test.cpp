// HTTP/2 sessions, both ends: streams, windows, memory, drain.
#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "core/random.h"
#include "tests/unit/h2_rig.h"

namespace sluice::http::h2 {
namespace {

using namespace rig;

std::string body_of(const std::vector<Frame>& frames, uint32_t stream) {
  std::string body;
  for (const Frame& one : frames) {
    if (one.type == data_frame && one.stream == stream) body += one.payload;
  }
  return body;
}

std::string read_all(Session& session, Stream& stream) {
  std::string body(stream.body_bytes(), '\0');
  body.resize(
      session.read_body(stream, std::as_writable_bytes(std::span{body.data(), body.size()})));
  return body;
}

TEST(H2Server, request_without_a_body_is_read_and_answered) {
  Server server;
  server.greet();
  ASSERT_TRUE(server.send(headers(1, get("/a?b", {{"x", "y"}}))));
  Events events;
  Stream* stream = server.next(&events);
  ASSERT_NE(stream, nullptr);
  EXPECT_TRUE(events.head && events.end && !events.body && !events.gone);
  EXPECT_EQ(server.read(*stream), Rule::none);
  EXPECT_EQ(server.head.target, "/a?b");
  server.session.respond(*stream, "HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n", Fin::last);
  const auto frames = server.take();
  const Frame* answer = find(frames, headers_frame, 1);
  ASSERT_NE(answer, nullptr);
  EXPECT_EQ(answer->flags, end_headers | end_stream);
  EXPECT_EQ(server.next(&events), stream);
  EXPECT_TRUE(events.sent && !events.gone);
  server.session.release(*stream);
  EXPECT_EQ(server.session.streams(), 0U);
  EXPECT_EQ(find(server.take(), rst_frame), nullptr);
}

TEST(H2Server, settings_say_what_is_enforced) {
  Server server{
      {.streams = 7, .stream_window = 20'000, .extended_connect = ExtendedConnect::allowed}};
  ASSERT_TRUE(server.send(std::string{preface} + settings()));
  const auto frames = server.take();
  ASSERT_EQ(frames.at(0).type, settings_frame);
  EXPECT_NE(frames[0].payload.find(setting(3, 7)), std::string::npos);
  EXPECT_NE(frames[0].payload.find(setting(4, 20'000)), std::string::npos);
  EXPECT_NE(frames[0].payload.find(setting(6, header_list_bytes_max)), std::string::npos);
  EXPECT_NE(frames[0].payload.find(setting(8, 1)), std::string::npos);
  EXPECT_NE(frames[0].payload.find(setting(9, 1)), std::string::npos);
  const Frame* grown = find(frames, window_frame);
  ASSERT_NE(grown, nullptr);
  EXPECT_EQ(grown->number(), server.session.bounds().connection_window - 65535);
}

TEST(H2Server, windows_open_only_as_the_body_is_read) {
  Server server{{.stream_window = 40'000}};
  server.greet();
  ASSERT_TRUE(server.send(headers(1, post(), end_headers) + data(1, std::string(16'000, 'a')) +
                          data(1, std::string(16'000, 'b'))));
  Stream* stream = server.next();
  ASSERT_NE(stream, nullptr);
  EXPECT_EQ(server.read(*stream), Rule::none);
  EXPECT_EQ(server.head.framing, Framing::chunked);
  EXPECT_EQ(stream->body_bytes(), 32'000U);
  EXPECT_EQ(find(server.take(), window_frame), nullptr);
  EXPECT_EQ(read_all(server.session, *stream), std::string(16'000, 'a') + std::string(16'000, 'b'));
  const auto frames = server.take();
  ASSERT_NE(find(frames, window_frame, 1), nullptr);
  EXPECT_EQ(find(frames, window_frame, 1)->number(), 32'000U);
  // 40,000 may come again and not a byte more.
  EXPECT_TRUE(server.send(data(1, std::string(16'000, 'c')) + data(1, std::string(16'000, 'c')) +
                          data(1, std::string(8'000, 'c'))));
  EXPECT_TRUE(server.send(data(1, "d")));
  const auto refused = server.take();
  ASSERT_NE(find(refused, rst_frame, 1), nullptr);
  EXPECT_EQ(find(refused, rst_frame, 1)->number(),
            static_cast<uint32_t>(ErrorCode::flow_control_error));
  Events events;
  ASSERT_EQ(server.next(&events), stream);
  EXPECT_TRUE(events.gone);
  server.session.release(*stream);
}

TEST(H2Server, stream_that_nobody_reads_does_not_stop_its_siblings) {
  Server server{{.stream_window = 30'000, .connection_window = 200'000}};
  server.greet();
  std::string bytes = headers(1, post("/slow"), end_headers) + data(1, std::string(15'000, 's')) +
                      data(1, std::string(15'000, 's')) + headers(3, post("/quick"), end_headers);
  ASSERT_TRUE(server.send(bytes));
  Stream* slow = server.next();
  Stream* quick = server.next();
  ASSERT_TRUE(slow != nullptr && quick != nullptr);
  uint64_t moved = 0;
  for (int turn = 0; turn < 100; ++turn) {
    ASSERT_TRUE(server.send(data(3, std::string(16'000, 'q'))));
    moved += read_all(server.session, *quick).size();
    static_cast<void>(server.take());
  }
  EXPECT_EQ(moved, 1'600'000U);
  EXPECT_EQ(slow->body_bytes(), 30'000U);
  // What is given back unread opens the connection's window for the others.
  server.session.release(*slow);
  server.session.release(*quick);
  static_cast<void>(server.take());
  EXPECT_EQ(server.session.streams(), 0U);
}

TEST(H2Server, body_is_sent_from_where_it_lies) {
  Server server;
  server.greet();
  ASSERT_TRUE(server.send(headers(1, get())));
  Stream* stream = server.next();
  server.session.respond(*stream, ok_head, Fin::more);
  const std::string body(50'000, 'x');
  server.session.offer(*stream, bytes_of(body), Fin::last);
  std::vector<std::byte> memory(2048);
  Output output{memory};
  server.session.write(output, 0);
  size_t referred = 0;
  for (const auto& piece : output.pieces()) {
    const char* at = reinterpret_cast<const char*>(piece.data());
    if (at >= body.data() && at < body.data() + body.size()) referred += piece.size();
  }
  EXPECT_GT(referred, 40'000U);
  EXPECT_TRUE(stream->holds_bytes());
  EXPECT_EQ(server.next(), nullptr);  // it has not left yet
  server.session.sent(output);
  static_cast<void>(server.take());
  Events events;
  EXPECT_EQ(server.next(&events), stream);
  EXPECT_TRUE(events.sent);
  EXPECT_FALSE(stream->holds_bytes());
  EXPECT_EQ(stream->sent_bytes(), body.size());
  server.session.release(*stream);
}

TEST(H2Server, answer_waits_for_the_window_and_goes_on) {
  Server server;
  server.greet(setting(4, 100));  // SETTINGS_INITIAL_WINDOW_SIZE
  ASSERT_TRUE(server.send(headers(1, get()) + headers(3, get())));
  Stream* first = server.next();
  Stream* second = server.next();
  const std::string body(250, 'x');
  for (Stream* stream : {first, second}) {
    server.session.respond(*stream, ok_head, Fin::more);
    server.session.offer(*stream, bytes_of(body), Fin::last);
  }
  auto frames = server.take();
  EXPECT_EQ(body_of(frames, 1).size(), 100U);
  EXPECT_EQ(body_of(frames, 3).size(), 100U);
  EXPECT_EQ(server.next(), nullptr);
  ASSERT_TRUE(server.send(window(3, 1000)));
  frames = server.take();
  EXPECT_EQ(body_of(frames, 3).size(), 150U);
  EXPECT_EQ(body_of(frames, 1).size(), 0U);
  EXPECT_EQ(server.next(), second);
  server.session.release(*second);
  // Held open for too long, it is not held any more.
  server.now_ms += 59'000;
  EXPECT_EQ(server.session.end_stalled(server.now_ms, 60'000), 0U);
  server.now_ms += 2'000;
  EXPECT_EQ(server.session.end_stalled(server.now_ms, 60'000), 1U);
  Events events;
  EXPECT_EQ(server.next(&events), first);
  EXPECT_TRUE(events.gone);
  frames = server.take();
  ASSERT_NE(find(frames, rst_frame, 1), nullptr);
  server.session.release(*first);
}

TEST(H2Server, streams_of_one_urgency_take_turns) {
  Server server;
  server.greet(setting(4, 1 << 20));
  ASSERT_TRUE(server.send(window(0, 1 << 20)));
  ASSERT_TRUE(server.send(headers(1, get()) + headers(3, get()) +
                          headers(5, get("/", {{"priority", "u=0"}}))));
  const std::string body(100'000, 'x');
  std::vector<Stream*> streams;
  while (Stream* stream = server.next()) {
    streams.push_back(stream);
    server.session.respond(*stream, ok_head, Fin::more);
    server.session.offer(*stream, bytes_of(body), Fin::last);
  }
  std::vector<uint32_t> order;
  for (const Frame& one : server.take()) {
    if (one.type == data_frame) order.push_back(one.stream);
  }
  // The urgent one first and whole, then the others in turn.
  ASSERT_EQ(order.size(), 21U);
  EXPECT_EQ(std::count(order.begin(), order.begin() + 7, 5U), 7);
  EXPECT_EQ(std::count(order.begin() + 7, order.begin() + 13, 1U), 3);
  EXPECT_EQ(std::count(order.begin() + 7, order.begin() + 13, 3U), 3);
  for (Stream* stream : streams) server.session.release(*stream);
}

TEST(H2Server, trailers_and_informational_answers_go_both_ways) {
  Server server;
  server.greet();
  ASSERT_TRUE(server.send(headers(1, post("/", {{"te", "trailers"}}), end_headers) +
                          data(1, "body") + headers(1, {{"x-sum", "1"}, {"cookie", "no"}})));
  Events events;
  Stream* stream = server.next(&events);
  ASSERT_NE(stream, nullptr);
  EXPECT_TRUE(events.head && events.body && events.end);
  EXPECT_EQ(server.read(*stream), Rule::none);
  EXPECT_TRUE(server.head.accepts_trailers);
  EXPECT_EQ(read_all(server.session, *stream), "body");
  EXPECT_EQ(stream->trailers(), "x-sum: 1\r\n");
  server.session.inform(*stream, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
  server.session.respond(*stream, ok_head, Fin::more);
  server.session.offer(*stream, bytes_of("answer"), Fin::last, "Grpc-Status: 0\r\n");
  const auto frames = server.take();
  std::vector<std::pair<int, int>> kinds;
  for (const Frame& one : frames) kinds.emplace_back(one.type, one.flags);
  EXPECT_EQ(kinds, (std::vector<std::pair<int, int>>{{headers_frame, end_headers},
                                                     {headers_frame, end_headers},
                                                     {data_frame, 0},
                                                     {headers_frame, end_headers | end_stream}}));
  server.session.release(*stream);
}

TEST(H2Server, body_must_be_as_long_as_it_was_said) {
  for (const auto& [why, bytes] : std::vector<std::pair<const char*, std::string>>{
           {"longer", data(1, "12345678")},
           {"shorter", data(1, "1234", end_stream)},
           {"shorter, with trailers", data(1, "1234") + headers(1, {{"x", "y"}})},
           {"trailers that are no end", data(1, "12345") + headers(1, {{"x", "y"}}, end_headers)},
           {"trailers with a path", data(1, "12345") + headers(1, {{":path", "/"}})}}) {
    Server server;
    server.greet();
    ASSERT_TRUE(server.send(headers(1, post("/", {{"content-length", "5"}}), end_headers))) << why;
    Stream* stream = server.next();
    ASSERT_TRUE(server.send(bytes)) << why;
    Events events;
    ASSERT_EQ(server.next(&events), stream) << why;
    EXPECT_TRUE(events.gone && !events.end) << why;
    EXPECT_NE(stream->rule(), Rule::none) << why;
    const auto frames = server.take();
    ASSERT_NE(find(frames, rst_frame, 1), nullptr) << why;
    EXPECT_EQ(find(frames, rst_frame, 1)->number(),
              static_cast<uint32_t>(ErrorCode::protocol_error))
        << why;
    server.session.release(*stream);
    EXPECT_EQ(server.session.streams(), 0U);
  }
}

TEST(H2Server, early_answer_is_whole_and_stops_the_upload) {
  Server server;
  server.greet();
  ASSERT_TRUE(server.send(headers(1, post(), end_headers) + data(1, "much")));
  Stream* stream = server.next();
  server.session.respond(*stream, ok_head, Fin::more);
  server.session.offer(*stream, bytes_of("no"), Fin::last);
  auto frames = server.take();
  EXPECT_EQ(body_of(frames, 1), "no");
  server.session.release(*stream);
  frames = server.take();
  ASSERT_NE(find(frames, rst_frame, 1), nullptr);
  EXPECT_EQ(find(frames, rst_frame, 1)->number(), 0U);
  // What was on its way does no harm, and counts against no window for good.
  EXPECT_TRUE(server.send(data(1, std::string(16'000, 'x'))));
  EXPECT_EQ(server.next(), nullptr);
}

TEST(H2Server, reset_ends_a_stream_whatever_it_does) {
  Server server;
  server.greet();
  ASSERT_TRUE(server.send(headers(1, get()) + headers(3, get()) + headers(5, get())));
  Stream* first = server.next();
  Stream* second = server.next();
  Stream* third = server.next();
  const std::string body(200'000, 'x');
  server.session.respond(*second, ok_head, Fin::more);
  server.session.offer(*second, bytes_of(body), Fin::last);
  std::vector<std::byte> memory(2048);
  Output output{memory};
  server.session.write(output, 0);
  EXPECT_TRUE(second->holds_bytes());
  ASSERT_TRUE(server.send(rst(1) + rst(3)));
  Events events;
  EXPECT_EQ(server.next(&events), first);
  EXPECT_TRUE(events.gone);
  EXPECT_EQ(server.next(&events), second);
  EXPECT_TRUE(events.gone);
  EXPECT_EQ(second->code(), ErrorCode::cancel);
  // It is given back; only then has what is in the Output left.
  server.session.release(*first);
  server.session.release(*second);
  EXPECT_EQ(server.session.streams(), 2U);
  server.session.sent(output);
  EXPECT_EQ(server.session.streams(), 1U);
  server.session.reset(*third, ErrorCode::internal_error);
  const auto frames = server.take();
  ASSERT_NE(find(frames, rst_frame, 5), nullptr);
  EXPECT_EQ(find(frames, rst_frame, 5)->number(), static_cast<uint32_t>(ErrorCode::internal_error));
  server.session.release(*third);
  EXPECT_EQ(server.session.streams(), 0U);
}

TEST(H2Server, drain_says_so_twice_and_loses_nothing) {
  Server server;
  server.greet();
  ASSERT_TRUE(server.send(headers(1, get())));
  Stream* first = server.next();
  server.session.begin_drain();
  auto frames = server.take();
  ASSERT_NE(find(frames, goaway_frame), nullptr);
  EXPECT_EQ(find(frames, goaway_frame)->number(), 0x7fffffffU);
  // The client did not know yet.
  ASSERT_TRUE(server.send(headers(3, get())));
  Stream* second = server.next();
  ASSERT_NE(second, nullptr);
  server.session.finish_drain();
  frames = server.take();
  EXPECT_EQ(find(frames, goaway_frame)->number(), 3U);
  ASSERT_TRUE(server.send(headers(5, get())));
  EXPECT_EQ(server.next(), nullptr);
  server.session.respond(*first, ok_head, Fin::last);
  server.session.respond(*second, ok_head, Fin::last);
  static_cast<void>(server.take());
  server.session.release(*first);
  server.session.release(*second);
  EXPECT_EQ(server.session.state(), Session::State::ended);
  EXPECT_EQ(server.session.why_ended(), Session::End::drained);
  EXPECT_EQ(server.session.code(), ErrorCode::no_error);
}

TEST(H2Server, credentials_are_never_indexed) {
  Server server;
  server.greet();
  ASSERT_TRUE(server.send(headers(1, get())));
  Stream* stream = server.next();
  server.session.respond(*stream, "HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\n\r\n", Fin::last);
  const auto frames = server.take();
  const std::string& block = find(frames, headers_frame, 1)->payload;
  // Literal never indexed, by an index of the static table: 55 is set-cookie.
  EXPECT_NE(block.find("\x1f\x28"), std::string::npos);
  server.session.release(*stream);
}

// A client and a server that are each other's.
struct Pair {
  explicit Pair(const Bounds& bounds = {})
      : context(16 << 20), server(context, bounds), client(context, bounds) {}

  // Until nobody has anything to say; in pieces of this size.
  void run(size_t piece = 1 << 20) {
    for (int turns = 0; turns < 10'000; ++turns) {
      const std::string up = written(client);
      const std::string down = written(server);
      if (up.empty() && down.empty()) return;
      for (size_t at = 0; at < up.size(); at += piece)
        static_cast<void>(server.receive(bytes_of(std::string_view{up}.substr(at, piece)), 0));
      for (size_t at = 0; at < down.size(); at += piece)
        static_cast<void>(client.receive(bytes_of(std::string_view{down}.substr(at, piece)), 0));
    }
  }

  Context context;
  ServerSession server;
  ClientSession client;
  std::vector<char> memory = std::vector<char>(head_memory_bytes);
  RequestHead request;
  ResponseHead response;
};

TEST(H2Client, exchange_crosses_two_sessions_however_it_is_cut) {
  for (const size_t piece : {size_t{1}, size_t{7}, size_t{1} << 20}) {
    Pair pair;
    const std::string upload(70'000, 'u');
    const std::string download(90'000, 'd');
    Stream* asked = pair.client.request(
        "POST /a HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer t\r\nConnection: TE\r\nTE: "
        "trailers\r\n"
        "Transfer-Encoding: chunked\r\n\r\n",
        Method::post, "http", Fin::more);
    ASSERT_NE(asked, nullptr);
    pair.client.offer(*asked, bytes_of(upload), Fin::last, "X-Up: 1\r\n");
    pair.run(piece);
    Stream* stream = pair.server.next_event();
    ASSERT_NE(stream, nullptr);
    EXPECT_TRUE(Session::take_events(*stream).head);
    ASSERT_EQ(pair.server.read_request(*stream, pair.memory, pair.request).rule, Rule::none);
    EXPECT_EQ(pair.request.authority, "h");
    EXPECT_TRUE(pair.request.accepts_trailers);
    std::string got;
    while (!stream->has_ended() || stream->body_bytes() > 0) {
      got += read_all(pair.server, *stream);
      pair.run(piece);
    }
    EXPECT_EQ(got, upload);
    EXPECT_EQ(stream->trailers(), "x-up: 1\r\n");
    pair.server.inform(*stream, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
    pair.server.respond(*stream, ok_head, Fin::more);
    pair.server.offer(*stream, bytes_of(download), Fin::last, "Grpc-Status: 0\r\n");
    pair.run(piece);
    ASSERT_EQ(pair.client.read_response(*asked, pair.memory, pair.response), Rule::none);
    EXPECT_EQ(pair.response.status, 103);
    ASSERT_TRUE(ClientSession::has_head(*asked));
    ASSERT_EQ(pair.client.read_response(*asked, pair.memory, pair.response), Rule::none);
    EXPECT_EQ(pair.response.status, 200);
    got.clear();
    while (!asked->has_ended() || asked->body_bytes() > 0) {
      got += read_all(pair.client, *asked);
      pair.run(piece);
    }
    EXPECT_EQ(got, download);
    EXPECT_EQ(asked->trailers(), "grpc-status: 0\r\n");
    pair.client.release(*asked);
    pair.server.release(*stream);
    pair.run(piece);
    EXPECT_EQ(pair.client.streams() + pair.server.streams(), 0U);
  }
}

TEST(H2Client, room_is_what_the_peer_and_the_bounds_allow) {
  Pair pair{{.streams = 3}};
  pair.run();
  EXPECT_EQ(pair.client.room(), 3U);
  const std::string_view head = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
  std::vector<Stream*> streams;
  while (Stream* stream = pair.client.request(head, Method::get, "http", Fin::last))
    streams.push_back(stream);
  EXPECT_EQ(streams.size(), 3U);
  EXPECT_EQ(pair.client.room(), 0U);
  for (Stream* stream : streams) pair.client.release(*stream);
  pair.run();
  EXPECT_EQ(pair.client.room(), 3U);
}

TEST(H2Client, goaway_names_what_was_never_processed) {
  Context context{16 << 20};
  ClientSession client{context, {}};
  static_cast<void>(written(client));
  ASSERT_TRUE(client.receive(bytes_of(settings()), 0));
  const std::string_view head = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
  Stream* first = client.request(head, Method::get, "http", Fin::last);
  Stream* second = client.request(head, Method::get, "http", Fin::last);
  Stream* third = client.request(head, Method::get, "http", Fin::last);
  static_cast<void>(written(client));
  ASSERT_TRUE(client.receive(bytes_of(frame(goaway_frame, 0, 0, number(3) + number(0)) +
                                      rst(3, ErrorCode::refused_stream)),
                             0));
  EXPECT_TRUE(third->is_gone() && third->is_unprocessed());
  EXPECT_TRUE(second->is_gone() && second->is_unprocessed());
  EXPECT_FALSE(first->is_gone());
  EXPECT_EQ(client.room(), 0U);
  EXPECT_EQ(client.state(), Session::State::draining);
  EXPECT_FALSE(client.receive(bytes_of(headers(1, {{":status", "204"}})), 0));
  EXPECT_TRUE(first->has_ended() && !first->is_gone());
  for (Stream* stream : {first, second, third}) client.release(*stream);
  EXPECT_EQ(client.why_ended(), Session::End::drained);
}

TEST(H2Client, push_and_bodies_where_none_belong_are_refused) {
  const std::string_view get_head = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
  for (const auto& [why, method, bytes] : std::vector<std::tuple<const char*, Method, std::string>>{
           {"a push", Method::get, frame(push_frame, end_headers, 1, number(2) + hpack(get()))},
           {"a body to HEAD", Method::head,
            headers(1, {{":status", "200"}, {"content-length", "1"}}, end_headers) + data(1, "x")},
           {"a body of 204", Method::get,
            headers(1, {{":status", "204"}}, end_headers) + data(1, "x")},
           {"a body before its head", Method::get, data(1, "x")},
           {"a body before the final head", Method::get,
            headers(1, {{":status", "100"}}, end_headers) + data(1, "x")},
           {"an end before the final head", Method::get,
            headers(1, {{":status", "100"}}, end_headers) + data(1, "", end_stream)}}) {
    Context context{16 << 20};
    ClientSession client{context, {}};
    static_cast<void>(written(client));
    static_cast<void>(
        client.receive(bytes_of(settings() + frame(settings_frame, acknowledgement, 0, {})), 0));
    Stream* stream = client.request(get_head, method, "http", Fin::last);
    static_cast<void>(written(client));
    static_cast<void>(client.receive(bytes_of(bytes), 0));
    static_cast<void>(written(client));
    EXPECT_TRUE(stream->is_gone() || client.state() == Session::State::ended) << why;
    client.release(*stream);
  }
}

TEST(H2Client, ping_tells_whether_the_peer_lives) {
  Pair pair;
  pair.run();
  pair.client.ping();
  EXPECT_EQ(pair.client.pings_unanswered(), 1U);
  pair.run();
  EXPECT_EQ(pair.client.pings_unanswered(), 0U);
}

// Requests over a warm session take nothing from the system, and what they took of the pool they
// gave back.
TEST(H2Memory, warm_session_allocates_from_its_pool_only) {
  Server server;
  server.greet();
  const std::string body(30'000, 'x');
  std::vector<std::byte> memory(32 * 1024);
  std::vector<std::byte> in(64 * 1024);
  std::string request;
  size_t used = 0;
  uint64_t heap = 0;
  for (uint32_t turn = 0; turn < 300; ++turn) {
    const uint32_t id = 2 * turn + 1;
    request = headers(id, post("/", {{"cookie", "a"}, {"cookie", "b"}}), end_headers) +
              data(id, std::string_view{body}.substr(0, 16'000), end_stream);
    const uint64_t before = ::mallinfo2().uordblks;
    ASSERT_TRUE(server.session.receive(bytes_of(request), 0));
    Stream* stream = server.next();
    ASSERT_EQ(server.read(*stream), Rule::none);
    static_cast<void>(server.session.read_body(*stream, in));
    server.session.respond(*stream, ok_head, Fin::more);
    server.session.offer(*stream, bytes_of(body), Fin::last);
    Output output{memory};
    for (server.session.write(output, 0); !output.empty(); server.session.write(output, 0))
      server.session.sent(output);
    if (server.session.streams() > 0) server.session.release(*stream);
    heap += ::mallinfo2().uordblks - before;
    ASSERT_TRUE(server.send(window(0, 30'000)));
    static_cast<void>(server.take());
    if (turn == 10) used = server.context.memory().used_bytes();
    if (turn == 10) heap = 0;
  }
  EXPECT_EQ(heap, 0U);
  EXPECT_EQ(server.context.memory().used_bytes(), used);
}

TEST(H2Memory, full_session_stays_within_what_is_stated) {
  const Bounds bounds{.streams = 100, .stream_window = 64 * 1024, .connection_window = 1 << 20};
  Server server{bounds, 64 << 20};
  server.greet();
  std::vector<Stream*> streams;
  size_t sent = 0;
  for (uint32_t number = 0; number < bounds.streams; ++number) {
    const uint32_t id = 2 * number + 1;
    ASSERT_TRUE(server.send(headers(id, post("/", {{"x", std::string(800, 'x')}}), end_headers)));
    streams.push_back(server.next());
    ASSERT_EQ(server.read(*streams.back()), Rule::none);
    for (int piece = 0; piece < 10 && sent + 1000 <= bounds.connection_window;
         ++piece, sent += 1000)
      ASSERT_TRUE(server.send(data(id, std::string(1000, 'b'))));
    while (server.next() != nullptr) {
    }
    server.session.respond(*streams.back(), ok_head, Fin::more);
  }
  while (sent + 1000 <= bounds.connection_window) {
    ASSERT_TRUE(server.send(
        data(static_cast<uint32_t>(1 + sent / 1000 % 100 * 2), std::string(1000, 'b'))));
    sent += 1000;
  }
  EXPECT_LE(server.context.memory().peak_bytes(), session_bytes_max(bounds));
  RecordProperty("peak_bytes", static_cast<int>(server.context.memory().peak_bytes()));
  for (Stream* stream : streams) server.session.release(*stream);
  static_cast<void>(server.take());
  EXPECT_EQ(server.session.streams(), 0U);
}

TEST(H2Memory, idle_session_and_an_open_stream_cost_little) {
  Server server;
  server.greet();
  const size_t idle = server.context.memory().used_bytes();
  EXPECT_LE(idle, 36U * 1024);  // 20 KiB of it a frame buffer that few touch whole
  std::vector<Stream*> streams;
  for (uint32_t number = 0; number < 64; ++number) {
    ASSERT_TRUE(server.send(headers(2 * number + 1, post(), end_headers)));
    streams.push_back(server.next());
    ASSERT_EQ(server.read(*streams.back()), Rule::none);
  }
  EXPECT_LE((server.context.memory().used_bytes() - idle) / 64, 1500U);
  for (Stream* stream : streams) server.session.release(*stream);
}

// What a client may do at worst, with an owner that answers all it can.
Session::End exchange_without_memory(Context& context) {
  ServerSession server{context, {}};
  std::vector<char> memory(head_memory_bytes);
  RequestHead head;
  const std::string bytes = std::string{preface} + settings() +
                            headers(1, post("/", {{"x", std::string(3000, 'x')}}), end_headers) +
                            data(1, std::string(10'000, 'd')) + headers(3, get()) +
                            data(1, std::string(9'000, 'd')) + headers(1, {{"x", "y"}});
  static_cast<void>(server.receive(bytes_of(bytes), 0));
  std::vector<Stream*> streams;
  while (Stream* stream = server.next_event()) {
    const Events events = Session::take_events(*stream);
    if (std::find(streams.begin(), streams.end(), stream) == streams.end())
      streams.push_back(stream);
    if (!events.head || events.gone) continue;
    EXPECT_EQ(server.read_request(*stream, memory, head).rule, Rule::none);
    static_cast<void>(read_all(server, *stream));
    server.respond(*stream, ok_head, Fin::more);
    server.offer(*stream, bytes_of("answer"), Fin::last, "x: y\r\n");
    static_cast<void>(written(server));
  }
  const auto last = frames_of(written(server));
  for (Stream* stream : streams) server.release(*stream);
  static_cast<void>(written(server));
  // With an answer, unless it never began.
  const bool is_said = find(last, goaway_frame) != nullptr || last.empty();
  EXPECT_TRUE(server.why_ended() != Session::End::no_memory || is_said);
  return server.why_ended();
}

// Whichever allocation is the first that is refused, the session ends with an answer or refuses the
// stream, and everything is given back.
TEST(H2Memory, exhaustion_is_an_answer_at_every_allocation) {
  int ended = 0;
  for (uint64_t allowed = 0; allowed < 40; ++allowed) {
    Context context{16 << 20};
    context.memory().refuse_after(allowed, Use::message);
    if (exchange_without_memory(context) == Session::End::no_memory) ++ended;
    EXPECT_EQ(context.memory().used_bytes(), 0U) << allowed;
  }
  EXPECT_GT(ended, 3);
  EXPECT_LT(ended, 40);
}

TEST(H2Memory, full_pool_ends_sessions_and_not_the_program) {
  Context context{4 << 20};
  std::vector<std::unique_ptr<ServerSession>> sessions;
  int ended = 0;
  for (int count = 0; count < 500 && ended < 50; ++count) {
    sessions.push_back(std::make_unique<ServerSession>(context, Bounds{}));
    std::string bytes = std::string{preface} + settings();
    for (uint32_t id = 1; id < 40; id += 2)
      bytes += headers(id, post("/", {{"x", std::string(2000, 'x')}}), end_headers) +
               data(id, std::string(3000, 'd'));
    if (!sessions.back()->receive(bytes_of(bytes), 0)) ++ended;
    const auto last = frames_of(written(*sessions.back()));
    const bool is_said = last.empty() || last.back().type == goaway_frame;
    EXPECT_TRUE(sessions.back()->why_ended() != Session::End::no_memory || is_said);
  }
  EXPECT_EQ(ended, 50);
  EXPECT_GT(sessions.size(), 55U);
  EXPECT_LE(context.memory().used_bytes(), context.memory().capacity_bytes());
  // Those that live go on as soon as there is room again.
  while (sessions.size() > 10) sessions.pop_back();
  EXPECT_TRUE(sessions[0]->receive(bytes_of(headers(101, get())), 0));
  sessions.clear();
  EXPECT_EQ(context.memory().used_bytes(), 0U);
}

// What nghttp2 bears: the reserve can only be used up by a single call while bytes come in.
TEST(H2Memory, nghttp2_refused_while_bytes_come_in_ends_the_session) {
  const std::string bytes = std::string{preface} + settings() +
                            headers(1, post("/", {{"x", std::string(3000, 'x')}}), end_headers) +
                            data(1, std::string(10'000, 'd')) + rst(1) + headers(3, get()) +
                            frame(ping_frame, 0, 0, "12345678");
  int ended = 0;
  for (uint64_t allowed = 0; allowed < 100; ++allowed) {
    Context context{16 << 20};
    context.memory().refuse_after(allowed, Use::protocol);
    {
      ServerSession server{context, {}};
      if (!server.receive(bytes_of(bytes), 0)) ++ended;
      EXPECT_EQ(server.state() == Session::State::ended,
                server.why_ended() == Session::End::no_memory);
    }
    EXPECT_EQ(context.memory().used_bytes(), 0U) << allowed;
  }
  EXPECT_GT(ended, 20);
  EXPECT_LT(ended, 100);
}

TEST(H2Memory, blocks_are_whole_and_come_back) {
  Memory memory{48 * Memory::span_bytes};  // and 16 in reserve
  core::Random random{1};
  struct Block {
    unsigned char* at;
    size_t size;
    unsigned char mark;
  };
  std::vector<Block> blocks;
  int refused = 0;
  for (int turn = 0; turn < 50'000; ++turn) {
    if (!blocks.empty() && random.chance(48)) {
      const size_t which = random.below(blocks.size());
      const Block gone = blocks[which];
      blocks[which] = blocks.back();
      blocks.pop_back();
      ASSERT_EQ(gone.at[0], gone.mark);
      ASSERT_EQ(gone.at[gone.size - 1], gone.mark);
      memory.give_back(gone.at);
      continue;
    }
    const size_t size = 1 + random.below(random.chance(5) ? 200'000 : 3'000);
    auto* at = static_cast<unsigned char*>(memory.allocate(size));
    if (at == nullptr) {
      ++refused;
      continue;
    }
    ASSERT_EQ(reinterpret_cast<uintptr_t>(at) % 8, 0U);
    const auto mark = static_cast<unsigned char>(turn);
    std::fill(at, at + size, mark);
    blocks.push_back({at, size, mark});
  }
  EXPECT_GT(refused, 0);
  EXPECT_EQ(memory.allocate(Memory::block_bytes_max + 1), nullptr);
  for (const Block& block : blocks) {
    ASSERT_EQ(std::count(block.at, block.at + block.size, block.mark),
              static_cast<ptrdiff_t>(block.size));
    memory.give_back(block.at);
  }
  EXPECT_EQ(memory.used_bytes(), 0U);
  // All of it can be had again, whatever it was cut into.
  std::vector<void*> large;
  while (void* at = memory.allocate(Memory::span_bytes, Use::protocol)) large.push_back(at);
  EXPECT_EQ(large.size(), 64U);
  for (void* at : large) memory.give_back(at);
}

}  // namespace
}  // namespace sluice::http::h2
