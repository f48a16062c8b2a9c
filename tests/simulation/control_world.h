// A made-up world for the control plane: key servers, DNS, files and endpoints that answer, are
// silent, or talk nonsense, in simulated time. It also knows on whose thread it is asked: what
// waits for others must not be done on the control thread.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "core/random.h"
#include "gateway/fetcher.h"
#include "gateway/resolver.h"

namespace sluice::simulation {

using Time = std::chrono::steady_clock::time_point;

enum class Thread : uint8_t { control, keeper, health, names, preparer };
enum class Mood : uint8_t { good, silent, refusing, nonsense };

class ControlWorld {
 public:
  explicit ControlWorld(uint64_t seed) : random(seed) {}

  core::Random random;
  Time now{std::chrono::hours{1000}};
  Thread thread = Thread::control;
  std::string failure;  // what must never be, and was

  struct Server {  // of keys
    Mood mood = Mood::good;
    size_t key = 0;  // which of the sets it gives out
  };
  std::map<std::string, Server> servers;                      // by URL
  std::map<std::string, std::vector<std::string>> addresses;  // by name; what DNS says when it can
  Mood dns = Mood::good;
  std::map<std::string, Mood> endpoints;     // by address
  std::map<std::string, std::string> files;  // empty: there is none

  [[nodiscard]] bool happens(unsigned percent) { return random.below(100) < percent; }
  void fail(const std::string& text) {
    if (failure.empty()) failure = text;
  }
  void only_on(Thread allowed, const char* what) {
    if (thread != allowed) fail(std::string{what} + " on a thread that must not wait");
  }

  // --- the network, as one thread sees it
  class Network {
   public:
    Network(ControlWorld& world, Thread owner) : world_(world), owner_(owner) {}
    void ask(uint64_t ticket, const gateway::Question& question);
    [[nodiscard]] gateway::Fetcher::Answers answers();

   private:
    struct Asked {
      uint64_t ticket;
      gateway::Question question;
      Time due;
      gateway::Fetched fetched;
    };
    ControlWorld& world_;
    Thread owner_;
    std::vector<Asked> asked_;
  };
  [[nodiscard]] gateway::Names resolve(const std::set<std::string>& names);
  [[nodiscard]] gateway::Fetched answer_of(const gateway::Question& question);
  void misbehave();  // something changes
  void calm_down();  // everything works from now on
};

// So many key sets, each with one key of its own name.
inline constexpr size_t key_sets = 8;
[[nodiscard]] const std::string& key_set(size_t number);
[[nodiscard]] std::string key_name(size_t number);

}  // namespace sluice::simulation
