// The threads that do what a core must not wait for.
#include "gateway/offload_pool.h"

#include <chrono>

namespace sluice::gateway {

OffloadPool::OffloadPool(uint32_t workers, uint32_t jobs_per_worker, RenderMetrics render)
    : senders_(workers), render_(std::move(render)), clients_(workers) {
  for (uint32_t worker = 0; worker < workers; ++worker)
    queues_.push_back(std::make_unique<proxy::OffloadQueue>(jobs_per_worker, available_));
  for (auto& report : reports_) report = std::make_unique_for_overwrite<proxy::Report>();
}

OffloadPool::~OffloadPool() { stop(); }

std::optional<std::string> OffloadPool::start(uint32_t threads) {
  for (uint32_t thread = 0; thread < threads; ++thread) {
    auto& made = threads_.emplace_back(
        std::make_unique<core::Background>("sluice-pool" + std::to_string(thread)));
    if (auto why = made->start([this, thread] { return run(thread); })) return why;
  }
  return std::nullopt;
}

void OffloadPool::stop() {
  for (auto& thread : threads_) thread->ask_to_stop();
  available_.release(static_cast<std::ptrdiff_t>(threads_.size()));
  for (auto& thread : threads_) thread->stop();
  while (run_one(0)) {
  }
  threads_.clear();
}

// One job, or the word to stop.
std::chrono::milliseconds OffloadPool::run(uint32_t thread) {
  available_.acquire();
  static_cast<void>(run_one(thread));
  return std::chrono::milliseconds{0};
}

proxy::ExchangeMessage* OffloadPool::take() {
  const std::lock_guard lock{taking_};
  for (auto& queue : queues_) {
    if (proxy::ExchangeMessage* job = queue->take(); job != nullptr) return job;
  }
  return nullptr;
}

bool OffloadPool::run_one(uint32_t thread) {
  proxy::ExchangeMessage* job = take();
  if (job == nullptr) return false;
  perform(*job);
  const OffloadClient& client = clients_[job->sender];
  job->kind = static_cast<uint16_t>(proxy::MessageKind::job_done);
  // Sized by the jobs that a worker can have out: never full.
  client.postbox->post_within_bound(senders_.offload(thread), *job);
  if (client.postbox->claim_doorbell()) client.kernel->wake();
  return true;
}

proxy::Report* OffloadPool::lend_report() {
  for (auto& report : reports_) {
    if (!report->is_lent.exchange(true, std::memory_order_acquire)) return report.get();
  }
  return nullptr;
}

void OffloadPool::check_signature(proxy::SignatureJob& job) {
  for (uint8_t index = 0; index < job.key_count; ++index) {
    auth::SignatureChecker checker{*job.keys[index]};
    job.refusal = auth::check_signature(checker, *job.keys[index], job.text, job.signature);
    if (job.refusal != auth::Refusal::signature && job.refusal != auth::Refusal::signature_form)
      return;
  }
}

void OffloadPool::perform(proxy::ExchangeMessage& job) {
  switch (job.job) {
    case proxy::Job::burn: {
      const auto end =
          std::chrono::steady_clock::now() + std::chrono::milliseconds{job.milliseconds};
      while (std::chrono::steady_clock::now() < end) {
      }
      break;
    }
    case proxy::Job::check_signature: check_signature(job.signature); break;
    case proxy::Job::check_password:
      job.signature.refusal = auth::check_password(*job.signature.user, job.signature.text);
      break;
    case proxy::Job::render_metrics:
      job.report = lend_report();
      if (job.report == nullptr) break;
      job.report->size = render_(job.report->text);
      if (job.report->size == 0) {
        job.report->give_back();
        job.report = nullptr;
      }
      break;
  }
}

}  // namespace sluice::gateway
