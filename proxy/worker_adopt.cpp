// What a worker does when the control thread brings news: a new configuration, or new keys. And how
// its upstreams share the room for connections.
#include <algorithm>
#include <utility>

#include "proxy/worker.h"

namespace sluice::proxy {

// Nothing that is under way is touched: exchanges keep the one they began with.
void Worker::adopt(AdoptMessage& message) {
  SLUICE_ASSERT(!is_draining());  // the control thread sends no more of them then
  CoreGeneration* old = std::exchange(generation_, message.generation);
  adopt_limits();
  open_acceptors(message);
  // Nobody will ask for an idle connection to an endpoint that is gone.
  for (UpstreamPlan& plan : old->upstreams()) {
    plan.for_each_endpoint([&](CoreEndpoint& endpoint) {
      const bool stays =
          std::any_of(generation_->upstreams().begin(), generation_->upstreams().end(),
                      [&](const UpstreamPlan& one) { return one.has(endpoint); });
      while (!stays && endpoint.idle() != nullptr) endpoint.idle()->begin_close(*this);
    });
  }
  old->retire();
}

// A limit that is gone keeps its rule: requests that began with it may still give something back.
void Worker::adopt_limits() {
  const config::Config& of = config();
  for (size_t index = 0; index < of.limits.size(); ++index)
    shard_.set_limit(of.limits[index].number, of.limit_rules[index], now());
  failures_.set_limit(0, of.failed_tokens, now());
}

void Worker::on_keys(const KeysMessage& message) {
  CoreGeneration& generation = *message.generation;
  core::IntrusiveList<Exchange, KeyWaitTag> waiting;
  waiting.splice_back(generation.key_waiters());
  generation.use();
  generation.adopt_keys(*message.snapshot, message.sequence);
  while (Exchange* exchange = waiting.pop_front()) exchange->on_keys(*this);
  generation.release();
}

bool Worker::submit_signature(ExchangeMessage& job, CoreGeneration& generation) {
  job.signature.generation = generation.keys().generation;
  if (!submit(job)) return false;
  generation.note_signature_out();
  return true;
}

limiter::Verdict Worker::visit_failures(const core::SocketAddress& client, limiter::Visit visit) {
  limiter::KeyHash key = ownership_.key(0);
  key.add(ownership_.network_of(client));
  const limiter::Claim claim = key.claim(0);
  return failures_.visit(visit, {&claim, 1}, limiter::Holding::allowed, now());
}

// --- connections to endpoints ----------------------------------------------------------------

void Worker::make_room_upstream(const CoreUpstream* of) {
  UpstreamConnection* oldest =
      idle_upstreams_.find_from_back([&](const UpstreamConnection& connection) {
        return of == nullptr || &connection.endpoint().upstream() == of;
      });
  if (oldest != nullptr) oldest->begin_close(*this);
}

// Rung whether they sleep or not: who is just about to must hear it too.
void Worker::wake_others() {
  for (uint32_t peer = 0; peer < options_.peers.size(); ++peer) {
    if (peer != index()) kernel().ring_doorbell(*options_.peers[peer].kernel);
  }
}

// Upstreams with a queue, in turn; and what other cores wait for.
void Worker::serve_hungry() {
  core::IntrusiveList<CoreUpstream, HungryTag> turn;
  turn.splice_back(hungry_);
  while (CoreUpstream* upstream = turn.pop_front()) {
    upstream->serve_waiting(*this);
    if (upstream->has_waiting() && !upstream->core::ListNode<HungryTag>::is_linked())
      hungry_.push_back(*upstream);
  }
  for (UpstreamPlan* plan : generation_->capped_upstreams())
    plan->upstream().share_permits(*this, *plan);
}

}  // namespace sluice::proxy
