// A client's connection: its channel, who is at the other end, and where it is between two
// requests. What is said on it is the Exchange's business; one runs at a time.
//
// Owned by its worker's slab, run by that worker's thread. What its exchange should hear is
// returned as a DownstreamEvent. Closing has one path: begin_close() shuts the channel down; when
// nothing is in flight any more it is settled, and the worker calls finish_close() at the end of
// that batch.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "config/config.h"
#include "core/address.h"
#include "core/buffer_pool.h"
#include "core/intrusive_list.h"
#include "core/timer_wheel.h"
#include "http/head_scanner.h"
#include "proxy/channel.h"
#include "proxy/reason.h"
#include "proxy/share_table.h"

namespace sluice::http::h2 {
class Stream;
}

namespace sluice::proxy {

class Http2Connection;

// What a connection hands over with a head: the buffer that it came in, and where it is.
struct Arrival {
  core::Buffer buffer;
  uint32_t size = 0;      // bytes in it
  core::Instant since{};  // the first one came
  http::HeadScanner::Outcome head{};
  http::h2::Stream* stream = nullptr;  // of HTTP/2: the head is there
};

struct DownstreamEvent {
  enum class Kind : uint8_t {
    none,
    head,     // one is whole, or broken: an exchange shall take the arrival
    no_head,  // it will never be whole, because of `why`: for the answer
    // What follows is for the exchange that runs.
    bytes,  // `size` of them, where receive() was to put them
    sent,
    sending,  // some of it has been sent, more is under way
    readable,
    writable,
    end,      // the client's FIN, where more was expected
    closed,   // the client is gone, or its connection broke
    hangup,   // one of them, while nothing was read
    timeout,  // of what was waited for
    gone,     // of HTTP/2: nothing refers to its stream any more
    streams,  // for those of HTTP/2, not for one exchange
  };
  Kind kind = Kind::none;
  Failure why = Failure::none;
  uint32_t size = 0;
  http::HeadScanner::Outcome head{};
};

class DownstreamConnection : public core::ListNode<IdleTag>, public core::ListNode<ReadyTag> {
 public:
  enum class State : uint8_t {
    awaiting_proxy_header,  // before everything: a PROXY protocol header says whose it is
    securing,               // a TLS handshake is under way
    idle,                   // between requests: a receive is armed, no buffer is held
    gathering,              // a head comes in, and is not whole: it holds a buffer, and no more
    ready,                  // bytes of the next request are here, and wait for their turn
    exchanging,             // an Exchange runs
    multiplexing,           // HTTP/2: any number of them do
    lingering,  // all is said; what the client still sends is thrown away until it closes
    closing,    // shut down, waiting for what is in flight
  };
  using Ending = Channel::Ending;
  // What the end of an exchange means for the connection.
  enum class Afterwards : uint8_t { keep_alive, linger, close };

  // `timer` is the token of its timer, `share` what its address has of the worker's room; nullptr
  // if that is not counted.
  struct Origin {
    int socket = -1;
    const config::ListenerConfig* listener = nullptr;  // read in the call only
    core::SocketAddress address;
    Share* share = nullptr;
  };
  void open(Station& station, core::Token timer, const Origin& origin);

  // --- for the exchange ----------------------------------------------------------------------
  // With the event head or no_head.
  [[nodiscard]] Arrival begin_exchange(Exchange& exchange, const DownstreamEvent& event);
  [[nodiscard]] Channel& channel() { return channel_; }
  [[nodiscard]] const Channel& channel() const { return channel_; }
  // What is waited for comes in this time, or there is an event.
  void expect_within(Station& station, core::Duration timeout);
  [[nodiscard]] SendProgress send(Station& station, Outbox& outbox);
  void wait_writable(Station& station);
  // The exchange is over; `buffer` holds `size` bytes of what follows, or nothing.
  void next(Station& station, core::Buffer buffer, uint32_t size);
  // The same; a receive into `buffer` may still be armed, which is asked to end.
  void begin_linger(Station& station, core::Buffer buffer);
  void begin_close(Station& station, Ending ending = Ending::fin);

  [[nodiscard]] core::Instant idle_since() const { return since_; }
  [[nodiscard]] Share* share() const { return share_; }
  [[nodiscard]] const core::SocketAddress& address() const { return address_; }
  [[nodiscard]] uint32_t requests() const { return requests_; }
  // What the configuration at work says of where it came in; nullptr: nothing any more.
  [[nodiscard]] const config::ListenerConfig* listener(const config::Config& config) const;
  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] Exchange* exchange() const { return exchange_; }
  // nullptr: it does not speak HTTP/2.
  [[nodiscard]] Http2Connection* http2() const { return http2_; }

  // --- of HTTP/2 -----------------------------------------------------------------------------
  [[nodiscard]] Arrival begin_stream(core::Buffer buffer, http::h2::Stream& stream,
                                     core::Instant now);
  // After its streams were served: whether there are any.
  void note_streams(Station& station);

  // --- events, from the worker ---------------------------------------------------------------
  [[nodiscard]] DownstreamEvent on_completion(Station& station, Channel::Op op,
                                              const core::Completion& completion);
  [[nodiscard]] DownstreamEvent on_turn(Station& station);  // of its channel
  [[nodiscard]] DownstreamEvent on_timer(Station& station);
  [[nodiscard]] DownstreamEvent on_ready(Station& station);  // its turn has come
  // Others need the buffer of its half head more.
  [[nodiscard]] DownstreamEvent shed_head(Station& station);
  void on_drain(Station& station);
  [[nodiscard]] DownstreamEvent on_cut(Station& station);  // the drain's deadline has come
  // The slot may be given back afterwards.
  void finish_close(Station& station);

 private:
  [[nodiscard]] DownstreamEvent on_channel(Station& station, const ChannelEvent& event);
  void begin_talking(Station& station, std::span<const std::byte> ahead);
  void leave_securing();
  void fail_securing(Station& station, tls::Failure failure);
  [[nodiscard]] DownstreamEvent on_bytes(Station& station, const ChannelEvent& event);
  [[nodiscard]] DownstreamEvent on_no_bytes(Station& station, const ChannelEvent& event);
  void on_proxy_header_bytes(Station& station, core::Buffer buffer, uint32_t size);
  void refuse_proxy_header(Station& station);
  [[nodiscard]] bool speaks_http2() const;
  [[nodiscard]] DownstreamEvent begin_http2(Station& station);
  [[nodiscard]] DownstreamEvent on_multiplexed(Station& station, const ChannelEvent& event);
  void become_idle(Station& station);
  void leave_idle(Station& station);
  [[nodiscard]] DownstreamEvent begin_head(Station& station);
  [[nodiscard]] DownstreamEvent read_head(Station& station);
  void gather(Station& station);
  void leave_gathering(Station& station);
  [[nodiscard]] DownstreamEvent refuse_head(Station& station, Failure why);
  void on_linger_bytes(Station& station, core::Buffer buffer);

  Channel channel_;
  State state_ = State::idle;
  config::Http2 may_speak_http2_ = config::Http2::off;
  uint32_t requests_ = 0;
  uint32_t waiting_size_ = 0;         // bytes in waiting_
  uint32_t listener_ = 0;             // ListenerConfig::id
  Http2Connection* http2_ = nullptr;  // multiplexing, and closing until it has settled
  Exchange* exchange_ = nullptr;      // exchanging, and closing until the exchange has let go
  Share* share_ = nullptr;            // of the address; nullptr: it is not counted
  // gathering, ready; awaiting_proxy_header, once bytes came; lingering, until the receive into it
  // has ended.
  core::Buffer waiting_;
  http::HeadScanner scanner_;  // gathering
  core::Timer timer_;
  core::Instant since_{};  // idle, lingering: when that began; gathering, ready: the first byte
  core::SocketAddress address_;
};

[[nodiscard]] std::string_view to_string(DownstreamConnection::State state);

// What an idle client costs us in memory of our own.
static_assert(sizeof(DownstreamConnection) <= 264);

}  // namespace sluice::proxy
