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

namespace sluice::proxy {

// A client that was waited for this long in all must have sent at least 128 bytes a second.
inline constexpr core::Duration body_window = std::chrono::seconds{60};
inline constexpr uint64_t body_bytes_per_window_min = 60 * 128;

struct KeyWaitTag;
struct ClientWaitTag;

// What a connection hands over with a head: the buffer that it came in, and where it is.
struct Arrival {
  core::Buffer buffer;
  uint32_t size = 0;      // bytes in it
  core::Instant since{};  // the first one came
  http::HeadScanner::Outcome head{};
};

class Exchange : public core::ListNode<WaitingTag>,
                 public core::ListNode<KeyWaitTag>,
                 public core::ListNode<ClientWaitTag> {
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

  // The head is whole, or broken.
  void begin(Worker& worker, DownstreamConnection& downstream, const Arrival& arrival);
  // It will never be whole: 408, or no answer where nobody would hear it.
  void refuse_head(Worker& worker, DownstreamConnection& downstream, const Arrival& arrival,
                   Failure why);

  // --- events --------------------------------------------------------------------------------
  void on_downstream_bytes(Worker& worker, uint32_t size);
  void on_downstream_sent(Worker& worker);
  void on_downstream_readable(Worker& worker);
  void on_downstream_writable(Worker& worker);
  void on_downstream_end(Worker& worker);     // its FIN, where more was expected
  void on_downstream_closed(Worker& worker);  // the client is gone, or its connection broke
  void on_downstream_hangup(Worker& worker);  // one of them, while nothing was read
  void on_downstream_timeout(Worker& worker);
  void on_downstream_gone(Worker& worker);  // nothing of its connection refers to us any more
  void on_limit_answer(Worker& worker);
  void on_job_done(Worker& worker);
  void on_keys(Worker& worker);  // there are new ones, or there are none
  void on_pool_ready(Worker& worker);
  void on_connection(Worker& worker);
  void on_connect_failed(Worker& worker, core::Error error);
  void on_upstream_progress(Worker& worker);  // some of it was taken, more is under way
  void on_upstream_sent(Worker& worker, SendProgress progress);
  void on_upstream_bytes(Worker& worker, core::Buffer buffer, uint32_t size);
  void on_upstream_readable(Worker& worker);
  void on_upstream_writable(Worker& worker);
  void on_upstream_closed(Worker& worker, core::Error error);  // Error::none: by FIN
  void on_upstream_gone(Worker& worker);
  void on_timer(Worker& worker);
  void on_cut(Worker& worker);  // the drain's deadline has come
  void shed(Worker& worker);    // it only waits for its client, and others need its place

  // --- waiting for the client ----------------------------------------------------------------
  void stop_waiting_for_client() {
    if (core::ListNode<ClientWaitTag>::is_linked())
      core::IntrusiveList<Exchange, ClientWaitTag>::remove(*this);
  }
  void note_waiting_since(core::Instant now) { client_wait_since_ = now; }
  [[nodiscard]] core::Instant waiting_since() const { return client_wait_since_; }
  // What its client's address has of the worker's room; nullptr if that is not counted.
  [[nodiscard]] Share* share() const { return share_; }
  // The upstream that it has a place of, or nullptr; and what that may have.
  [[nodiscard]] CoreUpstream* place() const { return place_; }
  [[nodiscard]] const Room& room() const { return plan_->room(); }

  // --- for its upstream ----------------------------------------------------------------------
  void attach(UpstreamConnection& connection);
  // Whether it does no harm to send it again: idempotent, and all of it is still here.
  [[nodiscard]] bool may_be_replayed() const;
  // What it is balanced by, where that is a key.
  [[nodiscard]] uint64_t balance_key() const { return balance_key_; }
  // The endpoint of the last try, or nullptr.
  [[nodiscard]] const CoreEndpoint* tried() const { return tried_; }
  [[nodiscard]] State state() const { return state_; }

 private:
  using Afterwards = DownstreamConnection::Afterwards;
  // Whether what went wrong allows another try.
  enum class TryAgain : uint8_t { never, if_allowed };

  // exchange_admission.cpp: from the head to the decision where it goes
  void set_up(Worker& worker, DownstreamConnection& downstream, const Arrival& arrival);
  void on_head(Worker& worker, uint32_t begin, uint32_t end);
  void admit(Worker& worker);
  struct RouteChoice {
    config::Found found;
    http::Rule rule = http::Rule::none;
  };
  [[nodiscard]] RouteChoice choose_route(http::Method method) const;
  void settle_path();
  void refuse_method(Worker& worker, uint16_t allowed);
  void proceed(Worker& worker);
  void serve_demo_work(Worker& worker);
  void submit_job(Worker& worker, Job job, uint32_t milliseconds);

  // exchange_auth.cpp: who calls, and what the endpoint is told of it
  void check_token(Worker& worker);
  enum class KeyHope : uint8_t { new_ones_may_come, none };
  void verify_token(Worker& worker, KeyHope hope);
  void check_signature_elsewhere(Worker& worker);
  void on_signature_checked(Worker& worker);
  void apply_token(Worker& worker);
  void refuse_token(Worker& worker, auth::Refusal refusal, core::Duration retry_after = {});
  [[nodiscard]] auth::Acceptance acceptance() const;
  void drop_identity();
  void drop_protocol_token();
  [[nodiscard]] size_t add_identity(std::span<http::AddedField> memory) const;

  // exchange_limits.cpp: what the limits say, and what they get back
  void check_limits(Worker& worker, config::LimitStage stage);
  [[nodiscard]] bool claim(Worker& worker, uint16_t limit);
  void ask_limits(Worker& worker);
  [[nodiscard]] bool visit_owners(Worker& worker);
  void apply_limits(Worker& worker);
  void refuse_by_limit(Worker& worker, const limiter::Verdict& verdict);
  void hold_or_proceed(Worker& worker);
  void give_up_hold_place(Worker& worker);
  // What the parts name, as one hash; nothing if the request lacks one of them.
  struct Key {
    limiter::Claim claim;
    uint32_t owner = 0;
  };
  [[nodiscard]] std::optional<Key> key_of(Worker& worker, std::span<const config::KeyPart> parts,
                                          uint64_t id) const;
  // exchange_upstream.cpp: which endpoint, and another one where that does no harm
  void go_upstream(Worker& worker);
  void choose_upstream(Worker& worker);
  void acquire_connection(Worker& worker, Freshness freshness);
  void refuse_upstream(Worker& worker, CoreUpstream::Acquired outcome);
  void fail_try(Worker& worker, uint16_t status, Reason reason, TryAgain again);
  void judge_endpoint(Worker& worker, Outcome outcome);
  void on_upstream_silent(Worker& worker);
  void drop_upstream(Worker& worker);
  void detach();
  void give_up_place();
  void note_answered(Worker& worker);
  void release_generation();
  void note_underscored(Worker& worker, uint32_t count);

  // exchange_request.cpp: the request's way up
  void build_first_flight(Worker& worker);
  void start_flight(Worker& worker);
  [[nodiscard]] std::string_view request_trailers();
  void ask_for_body(Worker& worker);
  void receive_request(Worker& worker);
  [[nodiscard]] bool is_body_too_slow(Worker& worker, uint64_t bytes);
  void relay_request_body(Worker& worker, uint32_t size);
  void send_upstream(Worker& worker);

  // exchange_response.cpp: the response's way down
  void read_response_head(Worker& worker);
  void fail_as_malformed(Worker& worker);
  [[nodiscard]] bool lacks_date() const;
  void note_repairs(Worker& worker);
  void on_informational(Worker& worker, uint32_t end);
  void start_response(Worker& worker, uint32_t head_end);
  void relay_response_body(Worker& worker, uint32_t size);
  void end_response_at_close(Worker& worker);
  void add_response_payload(Outbox& outbox, std::byte* payload, size_t size, bool complete);
  void send_downstream(Worker& worker);
  void receive_response(Worker& worker);
  void finish_response(Worker& worker);

  // exchange_splice.cpp: large bodies and busy tunnels, without copying
  [[nodiscard]] bool may_splice_up() const;
  [[nodiscard]] bool may_splice_down() const;
  void splice_up(Worker& worker);
  void splice_down(Worker& worker);
  void discard_pipes(Worker& worker);

  // exchange_tunnel.cpp: after a 101
  [[nodiscard]] std::string_view choose_protocol() const;
  [[nodiscard]] bool has_room_for_tunnel(Worker& worker) const;
  void refuse_tunnel(Worker& worker);
  [[nodiscard]] bool is_agreement() const;
  void start_tunnel(Worker& worker, uint32_t head_end);
  void note_tunnel_progress(Worker& worker);
  void receive_from_client(Worker& worker);
  void relay_up(Worker& worker, uint32_t size);
  void on_relayed_up(Worker& worker, SendProgress progress);
  void on_client_end(Worker& worker);
  void relay_down(Worker& worker, uint32_t size);
  void on_endpoint_end(Worker& worker);
  void finish_tunnel_if_done(Worker& worker);

  // exchange_route.cpp: what a route says about messages, and answers itself
  [[nodiscard]] bool admits_address() const;
  [[nodiscard]] bool answer_preflight(Worker& worker);
  void redirect(Worker& worker);
  [[nodiscard]] static bool edits(const config::HeaderEdits& edits, std::string_view name);
  static void drop_edited(http::Fields& fields, const config::HeaderEdits& edits);
  void edit_response();
  [[nodiscard]] std::string_view rewritten_target(std::span<char> memory) const;
  [[nodiscard]] std::string_view host_for_endpoint() const;
  // exchange_additions.cpp: what is added on the way
  [[nodiscard]] static size_t without_edited(std::span<http::AddedField> added,
                                             const config::HeaderEdits& of_route);
  [[nodiscard]] std::string_view mapped_location(std::span<char> memory);
  [[nodiscard]] bool count_hop(Worker& worker);
  [[nodiscard]] std::span<const http::AddedField> added_upstream(
      std::span<http::AddedField> memory) const;
  [[nodiscard]] std::span<const http::AddedField> added_downstream(
      std::span<http::AddedField> memory, std::string_view location) const;
  [[nodiscard]] std::span<const http::AddedField> added_to_reply(std::span<http::AddedField> memory,
                                                                 const LocalReply& answer) const;
  [[nodiscard]] size_t add_cors(std::span<http::AddedField> memory) const;

  // exchange_end.cpp: answers of our own, and the end
  void reply(Worker& worker, const LocalReply& local);
  [[nodiscard]] http::Method answered_method() const;
  void reply_error(Worker& worker, uint16_t status, Reason reason,
                   http::Persistence persistence = http::Persistence::keep_alive);
  void after_answer(Worker& worker);
  void discard(Worker& worker, uint32_t size);
  void abort(Worker& worker, Reason reason);
  void finish(Worker& worker, Afterwards afterwards);
  void end_if_quiet(Worker& worker);
  void record(Worker& worker);

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
  void arm(Worker& worker, core::Duration phase);
  void note_request_received(Worker& worker);

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
  const CoreEndpoint* tried_ = nullptr;
  uint64_t balance_key_ = 0;
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
  core::Instant client_wait_since_{};
  core::Instant started_at_{}, head_at_{}, admitted_at_{}, connected_at_{}, sent_at_{},
      response_at_{};

  std::array<std::byte, proxy_header_out_bytes_max> proxy_header_;
  std::array<std::byte, local_reply_bytes_max> reply_;
};

[[nodiscard]] std::string_view to_string(Exchange::State state);

}  // namespace sluice::proxy
