// Which reload comes next, and what becomes of those that must wait.
#include "gateway/reloader.h"

#include <algorithm>
#include <utility>

namespace sluice::gateway {

namespace {

constexpr std::chrono::seconds put_off_interval{1};

}  // namespace

void Reloader::want(const std::string& because, uint64_t ticket, ReloadKind kind) {
  waiting_.push_back({because, ticket, kind});
}

std::vector<Reloader::Reply> Reloader::tick() {
  std::vector<Reply> replies;
  if (state_ != State::idle) {
    const auto done = world_.take();
    if (!done) return replies;
    if (std::exchange(state_, State::idle) == State::reading)
      replies = finish_reading(*done);
    else
      finish_renaming(*done);
  }
  begin_next(replies);
  return replies;
}

void Reloader::begin_next(std::vector<Reply>& replies) {
  if (!waiting_.empty()) {
    served_ = std::exchange(waiting_, {});
    if (const auto why = world_.why_no_room()) {
      world_.note_failure();
      for (Reply& reply : answer(why)) replies.push_back(std::move(reply));
      return;
    }
    state_ = State::reading;
    const bool is_file = std::any_of(served_.begin(), served_.end(), [](const Wish& wish) {
      return wish.kind == ReloadKind::file;
    });
    world_.begin(is_file ? ReloadKind::file : ReloadKind::certificates);
    return;
  }
  if (world_.names_version() == names_in_use_ || world_.now() < names_due_) return;
  if (const auto why = world_.why_no_room()) {
    put_off_names(*why);
    return;
  }
  state_ = State::renaming;
  world_.begin(ReloadKind::names);
}

// Nothing is lost: they are other addresses still when it is time to look again.
void Reloader::put_off_names(const std::string& why) {
  names_due_ = world_.now() + put_off_interval;
  if (std::exchange(names_put_off_, why) != why)
    world_.say("names have other addresses, which are not in use yet: " + why);
}

std::vector<Reloader::Reply> Reloader::answer(const std::optional<std::string>& why) {
  std::vector<Reply> replies;
  for (const Wish& wish : std::exchange(served_, {})) {
    if (why) world_.say(wish.because + " failed, and what runs goes on as it was: " + *why);
    if (!why) world_.say(wish.because + ": the new configuration is in use, " + world_.in_words());
    if (wish.ticket != nobody) replies.push_back({wish.ticket, why});
  }
  return replies;
}

std::vector<Reloader::Reply> Reloader::finish_reading(const Preparation& done) {
  std::optional<std::string> why;
  if (done.result == Preparation::Result::failed)
    why = done.why;
  else
    why = world_.adopt();
  if (why) {
    world_.note_failure();
  } else {
    names_in_use_ = done.names_version;
    names_put_off_.clear();
  }
  for (const std::string& notice : done.notices) world_.say(notice);
  return answer(why);
}

void Reloader::finish_renaming(const Preparation& done) {
  std::optional<std::string> why;
  if (done.result == Preparation::Result::failed) why = done.why;
  if (done.result == Preparation::Result::ready) why = world_.adopt();
  if (why) {
    put_off_names(*why);
    return;
  }
  names_in_use_ = done.names_version;
  names_put_off_.clear();
  if (done.result == Preparation::Result::ready)
    world_.say("names have other addresses: " + world_.in_words());
}

}  // namespace sluice::gateway
