// When the configuration is read again, and when names with other addresses are taken up: one
// preparation at a time, elsewhere, and whatever is asked for meanwhile is not lost. The control
// thread turns it; nothing here waits.
//
//   reloader.want("SIGHUP", nobody);
//   for (const auto& reply : reloader.tick()) ...   // now and then, and when a preparation ends
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace sluice::gateway {

// What is to be prepared.
enum class ReloadKind : uint8_t {
  file,          // what is written now
  certificates,  // what runs, with the certificates that its files have now
  names,         // what runs, with the addresses that its names have now
};

struct Preparation {
  enum class Result : uint8_t { ready, unchanged, failed };
  Result result = Result::failed;
  std::string why;             // it failed
  uint64_t names_version = 0;  // of the addresses that it has
  std::vector<std::string> notices;
};

class Reloader {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr uint64_t nobody = 0;
  struct World {
    std::function<Clock::time_point()> now;
    std::function<uint64_t()> names_version;
    // Why there can't be another configuration now, or nothing.
    std::function<std::optional<std::string>()> why_no_room;
    std::function<void(ReloadKind kind)> begin;         // elsewhere
    std::function<std::optional<Preparation>()> take;   // what came of it, once; nothing: not yet
    std::function<std::optional<std::string>()> adopt;  // what is ready; why not, or nothing
    std::function<void()> note_failure;
    std::function<void(const std::string& text)> say;
    std::function<std::string()> in_words;  // what runs
  };
  // The answer to whoever asked for a reload.
  struct Reply {
    uint64_t ticket;
    std::optional<std::string> why;  // nothing has changed; or nothing
  };

  // The configuration at work has the addresses of `names_version`.
  Reloader(World world, uint64_t names_version)
      : world_(std::move(world)), names_in_use_(names_version) {}

  // The reply to `ticket` comes from a tick; it is about a file that is read from now on.
  void want(const std::string& because, uint64_t ticket, ReloadKind kind = ReloadKind::file);
  [[nodiscard]] std::vector<Reply> tick();
  [[nodiscard]] bool is_idle() const { return state_ == State::idle; }

 private:
  enum class State : uint8_t { idle, reading, renaming };
  struct Wish {
    std::string because;
    uint64_t ticket;
    ReloadKind kind;
  };
  [[nodiscard]] std::vector<Reply> answer(const std::optional<std::string>& why);
  [[nodiscard]] std::vector<Reply> finish_reading(const Preparation& done);
  void finish_renaming(const Preparation& done);
  void begin_next(std::vector<Reply>& replies);
  void put_off_names(const std::string& why);

  World world_;
  State state_ = State::idle;
  std::vector<Wish> waiting_;  // for the next reading
  std::vector<Wish> served_;   // by the one under way
  uint64_t names_in_use_;
  Clock::time_point names_due_{};
  std::string names_put_off_;  // why; said once
};

}  // namespace sluice::gateway
