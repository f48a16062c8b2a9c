// One request and its response: from the first byte of the head to the line in the log. It pairs a
// DownstreamConnection with an UpstreamConnection and owns what both need: the buffers, the parsed
// heads, the deadlines, the retry.
//
// State says what the exchange as a whole waits for. While it relays, the request and the response
// go their own ways; RequestSide and ResponseSide say how far each is. Every exchange ends in one
// place, finish(), after which it waits (in `ending`) until nothing in the kernel, in a mailbox or
// in the offload pool refers to it, and is then logged and freed.
//
// Owned by its worker's slab, run by that worker's thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "auth/authenticator.h"
#include "config/config.h"
#include "core/buffer_pool.h"
#include "core/intrusive_list.h"
#include "http/head_scanner.h"
#include "http/parser.h"
#include "http/serializer.h"
#include "proxy/client_waiter.h"
#include "proxy/core_generation.h"
#include "proxy/downstream_connection.h"
#include "proxy/labels.h"
#include "proxy/local_reply.h"
#include "proxy/message.h"
#include "proxy/outbox.h"
#include "proxy/proxy_header.h"
#include "proxy/reason.h"
#include "proxy/splice.h"
#include "proxy/upstream/core_upstream.h"
#include "proxy/upstream/upstream_connection.h"

namespace sluice::proxy {

// A client that was waited for this long in all must have sent at least 128 bytes a second.
inline constexpr core::Duration body_window = std::chrono::seconds{60};
inline constexpr uint64_t body_bytes_per_window_min = 60 * 128;

class Exchange : public core::ListNode<EndedTag> {
 public:
  enum class State : uint8_t {
    admitting,           // its head is whole, and judged at once
    checking_signature,  // another thread does
    waiting_keys,        // no key has the token's kid: those who bring keys are asked
    asking_limit,        // the core that owns the key is asked
    holding,             // shaped: waits for its turn
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
  void on_cut(Station& station);  // the drain's deadline has come
  // The one of `waiting` that has waited longest for its client goes, if that client has more than
  // this one's.
  static void shed_stalled(Station& station,
                           core::IntrusiveList<ClientWaiter, ClientWaitTag>& waiting,
                           const Exchange& for_this);

  [[nodiscard]] State state() const { return state_; }

 private:
  using Afterwards = DownstreamConnection::Afterwards;
  // Whether what went wrong allows another try.
  enum class TryAgain : uint8_t { never, if_allowed };

  // exchange_events.cpp: what is heard from both sides, and who has waited for too long
  void on_downstream_bytes(Station& station, uint32_t size);
  void on_downstream_sent(Station& station);
  void on_downstream_readable(Station& station);
  void on_downstream_writable(Station& station);
  void on_downstream_end(Station& station);
  void on_downstream_closed(Station& station);
  void on_downstream_hangup(Station& station);
  void on_downstream_timeout(Station& station);
  void on_connection(Station& station);
  void on_connect_failed(Station& station, core::Error error);
  void on_upstream_progress(Station& station);  // some of it was taken, more is under way
  void on_upstream_sent(Station& station, SendProgress progress);
  void on_upstream_bytes(Station& station, core::Buffer buffer, uint32_t size);
  void on_upstream_readable(Station& station);
  void on_upstream_writable(Station& station);
  void on_upstream_closed(Station& station, core::Error error);  // Error::none: by FIN
  void begin_waiting_for_client(Station& station);
  void stop_waiting_for_client() {
    if (client_wait_.is_linked())
      core::IntrusiveList<ClientWaiter, ClientWaitTag>::remove(client_wait_);
  }
  void make_room(Station& station) const;
  void shed(Station& station);  // it only waits for its client, and others need its place
  void receive_downstream(Station& station, std::span<std::byte> into, core::Duration timeout);

  // exchange_admission.cpp: from the head to the decision where it goes
  void set_up(Station& station, core::Token timer, DownstreamConnection& downstream,
              const Arrival& arrival);
  void on_head(Station& station, uint32_t begin, uint32_t end);
  void admit(Station& station);
  struct RouteChoice {
    config::Found found;
    http::Rule rule = http::Rule::none;
  };
  [[nodiscard]] RouteChoice choose_route(http::Method method) const;
  void settle_path();
  void refuse_method(Station& station, uint16_t allowed);
  void proceed(Station& station);
  void serve_demo_work(Station& station);
  void submit_job(Station& station, Job job, uint32_t milliseconds);

  // exchange_auth.cpp: who calls, and what the endpoint is told of it
  void check_token(Station& station);
  enum class KeyHope : uint8_t { new_ones_may_come, none };
  void verify_token(Station& station, KeyHope hope);
  void check_signature_elsewhere(Station& station);
  void on_signature_checked(Station& station);
  void apply_token(Station& station);
  void refuse_token(Station& station, auth::Refusal refusal, core::Duration retry_after = {});
  [[nodiscard]] auth::Acceptance acceptance() const;
  void drop_identity();
  void drop_protocol_token();
  [[nodiscard]] size_t add_identity(std::span<http::AddedField> memory) const;

  // exchange_limits.cpp: what the limits say, and what they get back
  void check_limits(Station& station, config::LimitStage stage);
  [[nodiscard]] bool claim(Station& station, uint16_t limit);
  void ask_limits(Station& station);
  [[nodiscard]] bool visit_owners(Station& station);
  void apply_limits(Station& station);
  void refuse_by_limit(Station& station, const limiter::Verdict& verdict);
  void hold_or_proceed(Station& station);
  void give_up_hold_place(Station& station);
  // What the parts name, as one hash; nothing if the request lacks one of them.
  struct Key {
    limiter::Claim claim;
    uint32_t owner = 0;
  };
  [[nodiscard]] std::optional<Key> key_of(Station& station, std::span<const config::KeyPart> parts,
                                          uint64_t id) const;

  // exchange_upstream.cpp: which endpoint, and another one where that does no harm
  void go_upstream(Station& station);
  void choose_upstream(Station& station);
  void acquire_connection(Station& station, Freshness freshness);
  void refuse_upstream(Station& station, CoreUpstream::Acquired outcome);
  void fail_try(Station& station, uint16_t status, Reason reason, TryAgain again);
  void judge_endpoint(Station& station, Outcome outcome);
  void on_upstream_silent(Station& station);
  void drop_upstream(Station& station);
  [[nodiscard]] bool take_place(Station& station);
  // Whether it does no harm to send it again: idempotent, and all of it is still here.
  [[nodiscard]] bool may_be_replayed() const;
  void attach(UpstreamConnection& connection);
  void detach();
  void give_up_place();
  void note_answered(Station& station);
  void release_generation();
  void note_underscored(Station& station, uint32_t count);

  // exchange_request.cpp: the request's way up
  void build_first_flight(Station& station);
  void start_flight(Station& station);
  [[nodiscard]] std::string_view request_trailers();
  void ask_for_body(Station& station);
  void receive_request(Station& station);
  [[nodiscard]] bool is_body_too_slow(Station& station, uint64_t bytes);
  void relay_request_body(Station& station, uint32_t size);
  void send_upstream(Station& station);

  // exchange_response.cpp: the response's way down
  void read_response_head(Station& station);
  void fail_as_malformed(Station& station);
  [[nodiscard]] bool lacks_date() const;
  void note_repairs(Station& station);
  void on_informational(Station& station, uint32_t end);
  void start_response(Station& station, uint32_t head_end);
  void relay_response_body(Station& station, uint32_t size);
  void end_response_at_close(Station& station);
  void add_response_payload(Outbox& outbox, std::byte* payload, size_t size, bool complete);
  void send_downstream(Station& station);
  void receive_response(Station& station);
  void finish_response(Station& station);

  // exchange_splice.cpp: large bodies and busy tunnels, without copying
  [[nodiscard]] bool can_splice() const;
  [[nodiscard]] bool may_splice_up() const;
  [[nodiscard]] bool may_splice_down() const;
  void splice_up(Station& station);
  void splice_down(Station& station);
  void discard_pipes(Station& station);

  // exchange_tunnel.cpp: after a 101
  [[nodiscard]] std::string_view choose_protocol() const;
  [[nodiscard]] bool has_room_for_tunnel(Station& station) const;
  void refuse_tunnel(Station& station);
  [[nodiscard]] bool is_agreement() const;
  void start_tunnel(Station& station, uint32_t head_end);
  void note_tunnel_progress(Station& station);
  void receive_from_client(Station& station);
  void relay_up(Station& station, uint32_t size);
  void on_relayed_up(Station& station, SendProgress progress);
  void on_client_end(Station& station);
  void relay_down(Station& station, uint32_t size);
  void on_endpoint_end(Station& station);
  void finish_tunnel_if_done(Station& station);

  // exchange_route.cpp: what a route says about messages, and answers itself
  [[nodiscard]] bool admits_address() const;
  [[nodiscard]] bool answer_preflight(Station& station);
  void redirect(Station& station);
  [[nodiscard]] static bool edits(const config::HeaderEdits& edits, std::string_view name);
  static void drop_edited(http::Fields& fields, const config::HeaderEdits& edits);
  void edit_response();
  [[nodiscard]] std::string_view rewritten_target(std::span<char> memory) const;
  [[nodiscard]] std::string_view host_for_endpoint() const;
  // exchange_additions.cpp: what is added on the way
  [[nodiscard]] static size_t without_edited(std::span<http::AddedField> added,
                                             const config::HeaderEdits& of_route);
  [[nodiscard]] std::string_view mapped_location(std::span<char> memory);
  [[nodiscard]] bool count_hop(Station& station);
  [[nodiscard]] std::span<const http::AddedField> added_upstream(
      std::span<http::AddedField> memory) const;
  [[nodiscard]] std::span<const http::AddedField> added_downstream(
      std::span<http::AddedField> memory, std::string_view location) const;
  [[nodiscard]] std::span<const http::AddedField> added_to_reply(std::span<http::AddedField> memory,
                                                                 const LocalReply& answer) const;
  [[nodiscard]] size_t add_cors(std::span<http::AddedField> memory) const;

  // exchange_end.cpp: answers of our own, and the end
  void reply(Station& station, const LocalReply& local);
  [[nodiscard]] http::Method answered_method() const;
  void reply_error(Station& station, uint16_t status, Reason reason,
                   http::Persistence persistence = http::Persistence::keep_alive);
  void after_answer(Station& station);
  void discard(Station& station, uint32_t size);
  void abort(Station& station, Reason reason);
  void finish(Station& station, Afterwards afterwards);
  void end_if_quiet(Station& station);
  void record(Station& station);

  [[nodiscard]] std::span<std::byte> request_area() const { return request_buffer_.receive_area(); }
  [[nodiscard]] std::string_view request_id() const {
    return taken_id_.empty() ? std::string_view{made_id_.data(), made_id_.size()} : taken_id_;
  }
  [[nodiscard]] bool response_begun() const { return response_status_ != 0; }
  [[nodiscard]] const config::Config& config() const { return generation_->config(); }
  [[nodiscard]] const config::Route& route() const { return config().routes[route_]; }
  [[nodiscard]] const config::UpstreamTimeouts& patience() const {
    return plan_->config().timeouts;
  }
  void arm(Station& station, core::Duration phase);
  void note_request_received(Station& station);

  State state_ = State::admitting;
  RequestSide request_side_ = RequestSide::waiting;
  ResponseSide response_side_ = ResponseSide::waiting;
  Afterwards afterwards_ = Afterwards::close;
  DownstreamConnection* downstream_ = nullptr;
  UpstreamConnection* upstream_ = nullptr;
  Share* share_ = nullptr;                // of the client's address
  CoreUpstream* place_ = nullptr;         // until the answer is out
  CoreGeneration* generation_ = nullptr;  // until the answer has begun
  UpstreamPlan* plan_ = nullptr;          // as well
  ConnectionRequest wish_;                // for a connection
  KeyWaiter key_wait_;
  ClientWaiter client_wait_;
  core::Duration body_patience_{};    // of the plan's timeouts, what is needed after that
  core::Duration tunnel_patience_{};  // as well
  core::Timer timer_;
  core::Instant phase_deadline_{};
  core::Instant deadline_ = core::Instant::max();

  // The request. Its buffer holds: [head][body bytes, or what follows the request][free]; the send
  // area the first flight.
  core::Buffer request_buffer_;
  uint32_t received_ = 0;  // end of what has come
  uint32_t head_end_ = 0;
  uint32_t payload_size_ = 0;  // body bytes that came with the head, at head_end_
  uint32_t follow_begin_ = 0;  // once the request is complete: where the next one begins
  std::span<const std::byte>
      first_flight_;  // head and body as sent, if all of it is in the send area
  http::Parser request_parser_;
  http::RequestHead request_;
  std::string_view protocol_;  // that the endpoint is asked to switch to
  Outbox to_upstream_;
  Splice up_;

  // The response.
  core::Buffer response_buffer_;
  uint32_t response_received_ = 0;
  uint8_t informational_ = 0;
  uint32_t repairs_noted_ = 0;
  bool upstream_reusable_ = false;
  http::Framing response_framing_ = http::Framing::none;  // towards the client
  http::Persistence persistence_ = http::Persistence::keep_alive;
  http::HeadScanner response_scanner_;
  http::Parser response_parser_;
  http::ResponseHead response_;
  Outbox to_downstream_;
  Splice down_;

  // The limits.
  LimitCheck limits_;
  config::LimitStage limit_stage_ = config::LimitStage::before_auth;
  limiter::Holding hold_place_ =
      limiter::Holding::full;    // allowed: one of the worker's places is ours
  Share* held_share_ = nullptr;  // as well: of the limit's key
  core::Instant release_at_{};   // shaped: not before

  // Across threads.
  ExchangeMessage message_;
  bool message_is_out_ = false;
  bool is_answered_ = false;
  Report* report_ = nullptr;
  // What the log says.
  uint16_t route_ = config::no_route;          // index into Config::routes
  uint16_t route_label_ = NameTable::none;     // in Labels::routes
  uint16_t endpoint_label_ = NameTable::none;  // in Labels::endpoints
  uint64_t body_max_ = 0;                      // bytes of the request's body; 0: no bound
  core::Instant received_at_{};                // all of the request
  Reason reason_;
  uint16_t response_status_ = 0;
  uint8_t retries_ = 0;
  uint8_t refusals_ = 0;        // of those, by endpoints that got no byte
  uint16_t failed_status_ = 0;  // of the last try that failed
  Reason failed_reason_;        // as well
  auth::Attempt attempt_;
  uint16_t would_refuse_ = limiter::no_limit;  // a limit in dry run, in Labels::limits
  core::SocketAddress client_;
  std::array<char, 32> made_id_;
  std::string_view taken_id_;  // of a trusted peer, in its place
  http::Trust trust_ = http::Trust::none;
  std::optional<uint32_t> hops_left_;  // Max-Forwards of what is forwarded
  uint64_t body_bytes_ = 0;
  uint64_t sent_before_ = 0;
  uint64_t bytes_out_ = 0;
  uint64_t discarded_ = 0;
  core::Duration
      body_wait_{};  // time spent waiting for the client's body, and what it brought meanwhile
  uint64_t body_wait_bytes_ = 0;
  core::Instant body_asked_at_{};
  core::Instant started_at_{}, head_at_{}, admitted_at_{}, connected_at_{}, sent_at_{},
      response_at_{};

  std::array<std::byte, proxy_header_out_bytes_max> proxy_header_;
  std::array<std::byte, local_reply_bytes_max> reply_;
};

[[nodiscard]] std::string_view to_string(Exchange::State state);

}  // namespace sluice::proxy
