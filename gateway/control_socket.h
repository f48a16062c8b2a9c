// The socket through which other processes of the same user tell a running gateway what to do:
//   "reload"      -> "ok" or "failed: WHY"
//   "listeners"   -> the listening sockets, in their order; then "ready" lets the running gateway
//   drain -> "ok"
// A sequence of packets, each one message. Whoever is neither root nor the gateway's own user is
// not heard; whoever does not read the answers is hung up on, and when there are too many clients
// the one that has been silent for longest is: none of them holds up the gateway or another client.
//
// The name belongs to the gateway that made it: it is not taken from one that answers there, unless
// that is being taken over, and only its maker removes it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "config/values.h"
#include "gateway/interrupted.h"

namespace sluice::gateway {

using config::Complaint;

struct ControlHandlers {
  std::function<void(uint64_t ticket)> reload;  // answer_reload() follows
  std::function<std::vector<int>()> listeners;
  std::function<void()> take_over;  // another process has the listeners, and serves
};

class ControlSocket {
 public:
  ControlSocket() = default;
  ~ControlSocket();
  ControlSocket(const ControlSocket&) = delete;
  ControlSocket& operator=(const ControlSocket&) = delete;

  enum class Claim : uint8_t {
    if_free,    // or left behind by a process that is gone
    take_over,  // from the gateway whose place is taken
  };
  [[nodiscard]] std::optional<Complaint> listen(const std::string& path, Claim claim);
  // Whoever took the place has the name.
  void leave_name() { path_.clear(); }
  // What to wait for.
  [[nodiscard]] std::vector<int> descriptors() const;
  // Answers what has come, on any of them. Never waits: who does not read its answers is let go of.
  void serve(const ControlHandlers& handlers);
  // To whoever asked for it, if it is there still: why nothing has changed, or nothing.
  void answer_reload(uint64_t ticket, const std::optional<std::string>& why);

 private:
  // Which file a name stands for.
  struct Node {
    uint64_t device = 0;
    uint64_t number = 0;
    bool operator==(const Node&) const = default;
  };
  struct Client {
    int socket = -1;
    enum class Wish : uint8_t { none, reloads, takes_over } wish = Wish::none;
    uint64_t ticket = 0;  // of the reload that it waits for; 0: of none
  };
  [[nodiscard]] static std::optional<Node> node_of(const std::string& path);
  [[nodiscard]] std::optional<Complaint> bind_name(const std::string& path, Claim claim);
  void admit(int socket);
  [[nodiscard]] bool answer(Client& client, const ControlHandlers& handlers);

  std::string path_;
  std::optional<Node> node_;  // of the name that we made
  int listener_ = -1;
  std::vector<Client> clients_;  // the newest last
  uint64_t tickets_ = 0;
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
// Waits a few seconds for one that hangs, and no longer.
[[nodiscard]] std::variant<Predecessor, Complaint> ask_for_listeners(
    const std::string& path, const Interrupted& is_interrupted);
// From now on it drains; if it hangs, once it hears of it.
void relieve(Predecessor& predecessor, const Interrupted& is_interrupted);

}  // namespace sluice::gateway
