// What the keeper of keys asks of one source, and what it makes of the answer.
#include <algorithm>
#include <chrono>

#include "gateway/key_keeper.h"

namespace sluice::gateway {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds key_patience{20};  // with the network, before something else has its turn
// Between two fetches that tokens ask for.
constexpr std::chrono::seconds want_cooldown{10};
constexpr std::chrono::seconds key_retry_interval{5};
// A file of lines is believed when it has stayed the same for so long: half of it looks whole.
constexpr std::chrono::seconds unchanged_interval{1};
constexpr size_t revocations_bytes_max = size_t{1} << 30;
constexpr size_t bearer_bytes_max = 64 * 1024;
constexpr const char* torn =
    "it is empty, or its last line has no end, and may be half written; end each line, and write "
    "one with # where there is nothing to say";
constexpr core::Duration refresh_min = std::chrono::seconds{10};
constexpr core::Duration refresh_max = std::chrono::hours{24};

bool is_of_lines(const KeySourceId& id) {
  return id.kind == KeySourceKind::api_keys_file || id.kind == KeySourceKind::passwords_file ||
         id.kind == KeySourceKind::revocations_file;
}

}  // namespace

void KeyKeeper::look_at_file(const KeySourceId& id, KeySource& source, const Views& views) {
  const std::string stamp = world_.stamp(id.name);
  const bool is_first = source.state == KeySource::State::untried;
  source.state = KeySource::State::tried;
  // What is missing or broken, and is so still, is said once.
  if (!is_first && (stamp == source.stamp || !has_settled(id, source, stamp))) return;
  source.stamp = stamp;
  source.counters.attempts.add();
  std::string complaint;
  KeyContent content = read_file(id, source, complaint);
  if (!complaint.empty())
    refuse(id, source, complaint);
  else
    accept(id, source, std::move(content), views);
}

// Nobody who rewrites a file in place is believed before he is done: half the lines are a file of
// lines as well, half of JSON is none.
bool KeyKeeper::has_settled(const KeySourceId& id, KeySource& source,
                            const std::string& stamp) const {
  if (!is_of_lines(id) || source.version == 0 || stamp.empty()) return true;
  if (stamp != source.seen) {
    source.seen = stamp;
    source.seen_at = world_.now();
  }
  return world_.now() >= source.seen_at + unchanged_interval;
}

KeyContent KeyKeeper::read_file(const KeySourceId& id, const KeySource& source,
                                std::string& complaint) const {
  const bool had_lines = is_of_lines(id) && source.version != 0;
  KeyContent content;
  if (id.kind == KeySourceKind::revocations_file) {  // by parts, because they may be many
    auth::RevocationReader reader;
    complaint = world_
                    .read(id.name, revocations_bytes_max, config::FileHolds::trust,
                          [&](std::string_view part) { reader.take(part); })
                    .complaint;
    if (complaint.empty() && had_lines && !reader.is_whole()) complaint = torn;
    if (!complaint.empty()) return content;
    if (auto read = reader.finish(complaint)) content.revocations = std::move(*read);
    return content;
  }
  config::WholeFile file = read_whole(id.name, key_set_bytes_max, config::FileHolds::secrets);
  complaint = std::move(file.complaint);
  if (complaint.empty() && had_lines && (file.text.empty() || file.text.back() != '\n'))
    complaint = torn;
  content.text = std::move(file.text);
  content.exposure = std::move(file.warning);
  return content;
}

config::WholeFile KeyKeeper::read_whole(const std::string& path, size_t most,
                                        config::FileHolds holds) const {
  config::WholeFile file;
  static_cast<config::FileReading&>(file) =
      world_.read(path, most, holds, [&](std::string_view part) { file.text += part; });
  if (!file.complaint.empty()) file.text.clear();
  return file;
}

// The token is read each time, because it is renewed.
Question KeyKeeper::question_for(const KeySourceId& id) {
  Question question = key_set_question(id.name, id.authorities);
  if (id.bearer_file.empty()) return question;
  const auto file = read_whole(id.bearer_file, bearer_bytes_max, config::FileHolds::secrets);
  if (!file.complaint.empty()) notice(id.bearer_file + ": " + file.complaint);
  question.bearer = file.text.substr(0, file.text.find_first_of("\r\n"));
  return question;
}

void KeyKeeper::begin_due(Wished wished) {
  const bool is_wished = wished == Wished::yes;
  const auto now = world_.now();
  for (const auto& [id, source] : sources_) {
    if (!id.is_url() || source->state == KeySource::State::asking) continue;
    const bool asked_for = is_wished && now >= source->asked_at + want_cooldown;
    if (source->state == KeySource::State::tried && now < source->due_at && !asked_for) continue;
    source->state = KeySource::State::asking;
    source->ticket = ++tickets_;
    source->counters.attempts.add();
    world_.ask(source->ticket, question_for(id));
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
       world_.answers(with == Patience::some ? key_patience : milliseconds{0})) {
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
  source.due_at = source.asked_at + key_retry_interval;
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
  accept(id, source, {.text = fetched.body}, views);
  if (!source.complaint.empty()) return;
  const config::KeySources* from = settings(id, views);
  if (from == nullptr) return;
  // Some time before it is stale, and not all gateways at once.
  const core::Duration life =
      std::clamp(fetched.max_age.value_or(from->refresh), refresh_min, refresh_max);
  source.due_at = source.asked_at + life * static_cast<int64_t>(75 + random_.below(20)) / 100;
  if (id.kind == KeySourceKind::key_set_url && source.version != before && !from->jwks_copy.empty())
    world_.write(from->jwks_copy, source.content->text);
}

// A cold start while nobody answers: the last good answer will do.
void KeyKeeper::use_copy(const KeySourceId& id, KeySource& source, const Views& views) {
  const config::KeySources* from = settings(id, views);
  if (from == nullptr || from->jwks_copy.empty() || id.kind != KeySourceKind::key_set_url) return;
  auto file = read_whole(from->jwks_copy, key_set_bytes_max, config::FileHolds::trust);
  if (!file.complaint.empty()) return;
  const auto content = std::make_shared<const KeyContent>(KeyContent{.text = std::move(file.text)});
  for (const auto& view : views) {
    for (const KeyView::Use& use : view->uses()) {
      if (use.source != id || !view->check(use, *content).empty()) continue;
      source.content = content;
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
  const bool is_silent = id.is_url() && !source.answers_nonsense;
  if (source.version == 0 && !is_silent) return;
  notice(id.label() + ": " + complaint +
         (source.version == 0 ? "" : "; what was good before stays in use"));
}

void KeyKeeper::accept(const KeySourceId& id, KeySource& source, KeyContent content,
                       const Views& views) {
  std::string first;
  bool is_good = false;
  for (const auto& view : views) {
    for (const KeyView::Use& use : view->uses()) {
      if (is_good || use.source != id) continue;
      const std::string complaint = view->check(use, content);
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
  const bool is_same = source.version != 0 && id.kind != KeySourceKind::revocations_file &&
                       content == *source.content;
  if (is_same) return;
  const bool is_secret =
      id.kind == KeySourceKind::api_keys_file || id.kind == KeySourceKind::passwords_file;
  if (is_secret && source.version == 0 && !content.exposure.empty()) notice(content.exposure);
  source.content = std::make_shared<const KeyContent>(std::move(content));
  ++source.version;
}

}  // namespace sluice::gateway
