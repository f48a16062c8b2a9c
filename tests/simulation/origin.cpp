// What the simulated service does with each request.
#include "tests/simulation/origin.h"

#include <cstring>

namespace sluice::simulation {

namespace {

std::string head(unsigned status, const Tag& tag, const std::string& more) {
  return "HTTP/1.1 " + std::to_string(status) + " As It Is\r\nX-Tag: " + tag.text() +
         "\r\nServer: origin\r\n" + more + "\r\n";
}

std::string in_chunks(World& world, const Tag& tag, const std::string& body) {
  std::string out;
  size_t at = 0;
  size_t extensions = 0;  // bytes of them; above 256 in a message the gateway rightly breaks it off
  while (at < body.size()) {
    const size_t size = 1 + world.random().below(std::min<size_t>(body.size() - at, 9000));
    const char* extension = world.happens(20)   ? ";name=value"
                            : world.happens(10) ? " ; name = \"a;b\" "
                            : world.happens(5)  ? " "
                                                : "";
    if ((extensions += std::strlen(extension)) > 200) extension = "";
    char line[40];
    std::snprintf(line, sizeof line, "%zx%s\r\n", size, extension);
    out += line + body.substr(at, size) + "\r\n";
    at += size;
  }
  return out + "0\r\n" + trailers_of(tag) + "\r\n";
}

}  // namespace

void Origin::on_socket(SocketId socket) {
  if (world_.socket(socket).listening) return;
  progress(socket);
}

void Origin::progress(SocketId socket) {
  World::Socket& state = world_.socket(socket);
  if (state.closed) return;
  if (state.reset) {
    world_.close(socket);
    return;
  }
  Connection& connection = connections_[socket];
  flush(socket);
  if (world_.socket(socket).closed || connection.deaf) return;
  // Reads in its own time, so that the gateway meets an endpoint that does not take what it is
  // sent.
  connection.in += world_.take(socket, 1 + world_.random().below(64 * 1024));
  if (!world_.socket(socket).received.empty())
    world_.after(std::chrono::microseconds{world_.random().below(500)},
                 [this, socket] { progress(socket); });
  if (connection.tunnels) {
    echo(socket, connection);
    return;
  }
  while (!connection.waiting && !connection.close_when_sent && !connection.deaf) {
    if (answer_early(socket, connection)) break;
    Taken taken = take_message(connection.in, Reading::request, false);
    if (taken.state == Taken::State::broken) {
      world_.violation("the origin got a broken request: " + taken.why);
      return;
    }
    if (taken.state == Taken::State::incomplete) break;
    const std::string* text = taken.message.field("x-tag");
    const auto tag = text != nullptr ? Tag::parse(*text) : std::nullopt;
    if (!tag) {
      world_.violation("the origin got a request that nobody sent: " + taken.message.start_line);
      return;
    }
    check(taken.message, *tag);
    if (connection.early_done) {
      connection.early_done = false;
      continue;
    }
    ++requests_;
    ++arrivals_[tag->number];
    if (taken.message.field("upgrade") != nullptr && agree_to_tunnel(socket, connection, *tag))
      return;
    const bool is_head = taken.message.start_line.compare(0, 5, "HEAD ") == 0;
    const core::Duration pause =
        tag->play == Play::slow
            ? core::Duration{std::chrono::milliseconds{world_.random().below(1500)}}
            : core::Duration{std::chrono::microseconds{world_.random().below(300)}};
    connection.waiting = true;
    world_.after(pause, [this, socket, tag = *tag, is_head] {
      connections_[socket].waiting = false;
      if (world_.socket(socket).closed || world_.socket(socket).reset) return;
      answer(socket, tag, is_head);
      progress(socket);
    });
  }
  if (world_.socket(socket).fin_received && world_.socket(socket).received.empty() &&
      !connection.waiting && connection.out.empty())
    world_.close(socket);
}

// 101, unless the tag says that this is no tunnel; a rough one switches to what nobody asked for.
bool Origin::agree_to_tunnel(SocketId socket, Connection& connection, const Tag& tag) {
  if (tag.number % 4 == 3) return false;
  connection.out +=
      "HTTP/1.1 101 Go\r\nX-Tag: " + tag.text() +
      "\r\nConnection: Upgrade\r\nUpgrade: " + (lies_about_tunnels(tag) ? "h2c" : "WebSocket") +
      "\r\n\r\n";
  connection.tunnels = true;
  echo(socket, connection);
  return true;
}

void Origin::echo(SocketId socket, Connection& connection) {
  connection.out += connection.in;
  connection.in.clear();
  const World::Socket& state = world_.socket(socket);
  if (state.fin_received && state.received.empty()) connection.close_when_sent = true;
  flush(socket);
}

// Play::early answers as soon as the head is there; the body is read afterwards, if it comes.
bool Origin::answer_early(SocketId socket, Connection& connection) {
  if (connection.early_done) return false;
  const size_t end = connection.in.find("\r\n\r\n");
  const size_t at = connection.in.find("X-Tag: ");
  if (end == std::string::npos || at == std::string::npos || at > end) return false;
  const auto tag = Tag::parse(std::string_view{connection.in}.substr(at + 7));
  if (!tag || tag->play != Play::early) return false;
  connection.early_done = true;
  ++requests_;
  ++arrivals_[tag->number];
  const std::string body = body_of(*tag, true, tag->response_bytes);
  const bool is_head = connection.in.compare(0, 5, "HEAD ") == 0;
  connection.out += head(200, *tag, "Content-Length: " + std::to_string(body.size()) + "\r\n") +
                    (is_head ? "" : body);
  flush(socket);
  return false;
}

void Origin::check(const Message& request, const Tag& tag) {
  const auto want_one = [&](std::string_view name) {
    if (request.count(name) != 1)
      world_.violation("a request arrived with " + std::to_string(request.count(name)) +
                       " fields " + std::string{name});
  };
  for (const char* name :
       {"host", "x-forwarded-for", "x-request-id", "traceparent", "authorization"})
    want_one(name);
  const std::string* connection = request.field("connection");
  const std::string* upgrade = request.field("upgrade");
  const std::string* te = request.field("te");
  const std::string wanted = upgrade != nullptr ? "Upgrade" : te != nullptr ? "TE" : "";
  const bool fits = (connection != nullptr ? *connection : "") == wanted &&
                    (upgrade == nullptr || *upgrade == "websocket") &&
                    (te == nullptr || *te == "trailers");
  if (!fits) world_.violation("a request arrived with fields for the next hop that do not fit");
  const std::string* trailers = request.field("x-trailers");
  const bool right =
      trailers != nullptr ? request.has_right_trailers(tag) : request.trailers.empty();
  if (!right)
    world_.violation("request " + tag.text() + " arrived with other trailers, " +
                     std::to_string(request.trailers.size()));
  for (const char* name : {"x-evil", "keep-alive", "x_under", "expect"}) {
    if (request.field(name) != nullptr)
      world_.violation(std::string{"a request arrived with a field that is not passed on: "} +
                       name);
  }
  if (request.start_line.substr(0, request.start_line.find('?')).find("//") != std::string::npos)
    world_.violation("a path arrived with slashes that nothing was matched by");
  const std::string* trace = request.field("traceparent");
  const bool well_formed = trace != nullptr && trace->size() == 55 &&
                           trace->compare(0, 3, "00-") == 0 &&
                           trace->find_first_not_of("0123456789abcdef-") == std::string::npos &&
                           (*trace)[35] == '-' && (*trace)[52] == '-';
  if (!well_formed) world_.violation("a bad traceparent");
  const std::string* id = request.field("x-request-id");
  if (id != nullptr &&
      (id->size() != 32 || id->find_first_not_of("0123456789abcdef") != std::string::npos))
    world_.violation("a bad request id");
  if (request.body != body_of(tag, false, tag.request_bytes)) {
    world_.violation("request " + tag.text() + " arrived with another body (" +
                     std::to_string(request.body.size()) + " bytes)");
  }
}

void Origin::answer(SocketId socket, const Tag& tag, bool is_head) {
  Connection& connection = connections_[socket];
  const std::string body = body_of(tag, true, tag.response_bytes);
  const std::string sent = is_head ? "" : body;
  const std::string length = "Content-Length: " + std::to_string(body.size()) + "\r\n";
  switch (tag.play) {
    case Play::plain:
    case Play::slow:
      connection.out +=
          head(200, tag,
               length + "Keep-Alive: timeout=30\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\n") +
          sent;
      break;
    case Play::chunked:
      connection.out += head(200, tag, "Transfer-Encoding: chunked\r\n") +
                        (is_head ? "" : in_chunks(world_, tag, body));
      break;
    case Play::until_close:
      connection.out += head(200, tag, "") + sent;
      connection.close_when_sent = true;
      break;
    case Play::empty: connection.out += head(204, tag, ""); break;
    case Play::not_modified: connection.out += head(304, tag, length); break;
    case Play::early_hints:
      connection.out +=
          "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n" + head(200, tag, length) + sent;
      break;
    case Play::close_after:
      connection.out += head(200, tag, length) + sent;
      connection.close_when_sent = true;
      break;
    case Play::announced_close:
      connection.out += head(200, tag, length + "Connection: close\r\n") + sent;
      connection.close_when_sent = true;
      break;
    case Play::never: connection.deaf = true; break;
    case Play::close_before: world_.close(socket); return;
    case Play::half_head:
      connection.out += "HTTP/1.1 200 OK\r\nX-Ta";
      connection.close_when_sent = true;
      break;
    case Play::half_body:
      connection.out +=
          head(200, tag, "Content-Length: " + std::to_string(body.size() + 1) + "\r\n") + sent;
      connection.close_when_sent = true;
      break;
    case Play::garbage:
      connection.out += "SSH-2.0-OpenSSH_9.2p1\r\n\r\n";
      connection.close_when_sent = true;
      break;
    case Play::reset_before: world_.reset(socket); return;
    case Play::extra_bytes:
      connection.out += head(200, tag, length) + sent +
                        "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nX-Tag: 0.0.0.0\r\n\r\nstolen";
      break;
    case Play::early: break;
  }
  flush(socket);
}

void Origin::flush(SocketId socket) {
  Connection& connection = connections_[socket];
  const size_t sent = world_.send(socket, connection.out);
  connection.out.erase(0, sent);
  if (connection.out.empty() && connection.close_when_sent) world_.close(socket);
}

}  // namespace sluice::simulation
