// What the benchmarks of the engine's questions share: loopback connections, a thread on a core of
// its own, and its CPU time. What is timed is the CPU of the thread in question alone, so that
// whoever plays the other side costs nothing.
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>
#include <ctime>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace sluice::bench {

// Both ends of established TCP connections over 127.0.0.1, TCP_NODELAY on both; closed when it
// goes. Ends the process if the kernel refuses.
class Pairs {
 public:
  // How much the kernel keeps on the way from the far ends to the near ones.
  enum class Room : uint8_t { as_it_likes, little };
  explicit Pairs(size_t count, Room room = Room::as_it_likes);
  ~Pairs();
  Pairs(const Pairs&) = delete;
  Pairs& operator=(const Pairs&) = delete;

  std::vector<int> near;  // blocking: the benchmark's
  std::vector<int> far;   // non-blocking: of whom is measured
};

// A listener on 127.0.0.1 and a port of its own; where it is, in `port`.
[[nodiscard]] int listen_on_loopback(uint16_t& port);
[[nodiscard]] int connect_to_loopback(uint16_t port);

void write_all(int socket, const char* bytes, size_t size);
// Returns false at the end of the stream.
bool read_all(int socket, char* bytes, size_t size);

// The last core for the benchmark itself, the first for whom it measures. Before anything else.
void pin_benchmark();

[[nodiscard]] double cpu_seconds(clockid_t clock);

// A thread that is measured, on the first core or the one of that number; joined when it goes.
class Measured {
 public:
  explicit Measured(std::function<void()> body, size_t core = 0);
  ~Measured();
  Measured(const Measured&) = delete;
  Measured& operator=(const Measured&) = delete;
  [[nodiscard]] double cpu_seconds() const;

 private:
  enum class State : uint8_t { starting, running, ended };
  void run(const std::function<void()>& body, size_t core);

  std::atomic<State> state_{State::starting};
  clockid_t clock_ = 0;
  double at_end_ = 0;
  std::thread thread_;
};

// Kernel threads that the rings of this process have made; none should there be.
[[nodiscard]] unsigned kernel_workers();

[[noreturn]] void give_up(const std::string& what);

}  // namespace sluice::bench
