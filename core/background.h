// One thread beside the workers, for what may take long: it starts or says why not, is woken, is
// stopped and joined. Its owner gives it one round of its work, which is run again and again.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <optional>
#include <semaphore>
#include <string>
#include <thread>

namespace sluice::core {

// Lets one thread wait for others, without a lock: cores may wake it.
class Waker {
 public:
  // Any thread; never waits.
  void wake() {
    if (!is_awake_.exchange(true)) semaphore_.release();
  }
  // Until somebody wakes, at most `time`.
  void wait(std::chrono::milliseconds time) {
    if (time.count() > 0) static_cast<void>(semaphore_.try_acquire_for(time));
    is_awake_ = false;
  }

 private:
  std::atomic<bool> is_awake_{false};
  std::counting_semaphore<> semaphore_{0};
};

class Background {
 public:
  // Does what is due, and says for how long there is nothing more to do.
  using Round = std::function<std::chrono::milliseconds()>;

  // At most 15 characters of the name are kept.
  explicit Background(std::string name) : name_(std::move(name)) {}
  ~Background() { stop(); }
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  // Why there is no thread to be had, or nothing. Does nothing if it runs already.
  [[nodiscard]] std::optional<std::string> start(Round round);
  // Waits for the round that is under way, and joins.
  void stop();
  // Any thread: what stop() does first. A round that takes long looks at is_stopping().
  void ask_to_stop();
  [[nodiscard]] bool is_stopping() const { return is_stopping_.load(std::memory_order_relaxed); }
  [[nodiscard]] bool is_running() const { return thread_.joinable(); }
  void wake() { waker_.wake(); }
  [[nodiscard]] Waker& waker() { return waker_; }

 private:
  void run(const Round& round);

  std::string name_;
  Waker waker_;
  std::atomic<bool> is_stopping_{false};
  std::thread thread_;
};

}  // namespace sluice::core
