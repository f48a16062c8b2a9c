// Starts the threads, and runs the control loop until the drain is over.
#include "gateway/gateway.h"

#include <utility>

#include "gateway/footprint.h"
#include "gateway/parts.h"

namespace sluice::gateway {

Gateway::Gateway(config::Config config)
    : config_(std::move(config)),
      parts_(std::make_unique<Parts>(static_cast<uint32_t>(config_.cores.size()))) {}

Gateway::~Gateway() {
  if (parts_ != nullptr && !parts_->threads.empty()) stop();
}

const config::Config& Gateway::config() const {
  return parts_->generations.empty() ? config_ : parts_->newest().config();
}

uint64_t Gateway::remote_checks() const {
  uint64_t sum = 0;
  for (const auto& worker : parts_->workers) sum += worker->counters().limit_remote.get();
  return sum;
}

std::vector<std::string> Gateway::take_notices() {
  std::vector<std::string> all = std::exchange(notices_, {});
  for (std::string& notice : parts_->keeper.take_notices()) all.push_back(std::move(notice));
  for (std::string& notice : parts_->health.take_notices()) all.push_back(std::move(notice));
  if (parts_->log_writer != nullptr) {
    for (std::string& notice : parts_->log_writer->take_notices(std::chrono::steady_clock::now()))
      all.push_back(std::move(notice));
  }
  for (const auto& worker : parts_->workers) {
    if (const auto name = worker->dropped_field().take())
      all.push_back("a field with a '_' in its name was dropped, for example " + *name +
                    "; underscores: pass in the route lets such fields through");
  }
  return all;
}

uint64_t Gateway::memory_bound_bytes() const { return gateway::memory_bound_bytes(config()); }

// From now on the newest generation's cores get what is new.
void Gateway::serve_keys() {
  Parts& parts = *parts_;
  const auto workers = static_cast<uint32_t>(parts.workers.size());
  LiveGeneration& live = *parts.generations.back();
  Generation& generation = *live.generation;
  const auto publish = [&parts, &live, &generation, workers](const auth::KeySnapshot& snapshot,
                                                             uint64_t sequence) {
    for (uint32_t index = 0; index < workers; ++index) {
      proxy::KeysMessage& message = live.messages[index];
      message.kind = static_cast<uint16_t>(proxy::MessageKind::keys);
      message.generation = &generation.core(index);
      message.snapshot = &snapshot;
      message.sequence = sequence;
      parts.postboxes[index]->post_within_bound(proxy::Senders{workers}.key_keeper(), message);
      if (parts.postboxes[index]->claim_doorbell()) parts.kernels[index]->wake();
    }
  };
  const auto has_acknowledged = [&generation](uint64_t sequence) {
    return generation.has_acknowledged_keys(sequence);
  };
  live.keys->serve({publish, has_acknowledged});
  parts.keeper.wake();
}

void Gateway::send(std::vector<ControlMessage>& messages) {
  const uint32_t control = proxy::Senders{parts_->workers.size()}.control();
  for (uint32_t index = 0; index < messages.size(); ++index) {
    parts_->postboxes[index]->post_within_bound(control, messages[index]);
    if (parts_->postboxes[index]->claim_doorbell()) parts_->kernels[index]->wake();
  }
}

void Gateway::announce_drain() {
  if (parts_->announced || parts_->draining) return;
  parts_->announced = true;
  send(parts_->announce);
}

void Gateway::yield() {
  if (!parts_->draining) send(parts_->yield);
}

void Gateway::begin_drain() {
  if (parts_->draining) return;
  parts_->draining = true;
  send(parts_->drain);
}

void Gateway::cut() {
  send(parts_->has_cut ? parts_->second_cut : parts_->first_cut);
  parts_->has_cut = true;
}

bool Gateway::wait(std::chrono::nanoseconds timeout) {
  std::unique_lock lock{parts_->mutex};
  return parts_->drained_changed.wait_for(
      lock, timeout, [this] { return parts_->drained == parts_->workers.size(); });
}

DrainReport Gateway::stop() {
  Parts& parts = *parts_;
  if (!parts.draining) {
    begin_drain();
    if (!wait(std::chrono::milliseconds{200})) cut();
    if (!wait(std::chrono::seconds{3})) cut();
  }
  while (!wait(std::chrono::seconds{1})) {
  }
  parts.health.stop();
  parts.keeper.stop();
  send(parts.stop);
  for (auto& thread : parts.threads) thread.join();
  parts.threads.clear();
  parts.offload->stop();
  parts.log_writer->stop();
  for (const ListenerSet& set : parts.listeners) {
    if (!leaves_names_) remove_name(set);
  }
  DrainReport report;
  for (const auto& worker : parts.workers) {
    report.finished += worker->counters().drain_finished.get();
    report.cut += worker->counters().drain_cut.get();
  }
  return report;
}

void Gateway::reopen_log() { parts_->log_writer->reopen(); }
bool Gateway::is_reopening_log() const { return parts_->log_writer->is_reopening(); }

}  // namespace sluice::gateway
