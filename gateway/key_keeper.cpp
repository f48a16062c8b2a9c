// Reads and fetches keys when they are due, and publishes snapshots.
#include "gateway/key_keeper.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>

#include "core/fresh_secret.h"
#include "gateway/file_stamp.h"

namespace sluice::gateway {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds key_look_interval{200};
constexpr milliseconds core_patience{1};  // with cores that are to be through with a snapshot
constexpr milliseconds key_settle_interval{2};

// Whole or not at all: a crash in the middle leaves the old one.
void write_file(const std::string& path, const std::string& text) {
  const std::string temporary = path + ".new";
  std::ofstream file{temporary, std::ios::binary};
  file << text;
  file.close();
  if (file) std::rename(temporary.c_str(), path.c_str());
}

}  // namespace

KeyKeeper::World KeyKeeper::real_world() {
  const auto fetcher = std::make_shared<Fetcher>();
  return {.now = Clock::now,
          .ask = [fetcher](uint64_t ticket,
                           const Question& question) { fetcher->begin(ticket, question); },
          .answers = [fetcher](milliseconds wait) { return fetcher->take(wait); },
          .stamp = file_stamp,
          .read = config::read_file_by_parts,
          .write = write_file};
}

uint64_t KeyKeeper::seconds_since_1970() {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(
                                   std::chrono::system_clock::now().time_since_epoch())
                                   .count());
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
      core::Waker{}.wait(key_settle_interval);
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
  take_answers(views, Patience::none);
  for (const auto& view : views) learn(*view);
  meet_sources(views);
  const Wished wished = wish_.take() ? Wished::yes : Wished::no;
  const bool is_time = wished == Wished::yes || world_.now() >= look_at_;
  if (is_time) look_at_ = world_.now() + key_look_interval;
  for (const auto& [id, source] : sources_) {
    if (!id.is_url() && (is_time || source->state == KeySource::State::untried))
      look_at_file(id, *source, views);
  }
  begin_due(wished);
  bool waits = false;
  const bool is_answered = owed_ && !is_asking(*owed_);
  for (const auto& view : views) {
    if (view->state() == KeyView::State::waiting) complete(*view, views);
    if (view->state() != KeyView::State::serving) continue;
    bring_news(*view);
    if (is_answered) view->note_news(KeyView::Asked::yes);
    waits |= view->publish();
  }
  if (is_answered) owed_.reset();
  if (waits) return core_patience;
  if (!is_asking(tickets_)) return key_look_interval;
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

// Which sets the discoveries of a configuration name; they are its sources, too.
void KeyKeeper::learn(KeyView& view) {
  const KeyView::State state = view.state();
  if (state != KeyView::State::waiting && state != KeyView::State::serving) return;
  for (size_t at = 0; at < view.uses().size(); ++at) {
    const KeyView::Use use = view.uses()[at];
    const auto found = sources_.find(use.source);
    if (use.source.kind != KeySourceKind::discovery || found == sources_.end()) continue;
    const KeySource& source = *found->second;
    if (source.version != use.seen && view.check(use, *source.content).empty())
      view.follow(use.source, use.entry, *source.content);
  }
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

// Contents that are new to a configuration at work; one that does not fit it leaves what it has.
void KeyKeeper::bring_news(KeyView& view) {
  bool is_news = false;
  for (KeyView::Use& use : view.uses()) {
    const KeySource& source = *sources_.at(use.source);
    if (source.version == use.seen) continue;
    use.seen = source.version;
    const std::string complaint = view.check(use, *source.content);
    if (complaint.empty()) {
      use.good = source.content;
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

bool KeyKeeper::is_at_work(const KeySourceId& id, const Views& views) {
  return std::any_of(views.begin(), views.end(), [&](const auto& view) {
    return view->state() == KeyView::State::serving &&
           std::any_of(view->uses().begin(), view->uses().end(),
                       [&](const KeyView::Use& use) { return use.source == id; });
  });
}

// The first snapshot, once everything has been tried.
void KeyKeeper::complete(KeyView& view, const Views& views) {
  for (const KeyView::Use& use : view.uses()) {
    if (sources_.at(use.source)->state == KeySource::State::untried) return;
    const KeySource& source = *sources_.at(use.source);
    if (source.state == KeySource::State::asking && source.version == 0 && source.complaint.empty())
      return;
  }
  for (KeyView::Use& use : view.uses()) {
    const KeySource& source = *sources_.at(use.source);
    // What a configuration at work does without is no reason to refuse another.
    const bool is_silent =
        use.source.is_url() && (!source.answers_nonsense || is_at_work(use.source, views));
    use.seen = source.version;
    const std::string complaint = source.version != 0 ? view.check(use, *source.content)
                                  : is_silent         ? ""
                                                      : source.complaint;
    if (!complaint.empty())
      view.complain(use.source.label() + ": " + complaint);
    else if (source.version != 0)
      use.good = source.content;
  }
  view.become_ready();
  if (view.complaints().empty()) note_snapshot(view);
}

void KeyKeeper::note_snapshot(KeyView& view) {
  for (const KeyView::Use& use : view.uses()) {
    if (use.good == nullptr || use.source.kind == KeySourceKind::revocations_file) continue;
    const std::string& name = view.entry(use).provider.name;
    auto& said = sources_.at(use.source)->remarks[name];
    if (said == use.remarks) continue;
    said = use.remarks;
    for (const std::string& remark : said)
      notice(use.source.label() + " of auth " + name + ": " + remark);
  }
  counters_.keys.set(view.key_count());
  counters_.passed_over.set(view.passed_over_count());
  counters_.refreshed.add();
  counters_.changed_at_s.set(seconds_since_1970());
}

}  // namespace sluice::gateway
