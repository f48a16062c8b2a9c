// Reads and completes the next configuration on a thread of its own.
#include "gateway/preparer.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <exception>
#include <new>
#include <utility>

namespace sluice::gateway {

namespace {

constexpr std::chrono::milliseconds idle{60'000};

}  // namespace

Preparer::Preparer() : done_event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

Preparer::~Preparer() {
  stop();
  if (done_event_ >= 0) ::close(done_event_);
}

std::optional<std::string> Preparer::start() {
  return thread_.start([this] { return run_one(); });
}

void Preparer::begin(Work work) {
  {
    const std::lock_guard lock{mutex_};
    work_ = std::move(work);
    done_.reset();
  }
  thread_.wake();
}

std::optional<Preparation> Preparer::take() {
  uint64_t ignored = 0;
  [[maybe_unused]] const auto size = ::read(done_event_, &ignored, sizeof ignored);
  const std::lock_guard lock{mutex_};
  return std::exchange(done_, std::nullopt);
}

std::chrono::milliseconds Preparer::run_one() {
  Work work;
  {
    const std::lock_guard lock{mutex_};
    work = std::exchange(work_, {});
  }
  if (!work) return idle;
  Preparation done;
  try {
    done = work([this] { return thread_.is_stopping(); });
  } catch (const std::bad_alloc&) {
    done = {.why = "there is no memory for another configuration"};
  } catch (const std::exception& failure) {
    done = {.why = failure.what()};
  }
  {
    const std::lock_guard lock{mutex_};
    done_ = std::move(done);
  }
  const uint64_t one = 1;
  [[maybe_unused]] const auto size = ::write(done_event_, &one, sizeof one);
  return std::chrono::milliseconds{0};
}

}  // namespace sluice::gateway
