// What a simulated client says, and how it judges the answers.
#include "tests/simulation/client.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "core/address.h"

namespace sluice::simulation {

namespace {

// Longer than every deadline of the simulated config together.
constexpr core::Duration patience = std::chrono::seconds{40};

constexpr std::array rude_requests = {
    "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "GET / HTTP/1.1\r\n\r\n",
    "GET /\r\n\r\n",
    "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
    "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n",
    "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: "
    "chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "BREW / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET http:// HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n",
    "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
};

}  // namespace

std::string Client::describe() const {
  return "client of " + std::to_string(options_.first_number) + ", mood " +
         std::to_string(static_cast<unsigned>(options_.mood)) + ", waits for " +
         std::to_string(expected_.size()) +
         (expected_.empty() ? "" : " first " + expected_.front().tag.text());
}

bool Client::world_is_calm() const {
  return world_.faults().reset == 0 && world_.faults().connect_fails == 0 &&
         world_.faults().no_sockets == 0 && world_.faults().no_memory == 0 &&
         world_.faults().long_stall == 0;
}

void Client::start() {
  constexpr uint32_t balancer = 0x7f000002;
  socket_ = world_.connect_actor(this, options_.port,
                                 options_.is_announced ? balancer : options_.address);
  if (options_.is_announced) {
    std::array<char, core::SocketAddress::address_text_max> text;
    const size_t size = core::SocketAddress::ipv4(options_.address, 1).format_address(text.data());
    out_ = "PROXY TCP4 " + std::string{text.data(), size} + " 127.0.0.2 40000 8000\r\n";
  }
  watch_the_clock();
  write_more();
}

// Every answer comes within a time that the gateway's deadlines bound.
void Client::watch_the_clock() {
  world_.after(patience, [this] {
    if (done_) return;
    if (!expected_.empty() &&
        world_.now() - std::max(last_news_, expected_.front().asked_at) > patience) {
      world_.violation("no answer: " + describe());
      return;
    }
    if (tunnels_ && !stalled_ && world_.now() - last_news_ > patience) {
      world_.violation("a tunnel stands still: " + describe());
      return;
    }
    if (stalled_ && expected_.empty()) {
      world_.violation("a stalled connection was never closed: " + describe());
      return;
    }
    watch_the_clock();
  });
}

Tag Client::make_tag(bool with_body) {
  Tag tag;
  tag.number = options_.first_number + sent_requests_;
  tag.play = static_cast<Play>(world_.random().below(options_.play_count));
  const auto size = [&]() -> uint32_t {
    const uint64_t kind = world_.random().below(10);
    if (options_.small || kind < 6) return static_cast<uint32_t>(world_.random().below(300));
    if (kind < 9) return static_cast<uint32_t>(world_.random().below(20'000));
    return static_cast<uint32_t>(world_.random().below(300'000));
  };
  tag.request_bytes = with_body ? size() : 0;
  if (options_.mood == Mood::tunneling && with_body) tag.request_bytes = 0;
  tag.response_bytes = tag.play == Play::empty ? 0 : size();
  return tag;
}

void Client::add_request() {
  const bool tunnel = options_.mood == Mood::tunneling;
  const bool with_body = (world_.happens(40) && !tunnel) || options_.mood == Mood::expecting ||
                         options_.mood == Mood::stalling_body;
  const Tag tag = make_tag(with_body);
  const bool is_old = options_.mood == Mood::old;
  const char* method = with_body ? (world_.happens(50) ? "POST" : "PUT")
                                 : (world_.happens(15) && !tunnel ? "HEAD" : "GET");
  const std::string name = method;
  const bool chunked = with_body && !is_old && world_.happens(50);
  const std::string body = body_of(tag, false, tag.request_bytes);
  std::string head = name +
                     (world_.happens(10) ? " http://sluice.test//a/..//%62"
                                         : " /things/" + std::to_string(tag.number)) +
                     "?q=1 HTTP/1." + (is_old ? "0" : "1") + "\r\n";
  head += "Host: sluice.test\r\nX-Tag: " + tag.text() + "\r\n";
  if (options_.mood != Mood::tokenless) head += "Authorization: Bearer " + options_.token + "\r\n";
  bool names_fields = false;
  if (tunnel)
    head += "Connection: keep-alive, Upgrade\r\nUpgrade: h2c, websocket\r\n";
  else if ((names_fields = world_.happens(30)))
    head +=
        "Connection: keep-alive, X-Evil\r\nX-Evil: 1\r\nX_Under: 1\r\nX-Forwarded-For: "
        "1.2.3.4\r\nTE: trailers\r\n";
  else if (is_old && world_.happens(50))
    head += "Connection: keep-alive\r\n";
  std::string encoded;
  if (chunked) {
    head += "Transfer-Encoding: chunked\r\n";
    size_t at = 0;
    size_t extensions = 0;  // bytes of them; above 256 in a message it is refused
    while (at < body.size()) {
      const size_t size = 1 + world_.random().below(std::min<size_t>(body.size() - at, 9000));
      const char* extension = world_.happens(10) ? ";a=b" : world_.happens(5) ? " ;\ta = b" : "";
      if ((extensions += std::strlen(extension)) > 200) extension = "";
      char line[32];
      std::snprintf(line, sizeof line, "%zx%s\r\n", size, extension);
      encoded += line + body.substr(at, size) + "\r\n";
      at += size;
    }
    encoded += "0\r\n" + trailers_of(tag) + "\r\n";
    if (!names_fields) head += "X-Trailers: yes\r\n";
  } else if (with_body) {
    head += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    encoded = body;
  }
  const bool expecting = options_.mood == Mood::expecting && with_body && !encoded.empty();
  if (expecting) head += "Expect: 100-continue\r\n";
  head += "\r\n";
  if (options_.mood == Mood::stalling) {
    out_ += head.substr(0, 1 + world_.random().below(head.size() - 2));
    stalled_ = true;
    ++sent_requests_;
    return;
  }
  out_ += head;
  if (expecting) {
    withheld_ = encoded;
  } else if (options_.mood == Mood::stalling_body && encoded.size() > 1) {
    out_ += encoded.substr(0, encoded.size() / 2);
    stalled_ = true;
  } else {
    out_ += encoded;
  }
  expected_.push_back(
      {.tag = tag,
       .is_head = name == "HEAD",
       .has_body = with_body,
       .is_refused = options_.mood == Mood::tokenless || options_.mood == Mood::forging,
       .asked_at = world_.now()});
  tally_.idempotent[tag.number] = name != "POST";
  ++tally_.asked;
  ++sent_requests_;
}

void Client::add_rude_request() {
  out_ += rude_requests[world_.random().below(rude_requests.size())];
  expected_.push_back({.is_refused = true, .asked_at = world_.now()});
  sent_requests_ = options_.requests;  // the connection is over
  stalled_ = true;
}

void Client::add_local_request() {
  constexpr std::array targets = {"/health", "/metrics", "/demo/work?ms=0"};
  const uint64_t target = world_.random().below(targets.size());
  out_ += std::string{"GET "} + targets[target] +
          " HTTP/1.1\r\nHost: sluice.test\r\nAuthorization: Bearer " + options_.token + "\r\n\r\n";
  expected_.push_back({.is_local = true, .has_reserve = target == 0, .asked_at = world_.now()});
  ++sent_requests_;
}

// What the gateway has to end by itself.
void Client::add_unanswered_request() {
  ++sent_requests_;
  switch (options_.mood) {
    case Mood::trickling:
      out_ += "GET / HTTP/1.1\r\nHost: sluice.test\r\nX-Slow: ";
      stalled_ = true;
      trickle();
      break;
    case Mood::withholding:
      out_ += "POST /denied HTTP/1.1\r\nHost: sluice.test\r\nContent-Length: 500\r\n\r\nabc";
      expected_.push_back({.is_refused = true, .asked_at = world_.now()});
      stalled_ = true;
      break;
    case Mood::waiting:
      out_ += "GET /hanging HTTP/1.1\r\nHost: sluice.test\r\n\r\n";
      expected_.push_back({.is_refused = true, .asked_at = world_.now()});
      break;
    default: break;
  }
}

void Client::trickle() {
  if (done_) return;
  world_.send(socket_, "a");
  world_.after(std::chrono::milliseconds{500}, [this] { trickle(); });
}

void Client::write_more() {
  if (done_ || left_) return;
  const bool may_ask =
      !tunnels_ && sent_requests_ < options_.requests && !stalled_ && !told_to_close_ &&
      withheld_.empty() &&
      (expected_.empty() || (options_.mood == Mood::pipelining && expected_.size() < 4));
  if (may_ask && out_.empty()) {
    const unsigned count =
        options_.mood == Mood::pipelining ? 1 + static_cast<unsigned>(world_.random().below(4)) : 1;
    for (unsigned i = 0; i < count && sent_requests_ < options_.requests && !stalled_; ++i) {
      if (options_.mood == Mood::rude && world_.happens(50))
        add_rude_request();
      else if (options_.mood == Mood::nosy)
        add_local_request();
      else if (options_.mood == Mood::trickling || options_.mood == Mood::withholding ||
               options_.mood == Mood::waiting)
        add_unanswered_request();
      else
        add_request();
    }
  }
  if (!out_.empty()) {
    const size_t piece = world_.happens(30) ? 1 + world_.random().below(out_.size()) : out_.size();
    const size_t sent = world_.send(socket_, std::string_view{out_}.substr(0, piece));
    out_.erase(0, sent);
    if (sent > 0 && !expected_.empty()) {
      // Patience counts from when the request could be read.
      for (Expected& expected : expected_) expected.asked_at = world_.now();
    }
    if (!out_.empty() && (sent > 0 || world_.room(socket_) > 0)) {
      world_.after(
          std::chrono::microseconds{world_.random().below(world_.happens(5) ? 50'000 : 300)},
          [this] { write_more(); });
    }
  }
  if ((options_.mood == Mood::leaving || options_.mood == Mood::resetting) && world_.happens(20)) {
    left_ = true;
    world_.after(std::chrono::microseconds{world_.random().below(3000)}, [this] {
      if (done_) return;
      if (options_.mood == Mood::leaving)
        world_.close(socket_);
      else
        world_.reset(socket_);
      finish();
    });
  }
  if (tunnels_ && out_.empty() && !stalled_ && !left_) world_.shutdown_write(socket_);
  if (options_.mood == Mood::half_closing && sent_requests_ == options_.requests && out_.empty())
    world_.shutdown_write(socket_);
}

void Client::on_socket(SocketId socket) {
  if (done_) return;
  World::Socket& state = world_.socket(socket);
  if (options_.mood == Mood::deaf) {
    expected_.clear();
    stalled_ = true;  // it must be closed, and no more
    if (state.fin_received || state.reset) {
      world_.close(socket);
      finish();
    }
    return;
  }
  if (!state.received.empty()) {
    last_news_ = world_.now();
    // A slow reader takes a little at a time.
    const bool slow = state.window < 2000;
    in_ += world_.take(socket, slow ? 1 + world_.random().below(500) : state.received.size());
    if (!state.received.empty()) {
      world_.after(std::chrono::microseconds{world_.random().below(400)},
                   [this, socket] { on_socket(socket); });
      read_answers(false);
      return;
    }
  }
  const bool closed = state.fin_received || state.reset;
  read_answers(closed);
  if (done_) return;
  if (tunnels_ && !state.reset && !(closed && state.received.empty())) {
    write_more();
    return;
  }
  if (!closed) {
    write_more();
    return;
  }
  // Closed. What is unanswered must have a reason.
  // A request that found every buffer taken until the idle timeout was never read.
  const bool waited_for_a_buffer =
      !expected_.empty() && world_.now() - expected_.front().asked_at > std::chrono::seconds{4};
  const bool reason = told_to_close_ || excused_ || left_ || !world_is_calm() || stalled_ ||
                      options_.mood == Mood::half_closing || options_.mood == Mood::rude ||
                      state.reset || refused_with_body_ || waited_for_a_buffer ||
                      options_.play_count > harmless_plays || tally_.shed;
  if (!expected_.empty() && !reason) world_.violation("closed without an answer: " + describe());
  finish();
}

// A part now, the rest as it gets through; then FIN, and the echo comes to its end. Some fall
// silent half-way.
void Client::begin_tunnel(const Tag& tag) {
  tunnels_ = true;
  expected_.pop_front();
  const std::string all = body_of(
      tag, false, static_cast<uint32_t>(world_.random().below(options_.small ? 3000 : 200'000)));
  stalled_ = world_.happens(15);
  out_ += stalled_ ? all.substr(0, all.size() / 2) : all;
  echo_ = out_;
  if (world_.happens(10)) options_.mood = world_.happens(50) ? Mood::leaving : Mood::resetting;
}

void Client::read_tunnel(bool closed) {
  if (in_.size() > echo_.size() || echo_.compare(0, in_.size(), in_) != 0) {
    world_.violation("a tunnel brought back something else: " + describe());
    return;
  }
  echo_.erase(0, in_.size());
  in_.clear();
  const bool excuse =
      stalled_ || excused_ || left_ || !world_is_calm() || world_.socket(socket_).reset;
  if (closed && !echo_.empty() && !excuse) world_.violation("a tunnel ended early: " + describe());
  // Both ends are through, so nothing need be waited for.
  if (closed && !excuse && world_.now() - last_news_ > std::chrono::seconds{2})
    world_.violation("a tunnel outlived its ends: " + describe());
  if (closed && world_.socket(socket_).received.empty()) {
    world_.close(socket_);
    finish();
  }
}

void Client::read_answers(bool closed) {
  if (tunnels_) {
    read_tunnel(closed);
    return;
  }
  while (!expected_.empty()) {
    const Expected& expected = expected_.front();
    Taken taken =
        take_message(in_, expected.is_head ? Reading::response_to_head : Reading::response,
                     closed && !world_.socket(socket_).reset);
    if (taken.state == Taken::State::broken) {
      world_.violation("a broken answer: " + taken.why + "; " + describe());
      return;
    }
    if (taken.state == Taken::State::incomplete) return;
    const auto status =
        static_cast<unsigned>(std::strtoul(taken.message.start_line.c_str() + 9, nullptr, 10));
    if (status == 101) {
      if (!check(taken.message, status)) return;
      begin_tunnel(expected.tag);
      read_tunnel(closed);
      write_more();
      return;
    }
    if (status < 200) {
      if (options_.mood == Mood::old) world_.violation("a 1xx for HTTP/1.0");
      if (status == 100) {
        out_ += withheld_;
        withheld_.clear();
        write_more();
      }
      continue;
    }
    if (!check(taken.message, status)) return;
    // A chunked body that nobody wants may turn out to be longer than is thrown away.
    if ((status >= 400 || expected.tag.play == Play::early) && expected.tag.request_bytes > 0)
      refused_with_body_ = true;
    // Refused before the body was asked for: the body is not sent, and the connection is of no more
    // use.
    if (!withheld_.empty()) {
      told_to_close_ = true;
      withheld_.clear();
    }
    ++tally_.answered;
    ++tally_.by_status[status];
    expected_.pop_front();
    if (const std::string* connection = taken.message.field("connection");
        connection != nullptr && *connection == "close")
      told_to_close_ = true;
    if (told_to_close_) expected_.clear();
  }
  const bool is_timeout =
      stalled_ && in_.compare(0, 13, "HTTP/1.1 408 ", 0, std::min<size_t>(13, in_.size())) ==
                      0;  // for half a head
  if (!in_.empty() && !told_to_close_ && !is_timeout)
    world_.violation("an answer that nobody asked for: " + in_.substr(0, 60));
  if (sent_requests_ >= options_.requests && out_.empty() && !stalled_ && !done_) {
    world_.close(socket_);
    finish();
  }
}

bool Client::check(const Message& answer, unsigned status) {
  const Expected& expected = expected_.front();
  const std::string* tag = answer.field("x-tag");
  const auto fail = [&](const std::string& why) {
    world_.violation(why + " (status " + std::to_string(status) + "): " + describe());
    return false;
  };
  if (answer.count("x-request-id") != 1) return fail("an answer without a request id");
  if (answer.field("x-hop") != nullptr) return fail("a hop-by-hop field was passed on");
  if (expected.is_local) {
    if (expected.has_reserve && status == 503 &&
        answer.field("proxy-status")->find("\"overload\"") != std::string::npos)
      return fail("no place is kept for our own answers");
    const bool is_unknown = status == 401 && options_.may_be_unknown;
    const bool was_shed = status == 408 && tally_.shed;
    if (tag != nullptr ||
        (status != 200 && status != 503 && status != 429 && !is_unknown && !was_shed))
      return fail("a local route went elsewhere");
    return true;
  }
  if (tag == nullptr) {
    const bool trouble = (status == 401 && options_.may_be_unknown) || status == 429 ||
                         status == 502 || status == 503 || status == 504 || status == 408;
    if (expected.is_refused ? status >= 400 : trouble) {
      const bool harmless = !expected.is_refused && options_.play_count <= harmless_plays &&
                            world_is_calm() && !excused_ && !stalled_;
      // A request that can't be sent again may meet a pooled connection in the moment in which the
      // endpoint closes it.
      const bool unlucky =
          status == 502 && (!tally_.idempotent[expected.tag.number] || expected.has_body);
      // Few connections and slow answers make a long queue.
      const bool queued =
          status == 504 && answer.field("proxy-status")->find("\"deadline\"") != std::string::npos;
      const bool was_shed = status == 408 && tally_.shed;
      if (harmless && status != 429 && status != 503 && status != 401 && !unlucky && !queued &&
          !was_shed)
        return fail("a failure in a calm world");
      return true;
    }
    return fail("an answer of the gateway's own that makes no sense");
  }
  if (expected.is_refused) return fail("a request that must be refused went through");
  // What an endpoint sends after its answer, and after the connection went to the next request,
  // can't be told from an answer (RFC 9112 9.2 has no request ids): only that endpoint's own
  // requests suffer. Bytes that had come are refused.
  if (*tag == "0.0.0.0" && options_.play_count > harmless_plays) tally_.poisoned = true;
  if (tally_.poisoned) return true;
  if (*tag != expected.tag.text()) return fail("the answer of another exchange, " + *tag);
  if (status == 101) {
    const std::string* upgrade = answer.field("upgrade");
    if (options_.mood != Mood::tunneling || upgrade == nullptr || *upgrade != "websocket" ||
        lies_about_tunnels(expected.tag))
      return fail("a 101 that nobody asked for");
    return true;
  }
  if (answer.field("transfer-encoding") != nullptr && expected.tag.play == Play::chunked &&
      !answer.has_right_trailers(expected.tag))
    return fail("other trailers, " + std::to_string(answer.trailers.size()));
  if (status != 200 && status != 204 && status != 304)
    return fail("a status the origin did not send");
  if (status == 200 && !expected.is_head &&
      answer.body != body_of(expected.tag, true, expected.tag.response_bytes)) {
    // What the endpoint breaks off may end an HTTP/1.0 answer early; nothing else may.
    return fail("another body, " + std::to_string(answer.body.size()) + " bytes");
  }
  return true;
}

void Client::finish() { done_ = true; }

}  // namespace sluice::simulation
