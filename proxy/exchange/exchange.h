// One request and its response: from the first byte of the head to the line in the log. It pairs a
// client's stream with a request to an endpoint, and says which of its parts is next:
//
//   Admission      whether it may go: route, token, limits
//   Attempt        one try at one endpoint, and whether another follows
//   ClientStream   the request and its answer, as the client speaks
//   Http1Request   the same, as the endpoint speaks
//   Errand         what is out at another core or the offload pool
//   Record         what is said of it in the end
//
// Parts call nobody: what they find is returned, and the exchange does what follows.
//
// State says what the exchange as a whole waits for. While it relays, the request and the response
// go their own ways; RequestSide and ResponseSide say how far each is. Every exchange ends in one
// place, finish(), after which it waits (in `ending`) until nothing in the kernel, in a mailbox or
// in the offload pool refers to it, and is then logged. It is freed at the end of the batch and not
// before: whoever called it may look at it still.
//
// Owned by its worker's slab, run by that worker's thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/intrusive_list.h"
#include "core/timer_wheel.h"
#include "proxy/client_waiter.h"
#include "proxy/exchange/admission.h"
#include "proxy/exchange/attempt.h"
#include "proxy/exchange/body_pace.h"
#include "proxy/exchange/errand.h"
#include "proxy/exchange/request_context.h"
#include "proxy/http1_request.h"
#include "proxy/splice.h"

namespace sluice::proxy {

class Exchange : public core::ListNode<EndedTag> {
 public:
  enum class State : uint8_t {
    deciding,            // whether it may go where it wants to: see Admission::State
    working,             // the offload pool has it
    waiting_connection,  // every connection to the endpoint is in use
    connecting,          // a new one is being made
    retrying,            // the connection of the last try is let go; another follows
    relaying,            // the request goes up, the response comes down
    tunneling,           // after a 101: bytes go both ways
    replying,            // an answer of our own goes down
    discarding,  // the answer is out; the rest of the request's body is read and thrown away
    ending,      // over; waits for what still refers to it
    ended,       // nothing does: freed at the end of the batch
  };
  enum class RequestSide : uint8_t {
    waiting,    // nothing has been sent yet
    sending,    // bytes are on their way to the endpoint
    receiving,  // waiting for the client's next bytes
    done,       // all of it has been sent
    cut,        // no more of it will be sent
  };
  enum class ResponseSide : uint8_t {
    waiting,        // for the first byte
    head,           // the head comes in
    informational,  // a 1xx is on its way to the client
    sending,        // bytes are on their way to the client
    receiving,      // waiting for the endpoint's next bytes
    done,           // all of it has been sent
  };

  // The head is whole, or broken. `timer` is the token of the exchange's timer.
  void begin(Station& station, core::Token timer, DownstreamConnection& downstream,
             const Arrival& arrival);
  // It will never be whole: 408, or no answer where nobody would hear it.
  void refuse_head(Station& station, core::Token timer, DownstreamConnection& downstream,
                   const Arrival& arrival, Failure why);

  // --- events, from the worker ---------------------------------------------------------------
  void on_downstream(Station& station, const DownstreamEvent& event);
  void on_upstream(Station& station, const ChannelEvent& event);
  void on_downstream_gone(Station& station);  // nothing of its connection refers to us any more
  void on_upstream_gone(Station& station);
  void on_limit_answer(Station& station);
  void on_job_done(Station& station);
  void on_keys(Station& station);  // there are new ones, or there are none
  void on_pool_ready(Station& station);
  void on_timer(Station& station);
  void on_stream(Station& station);        // of HTTP/2: something happened to it
  void on_stream_timer(Station& station);  // its client, in HTTP/2, is late
  void on_cut(Station& station);           // the drain's deadline has come
  // The one of `waiting` that has waited longest for its client goes, if that client has more than
  // this one's.
  static void shed_stalled(Station& station,
                           core::IntrusiveList<ClientWaiter, ClientWaitTag>& waiting,
                           const Exchange& for_this);

  [[nodiscard]] State state() const { return state_; }

 private:
  using Afterwards = DownstreamConnection::Afterwards;
  using Again = Attempt::Again;

  // exchange.cpp: from the head to the decision where it goes, and what is heard from both sides
  void redirect_to_https(Station& station);
  void set_up(Station& station, core::Token timer, DownstreamConnection& downstream,
              const Arrival& arrival);
  void follow(Station& station, Admission::Verdict verdict);
  void proceed(Station& station);
  void redirect(Station& station);
  void serve_demo_work(Station& station);
  void submit_job(Station& station, Job job, uint32_t milliseconds);
  [[nodiscard]] bool count_hop(Station& station);

  // client_wait.cpp: requests that wait for their clients
  void expect_of_client(Station& station, core::Duration timeout);
  void begin_waiting_for_client(Station& station);
  void stop_waiting_for_client() {
    if (client_wait_.is_linked())
      core::IntrusiveList<ClientWaiter, ClientWaitTag>::remove(client_wait_);
  }
  void make_room(Station& station) const;
  void shed(Station& station);  // it only waits for its client, and others need its place

  // upstream.cpp: to an endpoint, and to another one where that does no harm
  void go_upstream(Station& station);
  void acquire_connection(Station& station);
  [[nodiscard]] bool take_place(Station& station);
  void refuse_upstream(Station& station, Attempt::Acquired outcome);
  void on_connect_failed(Station& station, const ChannelEvent& event);
  void on_upstream_silent(Station& station);
  void fail_try(Station& station, uint16_t status, Reason reason, Again again);
  [[nodiscard]] Attempt::Reached reached() const;
  void judge_endpoint(Station& station, Outcome outcome);
  void drop_upstream(Station& station);
  void attach(UpstreamConnection& connection);
  void detach();
  void give_up_place();
  void note_answered(Station& station);
  void release_generation();
  void note_underscored(Station& station, uint32_t count);
  void arm(Station& station, core::Duration phase);

  // request.cpp: the request's way up
  void build_first_flight(Station& station);
  void start_flight(Station& station);
  void on_connection(Station& station);
  void send_upstream(Station& station);
  void on_upstream_progress(Station& station);  // some of it was taken, more is under way
  void on_upstream_sent(Station& station, SendProgress progress);
  void ask_for_body(Station& station);
  void receive_request(Station& station);
  [[nodiscard]] bool is_body_too_slow(Station& station, uint64_t bytes);
  void on_downstream_bytes(Station& station, uint32_t size);
  void relay_request_body(Station& station, uint32_t size);
  void note_request_received(Station& station);

  // response.cpp: the response's way down
  void on_upstream_bytes(Station& station, core::Buffer buffer, uint32_t size);
  void on_upstream_closed(Station& station, core::Error error);  // Error::none: by FIN
  void read_response_head(Station& station);
  void fail_as_malformed(Station& station);
  [[nodiscard]] bool lacks_date() const;
  void note_repairs(Station& station);
  void on_informational(Station& station);
  void start_response(Station& station);
  void limit_idle();
  void relay_response_body(Station& station, uint32_t size);
  void end_response_at_close(Station& station);
  void send_downstream(Station& station);
  void on_downstream_sent(Station& station);
  void receive_response(Station& station);
  void finish_response(Station& station);

  // splice.cpp: large bodies and busy tunnels, without copying
  [[nodiscard]] bool can_splice() const;
  [[nodiscard]] bool may_splice_up() const;
  [[nodiscard]] bool may_splice_down() const;
  void on_downstream_readable(Station& station);
  void on_upstream_writable(Station& station);
  void splice_up(Station& station);
  void on_upstream_readable(Station& station);
  void on_downstream_writable(Station& station);
  void splice_down(Station& station);
  void discard_pipes(Station& station);

  // tunnel.cpp: after a 101
  [[nodiscard]] bool has_room_for_tunnel(Station& station) const;
  void refuse_tunnel(Station& station);
  [[nodiscard]] bool is_agreement() const;
  void start_tunnel(Station& station);
  void note_tunnel_progress(Station& station);
  void receive_from_client(Station& station);
  void relay_up(Station& station, uint32_t size);
  void on_relayed_up(Station& station, SendProgress progress);
  void on_client_end(Station& station);
  void relay_down(Station& station, uint32_t size);
  void on_endpoint_end(Station& station);
  void finish_tunnel_if_done(Station& station);

  // end.cpp: answers of our own, what goes wrong, and the end
  void reply(Station& station, const LocalReply& local);
  void reply_error(Station& station, uint16_t status, Reason reason,
                   http::Persistence persistence = http::Persistence::keep_alive);
  void reply_busy(Station& station, Reason reason);  // 503, and to be asked again soon
  void after_answer(Station& station);
  void begin_discarding(Station& station);
  void receive_to_discard(Station& station);
  void discard(Station& station, uint32_t size);
  void on_downstream_end(Station& station);     // its FIN, where more was expected
  void on_downstream_closed(Station& station);  // the client is gone, or its connection broke
  void on_downstream_hangup(Station& station);  // one of them, while nothing was read
  void on_downstream_timeout(Station& station);
  void abort(Station& station, Reason reason);
  void finish(Station& station, Afterwards afterwards);
  void end_if_quiet(Station& station);
  void write_record(Station& station);

  [[nodiscard]] ClientStream& stream() { return context_.stream; }
  [[nodiscard]] const ClientStream& stream() const { return context_.stream; }
  [[nodiscard]] Record& record() { return context_.record; }
  [[nodiscard]] const config::Config& config() const { return context_.config(); }
  [[nodiscard]] const config::Route& route() const { return context_.route(); }

  State state_ = State::deciding;
  RequestSide request_side_ = RequestSide::waiting;
  ResponseSide response_side_ = ResponseSide::waiting;
  Afterwards afterwards_ = Afterwards::close;
  bool is_answered_ = false;
  RequestContext context_;  // with the stream of the client, and the record
  Http1Request call_;       // to the endpoint
  Admission admission_;
  Attempt attempt_;
  Errand errand_;
  BodyPace pace_;
  Splice up_;
  Splice down_;
  std::string_view protocol_;          // that the endpoint is asked to switch to
  std::optional<uint32_t> hops_left_;  // Max-Forwards of what is forwarded
  uint64_t discarded_ = 0;
  ClientWaiter client_wait_;
  core::Duration body_patience_{};    // of the plan's timeouts, what is needed after that
  core::Duration tunnel_patience_{};  // the same
  core::Timer timer_;
  core::Instant phase_deadline_{};
  core::Instant deadline_ = core::Instant::max();
};

[[nodiscard]] std::string_view to_string(Exchange::State state);

}  // namespace sluice::proxy
