// The socket through which other processes of the same user tell a running gateway what to do:
//   "reload"      -> "ok" or "failed: WHY"
//   "listeners"   -> the listening sockets, in their order; then "ready" lets the running gateway
//   drain -> "ok"
// A sequence of packets, each one message. Whoever is neither root nor the gateway's own user is
// not heard.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "config/values.h"

namespace sluice::gateway {

using config::Complaint;

struct ControlHandlers {
  std::function<std::optional<std::string>()> reload;  // why not, or nothing
  std::function<std::vector<int>()> listeners;
  std::function<void()> take_over;  // another process has the listeners, and serves
};

class ControlSocket {
 public:
  ControlSocket() = default;
  ~ControlSocket();
  ControlSocket(const ControlSocket&) = delete;
  ControlSocket& operator=(const ControlSocket&) = delete;

  // Takes the name, also from a process that is gone or that is being taken over.
  [[nodiscard]] std::optional<Complaint> listen(const std::string& path);
  // Whoever took the place has the name.
  void leave_name() { path_.clear(); }
  // What to wait for.
  [[nodiscard]] std::vector<int> descriptors() const;
  // Answers what has come, on any of them.
  void serve(const ControlHandlers& handlers);

 private:
  [[nodiscard]] bool answer(int client, const ControlHandlers& handlers);

  std::string path_;
  int listener_ = -1;
  std::vector<int> clients_;
};

// --- the other side --------------------------------------------------------------------------

// Where the control socket is, if nothing is said: $RUNTIME_DIRECTORY/control.sock. Empty if there
// is no such variable.
[[nodiscard]] std::string default_control_path();
// Nothing if it went well; otherwise why not.
[[nodiscard]] std::optional<std::string> ask_to_reload(const std::string& path);

// A running gateway whose place is to be taken.
struct Predecessor {
  int connection = -1;
  std::vector<int> listeners;
};
[[nodiscard]] std::variant<Predecessor, Complaint> ask_for_listeners(const std::string& path);
// From now on it drains.
void relieve(Predecessor& predecessor);

}  // namespace sluice::gateway
