// Raw bytes through a whole gateway over the simulated kernel: a client that says exactly what it
// is told, in the pieces it is told, and an origin that records what arrives, judged by a parser
// that shares nothing with the gateway's.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tests/simulation/one_worker.h"
#include "tests/simulation/stories.h"

namespace sluice::conformance {

using simulation::SocketId;
using simulation::World;

class RecordingOrigin : public simulation::Actor {
 public:
  explicit RecordingOrigin(World& world) : world_(world) {
    world.listen(simulation::one_worker_origin_port, this);
  }
  void on_socket(SocketId socket) override;

  // What is answered to the next request instead of a plain 200, and whether the connection closes
  // behind it. The pieces arrive apart.
  struct Answer {
    std::vector<std::string> pieces;
    bool closes = false;
  };
  void answer_with(Answer answer) { answers_.push_back(std::move(answer)); }

  // "GET /a | POST /b hello" with "(incomplete)" where a message did not end, and "(broken: why)"
  // where there was none.
  [[nodiscard]] std::string arrived() const;
  [[nodiscard]] const std::vector<simulation::Message>& messages() const { return messages_; }
  [[nodiscard]] size_t connections() const { return connections_.size(); }
  void forget();

 private:
  struct Connection {
    std::string in;
    std::string out;
    bool closes = false;
    bool broken = false;
  };
  void flush(SocketId socket);

  World& world_;
  std::map<SocketId, Connection> connections_;
  std::vector<simulation::Message> messages_;
  std::vector<std::string> arrived_;
  std::vector<Answer> answers_;
};

class RawClient : public simulation::Actor {
 public:
  explicit RawClient(World& world);
  ~RawClient() override;
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;
  void on_socket(SocketId socket) override;
  void send(std::string_view bytes);
  void finish() { world_.shutdown_write(socket_); }

  // "200, 400 http.bare_lf, closed": the answers in their order, with the reason of those that
  // Sluice itself gave. `reading` is of the first answer.
  [[nodiscard]] std::string answers(simulation::Reading reading = simulation::Reading::response);
  [[nodiscard]] const std::vector<simulation::Message>& messages() const { return messages_; }
  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] bool is_closed() const { return fin_ || reset_; }

 private:
  void flush();

  World& world_;
  SocketId socket_;
  std::string out_;
  std::string text_;
  std::vector<simulation::Message> messages_;
  bool fin_ = false;
  bool reset_ = false;
};

}  // namespace sluice::conformance
