// Starts, wakes and joins a thread, or says why there is none.
#include "core/background.h"

#include <system_error>

#include "core/affinity.h"

namespace sluice::core {

std::optional<std::string> Background::start(Round round) {
  if (thread_.joinable()) return std::nullopt;
  is_stopping_ = false;
  try {
    thread_ = std::thread{[this, work = std::move(round)] { run(work); }};
  } catch (const std::system_error& failure) {
    return "no thread for " + name_ + " is to be had (" + failure.code().message() +
           "); raise the bound of processes (ulimit -u, TasksMax=, pids.max)";
  }
  return std::nullopt;
}

void Background::ask_to_stop() {
  is_stopping_ = true;
  waker_.wake();
}

void Background::stop() {
  if (!thread_.joinable()) return;
  ask_to_stop();
  thread_.join();
}

void Background::run(const Round& round) {
  enter_thread(name_, -1);
  while (!is_stopping()) waker_.wait(round());
}

}  // namespace sluice::core
