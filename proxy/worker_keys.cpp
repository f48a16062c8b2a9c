// What a worker does about keys: new snapshots, exchanges that wait for one, signatures that other threads check, and the
// budget of wrong tokens.
#include <utility>

#include "proxy/key_keeper.h"
#include "proxy/worker.h"

namespace sluice::proxy {

// The keeper sends the next message only when this one is acknowledged: at most two snapshots are in use.
void Worker::on_keys(const KeysMessage& message) {
  SLUICE_ASSERT(old_signatures_out_ == 0);
  keys_sequence_ = message.sequence;
  if (message.snapshot != keys_) {
    keys_ = message.snapshot;
    old_signatures_out_ = std::exchange(signatures_out_, 0);
    authenticator_.adopt(*keys_);
  }
  core::IntrusiveList<Exchange, KeyWaitTag> waiting;
  waiting.splice_back(key_waiters_);
  while (Exchange* exchange = waiting.pop_front()) exchange->on_keys(*this);
  acknowledge_keys();
}

void Worker::acknowledge_keys() {
  if (old_signatures_out_ == 0) keys_acknowledged_.store(keys_sequence_, std::memory_order_release);
}

bool Worker::wait_for_keys(Exchange& exchange) {
  if (options_.keeper == nullptr) return false;
  if (key_waiters_.empty()) options_.keeper->want();
  key_waiters_.push_back(exchange);
  return true;
}

bool Worker::submit_signature(ExchangeMessage& job) {
  job.signature.generation = keys_->generation;
  if (!submit(job)) return false;
  ++signatures_out_;
  return true;
}

void Worker::signature_checked(const ExchangeMessage& job) {
  if (job.signature.generation == keys_->generation) {
    --signatures_out_;
  } else {
    --old_signatures_out_;
    acknowledge_keys();
  }
}

limiter::Verdict Worker::visit_failures(const core::SocketAddress& client, limiter::Visit visit) {
  limiter::KeyHash key = ownership_.key(0);
  key.add(ownership_.network_of(client));
  const limiter::Claim claim{.hash = key.value()};
  return failures_.visit(visit, {&claim, 1}, limiter::Holding::allowed, now());
}

}  // namespace sluice::proxy
