// A client of the gateway: says what its mood tells it, in pieces, and checks every answer against
// what it asked.
#pragma once

#include <deque>
#include <map>

#include "tests/simulation/stories.h"
#include "tests/simulation/world.h"

namespace sluice::simulation {

enum class Mood : uint8_t {
  patient,        // one request after the other
  pipelining,     // several at once
  old,            // HTTP/1.0
  leaving,        // closes at some moment
  resetting,      // resets at some moment
  half_closing,   // sends FIN after its last request
  stalling,       // stops in the middle of a head
  stalling_body,  // stops in the middle of a body
  rude,           // sends what must be refused
  expecting,      // Expect: 100-continue
  nosy,           // asks for /metrics, /health and /demo/work
  tokenless,
  forging,      // its token is signed by nobody
  tunneling,    // asks for a tunnel, and says a lot in it
  trickling,    // a head that never ends, byte by byte
  deaf,         // asks, and reads nothing
  waiting,      // asks the upstream that never answers
  withholding,  // is refused, and never sends the body
};
inline constexpr unsigned moods = 18;

struct ClientOptions {
  uint32_t first_number = 0;  // tags are numbered from here
  uint32_t address = 0;
  uint16_t port = 0;
  Mood mood = Mood::patient;
  unsigned requests = 1;
  unsigned play_count = harmless_plays;  // the plays it chooses from: the first so many
  bool small = false;                    // bodies of a few bytes only
  std::string token;
  bool is_announced = false;    // by a PROXY protocol header, through a balancer
  bool may_be_unknown = false;  // the token's key comes some time, or never
};

// What all clients together were told.
struct Tally {
  uint64_t asked = 0;
  uint64_t answered = 0;
  std::map<unsigned, uint64_t> by_status;
  std::map<uint32_t, bool> idempotent;  // by tag
  bool shed = false;                    // somebody was, because others needed the room
  bool poisoned =
      false;  // an endpoint's surplus answer was taken for one: its connections are a step behind
};

class Client : public Actor {
 public:
  Client(World& world, ClientOptions options, Tally& tally)
      : world_(world), options_(std::move(options)), tally_(tally) {}

  void start();
  void on_socket(SocketId socket) override;
  [[nodiscard]] bool is_done() const { return done_; }
  // The gateway has said that it goes: connections may close without an answer from here on.
  void excuse() { excused_ = true; }
  [[nodiscard]] std::string describe() const;

 private:
  struct Expected {
    Tag tag;
    bool is_head = false;
    bool has_body = false;
    bool is_local = false;     // one of the gateway's own routes
    bool has_reserve = false;  // as well, and nobody is asked for the answer
    bool is_refused = false;   // rude or without a token
    core::Instant asked_at{};
  };
  void write_more();
  void add_request();
  void add_rude_request();
  void add_local_request();
  void add_unanswered_request();
  void trickle();
  void read_answers(bool closed);
  bool check(const Message& answer, unsigned status);
  void begin_tunnel(const Tag& tag);
  void read_tunnel(bool closed);
  void finish();
  void watch_the_clock();
  Tag make_tag(bool with_body);
  [[nodiscard]] bool world_is_calm() const;

  World& world_;
  ClientOptions options_;
  Tally& tally_;
  SocketId socket_ = no_socket;
  std::string out_;
  std::string withheld_;  // a body that waits for 100
  std::string in_;
  std::deque<Expected> expected_;
  unsigned sent_requests_ = 0;
  core::Instant last_news_{};
  // After a 101.
  bool tunnels_ = false;
  std::string echo_;  // what is still to come back
  bool stalled_ = false;
  bool told_to_close_ = false;
  bool excused_ = false;
  bool done_ = false;
  bool left_ = false;
  bool refused_with_body_ = false;
};

}  // namespace sluice::simulation
