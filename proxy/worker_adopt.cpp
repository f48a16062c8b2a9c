// What a worker does when the control thread brings news: a new configuration, or new keys. And how
// its upstreams share the room for connections.
#include <algorithm>
#include <utility>

#include "proxy/worker.h"

namespace sluice::proxy {

// Nothing that is under way is touched: exchanges keep the one they began with.
void Worker::adopt(AdoptMessage& message) {
  SLUICE_ASSERT(!station_.is_draining());  // the control thread sends no more of them then
  CoreGeneration* old = std::exchange(station_.generation, message.generation);
  station_.configuration = &station_.generation->config();
  adopt_limits();
  open_acceptors(message);
  // Nobody will ask for an idle connection to an endpoint that is gone.
  for (UpstreamPlan& plan : old->upstreams()) {
    plan.for_each_endpoint([&](CoreEndpoint& endpoint) {
      const bool stays = std::any_of(station_.generation->upstreams().begin(),
                                     station_.generation->upstreams().end(),
                                     [&](const UpstreamPlan& one) { return one.has(endpoint); });
      while (!stays && !endpoint.idle().empty()) endpoint.idle().front()->begin_close(station_);
    });
  }
  old->retire();
}

// A limit that is gone keeps its rule: requests that began with it may still give something back.
void Worker::adopt_limits() {
  const config::Config& of = station_.config();
  for (size_t index = 0; index < of.limits.size(); ++index)
    station_.shard.set_limit(of.limits[index].number, of.limit_rules[index], station_.now());
  station_.failures.set_limit(0, of.failed_tokens, station_.now());
}

void Worker::on_keys(const KeysMessage& message) {
  CoreGeneration& generation = *message.generation;
  core::IntrusiveList<KeyWaiter, KeyWaitTag> waiting;
  waiting.splice_back(generation.key_waiters());
  generation.use();
  generation.adopt_keys(*message.snapshot, message.sequence);
  while (KeyWaiter* waiter = waiting.pop_front()) waiter->exchange->on_keys(station_);
  generation.release();
}

// --- connections to endpoints ----------------------------------------------------------------

// Upstreams with a queue, in turn; and what other cores wait for.
void Worker::serve_hungry() {
  core::IntrusiveList<CoreUpstream, HungryTag> turn;
  turn.splice_back(station_.hungry);
  while (CoreUpstream* upstream = turn.pop_front()) {
    serve_waiting(*upstream);
    if (upstream->waiting() > 0 && !upstream->core::ListNode<HungryTag>::is_linked())
      station_.hungry.push_back(*upstream);
  }
  for (UpstreamPlan* plan : station_.generation->capped_upstreams())
    plan->upstream().share_permits(station_, *plan);
}

// Each gets one chance a turn.
void Worker::serve_waiting(CoreUpstream& upstream) {
  for (uint32_t chances = upstream.waiting(); chances > 0 && upstream.waiting() > 0; --chances) {
    ConnectionRequest* next = upstream.serve_next(station_);
    if (next == nullptr) {
      // Newcomers are served in turn: each that stands before the last one needs a place, too.
      if (const ConnectionRequest* last = upstream.last_newcomer(); last != nullptr)
        Exchange::shed_stalled(station_, upstream.stalled(), *last->exchange);
      return;
    }
    next->exchange->on_pool_ready(station_);
    follow_up();
  }
}

}  // namespace sluice::proxy
