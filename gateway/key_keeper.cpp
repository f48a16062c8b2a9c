#include "gateway/key_keeper.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>

#include "core/fresh_secret.h"
#include "gateway/file_stamp.h"
#include "gateway/plain_file.h"

namespace sluice::gateway {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds look_interval{200};
constexpr milliseconds patience{20};      // with the network, before something else has its turn
constexpr milliseconds core_patience{1};  // with cores that are to be through with a snapshot
constexpr milliseconds settle_interval{2};
// Between two fetches that tokens ask for.
constexpr std::chrono::seconds want_cooldown{10};
constexpr std::chrono::seconds retry_interval{5};
constexpr core::Duration refresh_min = std::chrono::seconds{10};
constexpr core::Duration refresh_max = std::chrono::hours{24};

// Whole or not at all: a crash in the middle leaves the old one.
void write_file(const std::string& path, const std::string& text) {
  const std::string temporary = path + ".new";
  std::ofstream file{temporary, std::ios::binary};
  file << text;
  file.close();
  if (file) std::rename(temporary.c_str(), path.c_str());
}

uint64_t seconds_since_1970() {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(
                                   std::chrono::system_clock::now().time_since_epoch())
                                   .count());
}

bool is_url(const KeySourceId& id) { return id.kind == KeySourceKind::key_set_url; }

}  // namespace

KeyKeeper::World KeyKeeper::real_world() {
  const auto fetcher = std::make_shared<Fetcher>();
  return {.now = Clock::now,
          .ask = [fetcher](uint64_t ticket,
                           const Question& question) { fetcher->begin(ticket, question); },
          .answers = [fetcher](milliseconds wait) { return fetcher->take(wait); },
          .stamp = file_stamp,
          .read = [](const std::string& path,
                     std::string& why) { return read_plain_file(path, key_set_bytes_max, why); },
          .write = write_file};
}

KeyKeeper::KeyKeeper(World world)
    : world_(std::move(world)),
      random_(world_.seed != 0 ? world_.seed : core::fresh_secret<uint64_t>()) {}

KeyKeeper::~KeyKeeper() { stop(); }

std::optional<std::string> KeyKeeper::start() {
  return thread_.start([this] { return tick(); });
}

void KeyKeeper::stop() { thread_.stop(); }

std::shared_ptr<KeyView> KeyKeeper::admit(const config::Config& config) {
  auto view = std::make_shared<KeyView>(config);
  {
    const std::lock_guard lock{mutex_};
    views_.push_back(view);
  }
  thread_.wake();
  return view;
}

bool KeyKeeper::settle(const KeyView& view, const std::function<bool()>& is_interrupted) {
  while (view.state() == KeyView::State::waiting) {
    if (is_interrupted && is_interrupted()) return false;
    if (thread_.is_running())
      core::Waker{}.wait(settle_interval);
    else
      static_cast<void>(tick());
  }
  return true;
}

std::vector<std::string> KeyKeeper::take_notices() {
  const std::lock_guard lock{mutex_};
  return std::exchange(notices_, {});
}

void KeyKeeper::notice(const std::string& text) {
  const std::lock_guard lock{mutex_};
  notices_.push_back(text);
}

// --- a round -----------------------------------------------------------------------------------

milliseconds KeyKeeper::tick() {
  const Views views = take_views();
  meet_sources(views);
  const bool is_time = world_.now() >= look_at_;
  if (is_time) look_at_ = world_.now() + look_interval;
  for (const auto& [id, source] : sources_) {
    if (!is_url(id) && (is_time || source->state == KeySource::State::untried))
      look_at_file(id, *source, views);
  }
  begin_due();
  bool waits = false;
  take_answers(views, Patience::none);
  const bool is_answered = owed_ && !is_asking(*owed_);
  for (const auto& view : views) {
    if (view->state() == KeyView::State::waiting) complete(*view);
    if (view->state() != KeyView::State::serving) continue;
    bring_news(*view);
    if (is_answered) view->note_news(KeyView::Asked::yes);
    waits |= view->publish();
  }
  if (is_answered) owed_.reset();
  if (waits) return core_patience;
  if (!is_asking(tickets_)) return look_interval;
  take_answers(views, Patience::some);
  return milliseconds{0};
}

// Those that somebody needs. What is retired gets nothing from here on.
KeyKeeper::Views KeyKeeper::take_views() {
  const std::lock_guard lock{mutex_};
  std::erase_if(views_, [](const auto& view) {
    const bool is_retired = view->state() == KeyView::State::retired;
    if (is_retired) view->let_go();
    return is_retired;
  });
  return views_;
}

// New ones are to be tried; those that no view uses are forgotten.
void KeyKeeper::meet_sources(const Views& views) {
  const std::lock_guard lock{mutex_};
  std::erase_if(sources_, [&](const auto& known) {
    return std::none_of(views.begin(), views.end(), [&](const auto& view) {
      return std::any_of(view->uses().begin(), view->uses().end(),
                         [&](const KeyView::Use& use) { return use.source == known.first; });
    });
  });
  for (const auto& view : views) {
    for (const KeyView::Use& use : view->uses()) {
      auto& source = sources_[use.source];
      if (source == nullptr) source = std::make_unique<KeySource>();
    }
  }
}

void KeyKeeper::look_at_file(const KeySourceId& id, KeySource& source, const Views& views) {
  const std::string stamp = world_.stamp(id.name);
  const bool is_first = source.state == KeySource::State::untried;
  source.state = KeySource::State::tried;
  // A file that was missing and is missing still is said once.
  if (!is_first && stamp == source.stamp &&
      (source.version != 0 || !stamp.empty() || !source.complaint.empty()))
    return;
  source.stamp = stamp;
  source.counters.attempts.add();
  std::string why;
  auto text = world_.read(id.name, why);
  if (!text)
    refuse(id, source, "this file can't be read: " + why);
  else
    accept(id, source, std::move(*text), views);
}

void KeyKeeper::begin_due() {
  const bool is_wished = wish_.take();
  const auto now = world_.now();
  for (const auto& [id, source] : sources_) {
    if (!is_url(id) || source->state == KeySource::State::asking) continue;
    const bool asked_for = is_wished && now >= source->asked_at + want_cooldown;
    if (source->state == KeySource::State::tried && now < source->due_at && !asked_for) continue;
    source->state = KeySource::State::asking;
    source->ticket = ++tickets_;
    source->counters.attempts.add();
    world_.ask(source->ticket, key_set_question(id.name, id.authorities));
  }
  // What is asked for other reasons meanwhile keeps nobody waiting.
  if (is_wished && !owed_) owed_ = tickets_;
}

bool KeyKeeper::is_asking(uint64_t tickets) const {
  return std::any_of(sources_.begin(), sources_.end(), [&](const auto& one) {
    return one.second->state == KeySource::State::asking && one.second->ticket <= tickets;
  });
}

void KeyKeeper::take_answers(const Views& views, Patience with) {
  for (auto& [ticket, fetched] :
       world_.answers(with == Patience::some ? patience : milliseconds{0})) {
    for (const auto& [id, source] : sources_) {
      if (source->state == KeySource::State::asking && source->ticket == ticket)
        take_answer(id, *source, fetched, views);
    }
  }
}

const config::KeySources* KeyKeeper::settings(const KeySourceId& id, const Views& views) const {
  const config::KeySources* newest = nullptr;
  for (const auto& view : views) {
    for (const KeyView::Use& use : view->uses()) {
      if (use.source == id) newest = &view->entry(use).key_sources;
    }
  }
  return newest;
}

void KeyKeeper::take_answer(const KeySourceId& id, KeySource& source, const Fetched& fetched,
                            const Views& views) {
  source.state = KeySource::State::tried;
  source.asked_at = world_.now();
  source.due_at = source.asked_at + retry_interval;
  std::string complaint = fetched.complaint;
  if (complaint.empty() && fetched.status != 200)
    complaint = "the answer is " + std::to_string(fetched.status);
  if (!complaint.empty()) {
    // It may answer later; until then there are the keys of before, or 503.
    source.answers_nonsense = false;
    refuse(id, source, complaint);
    if (source.version == 0) use_copy(id, source, views);
    return;
  }
  source.answers_nonsense = true;
  const uint64_t before = source.version;
  accept(id, source, fetched.body, views);
  if (!source.complaint.empty()) return;
  const config::KeySources* from = settings(id, views);
  if (from == nullptr) return;
  // Some time before it is stale, and not all gateways at once.
  const core::Duration life =
      std::clamp(fetched.max_age.value_or(from->refresh), refresh_min, refresh_max);
  source.due_at = source.asked_at + life * static_cast<int64_t>(75 + random_.below(20)) / 100;
  if (source.version != before && !from->jwks_copy.empty())
    world_.write(from->jwks_copy, *source.text);
}

// A cold start while nobody answers: the last good answer will do.
void KeyKeeper::use_copy(const KeySourceId& id, KeySource& source, const Views& views) {
  const config::KeySources* from = settings(id, views);
  if (from == nullptr || from->jwks_copy.empty()) return;
  std::string why;
  auto text = world_.read(from->jwks_copy, why);
  if (!text) return;
  for (const auto& view : views) {
    for (const KeyView::Use& use : view->uses()) {
      if (use.source != id || !view->check(use, *text).empty()) continue;
      source.text = std::make_shared<const std::string>(std::move(*text));
      source.version = 1;
      notice(from->jwks_copy + ": using the keys of an earlier run, because " + id.label() +
             " does not answer");
      return;
    }
  }
}

// --- what came ---------------------------------------------------------------------------------

void KeyKeeper::refuse(const KeySourceId& id, KeySource& source, const std::string& complaint) {
  counters_.failures.add();
  source.counters.failures.add();
  source.counters.is_good.set(0);
  source.complaint = complaint;
  // What is new here is its view's complaint; a server that does not answer is no reason to stop.
  const bool is_silent = is_url(id) && !source.answers_nonsense;
  if (source.version == 0 && !is_silent) return;
  notice(id.label() + ": " + complaint +
         (source.version == 0 ? "" : "; what was good before stays in use"));
}

void KeyKeeper::accept(const KeySourceId& id, KeySource& source, std::string text,
                       const Views& views) {
  std::string first;
  bool is_good = false;
  for (const auto& view : views) {
    for (const KeyView::Use& use : view->uses()) {
      if (is_good || use.source != id) continue;
      const std::string complaint = view->check(use, text);
      is_good = complaint.empty();
      if (first.empty()) first = complaint;
    }
  }
  if (!is_good) {
    refuse(id, source, first);
    return;
  }
  source.complaint.clear();
  source.counters.is_good.set(1);
  source.counters.loaded_at_s.set(seconds_since_1970());
  if (source.version != 0 && text == *source.text) return;
  source.text = std::make_shared<const std::string>(std::move(text));
  ++source.version;
}

// Texts that are new to a configuration at work; one that does not fit it leaves what it has.
void KeyKeeper::bring_news(KeyView& view) {
  bool is_news = false;
  for (KeyView::Use& use : view.uses()) {
    const KeySource& source = *sources_.at(use.source);
    if (source.version == use.seen) continue;
    use.seen = source.version;
    const std::string complaint = view.check(use, *source.text);
    if (complaint.empty()) {
      use.good = source.text;
      is_news = true;
    } else {
      counters_.failures.add();
      notice(use.source.label() + ": " + complaint + "; what was good before stays in use");
    }
  }
  if (!is_news) return;
  view.note_news(KeyView::Asked::no);
  note_snapshot(view);
}

// The first snapshot, once everything has been tried.
void KeyKeeper::complete(KeyView& view) {
  for (const KeyView::Use& use : view.uses()) {
    if (sources_.at(use.source)->state == KeySource::State::untried) return;
    const KeySource& source = *sources_.at(use.source);
    if (source.state == KeySource::State::asking && source.version == 0 && source.complaint.empty())
      return;
  }
  for (KeyView::Use& use : view.uses()) {
    const KeySource& source = *sources_.at(use.source);
    const bool is_silent = is_url(use.source) && !source.answers_nonsense;
    use.seen = source.version;
    const std::string complaint = source.version != 0 ? view.check(use, *source.text)
                                  : is_silent         ? ""
                                                      : source.complaint;
    if (!complaint.empty())
      view.complain(use.source.label() + ": " + complaint);
    else if (source.version != 0)
      use.good = source.text;
  }
  view.become_ready();
  if (view.complaints().empty()) note_snapshot(view);
}

void KeyKeeper::note_snapshot(const KeyView& view) {
  counters_.keys.set(view.key_count());
  counters_.refreshed.add();
  counters_.changed_at_s.set(seconds_since_1970());
}

}  // namespace sluice::gateway
