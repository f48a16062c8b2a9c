// How the recording origin and the raw client speak.
#include "tests/conformance/rig.h"

namespace sluice::conformance {

using simulation::Message;
using simulation::Reading;
using simulation::take_message;
using simulation::Taken;

// --- origin ----------------------------------------------------------------------------------

void RecordingOrigin::on_socket(SocketId socket) {
  World::Socket& state = world_.socket(socket);
  if (state.listening || state.closed) return;
  Connection& connection = connections_[socket];
  connection.in += world_.take(socket, SIZE_MAX);
  while (!connection.broken) {
    Taken taken = take_message(connection.in, Reading::request, false);
    if (taken.state == Taken::State::incomplete) break;
    if (taken.state == Taken::State::broken) {
      connection.broken = true;
      arrived_.push_back("(broken: " + taken.why + ")");
      break;
    }
    const std::string line =
        taken.message.start_line.substr(0, taken.message.start_line.rfind(' '));
    arrived_.push_back(line + (taken.message.body.empty() ? "" : " " + taken.message.body));
    const bool is_head = line.starts_with("HEAD ");
    messages_.push_back(std::move(taken.message));
    if (answers_.empty()) {
      connection.out +=
          std::string{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"} + (is_head ? "" : "ok");
      continue;
    }
    const Answer answer = answers_.front();
    answers_.erase(answers_.begin());
    core::Duration when{0};
    for (size_t index = 0; index < answer.pieces.size(); ++index) {
      const bool closes = answer.closes && index + 1 == answer.pieces.size();
      world_.after(when, [this, socket, piece = answer.pieces[index], closes] {
        connections_[socket].out += piece;
        connections_[socket].closes |= closes;
        flush(socket);
      });
      when += std::chrono::milliseconds{25};  // more than a delivery takes
    }
    if (answer.pieces.empty() && answer.closes) connection.closes = true;
  }
  flush(socket);
  if (state.fin_received && state.received.empty() && connection.out.empty()) world_.close(socket);
}

void RecordingOrigin::flush(SocketId socket) {
  Connection& connection = connections_[socket];
  if (world_.socket(socket).closed) return;
  connection.out.erase(0, world_.send(socket, connection.out));
  if (connection.out.empty() && connection.closes) world_.close(socket);
}

std::string RecordingOrigin::arrived() const {
  std::string all;
  const auto add = [&](const std::string& one) { all += (all.empty() ? "" : " | ") + one; };
  for (const std::string& one : arrived_) add(one);
  for (const auto& [socket, connection] : connections_) {
    if (!connection.in.empty() && !connection.broken) add("(incomplete)");
  }
  return all;
}

void RecordingOrigin::forget() {
  messages_.clear();
  arrived_.clear();
  answers_.clear();
  for (auto& [socket, connection] : connections_) connection.in.clear();
}

// --- client ----------------------------------------------------------------------------------

RawClient::RawClient(World& world)
    : world_(world), socket_(world.connect_actor(this, simulation::one_worker_port, 0x0a000001)) {}

RawClient::~RawClient() {
  world_.close(socket_);
  world_.socket(socket_).actor = nullptr;
}

void RawClient::on_socket(SocketId socket) {
  World::Socket& state = world_.socket(socket);
  text_ += world_.take(socket, SIZE_MAX);
  fin_ = state.fin_received;
  reset_ = state.reset;
  flush();
}

void RawClient::send(std::string_view bytes) {
  out_ += bytes;
  flush();
}

void RawClient::flush() { out_.erase(0, world_.send(socket_, out_)); }

std::string RawClient::answers(Reading reading) {
  std::string all;
  const auto add = [&](const std::string& one) { all += (all.empty() ? "" : ", ") + one; };
  while (!text_.empty()) {
    Taken taken = take_message(text_, reading, fin_ && !reset_);
    reading = Reading::response;
    if (taken.state != Taken::State::complete) {
      add(taken.state == Taken::State::broken ? "broken " + taken.why : "incomplete");
      break;
    }
    std::string one = taken.message.start_line.substr(9, 3);
    if (const auto code = taken.message.body.find("\"code\":\""); code != std::string::npos) {
      const auto begin = code + 8;
      one += " " + taken.message.body.substr(begin, taken.message.body.find('"', begin) - begin);
    }
    add(one);
    messages_.push_back(std::move(taken.message));
  }
  if (reset_)
    add("reset");
  else if (fin_)
    add("closed");
  return all;
}

}  // namespace sluice::conformance
