// What every kernel must do, run over the real one and the simulated one.
#include "tests/contract/contract.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>

#include "core/buffer_pool.h"

namespace sluice::contract {
namespace {

using core::Completion;
using core::Error;
using core::Readiness;
using core::Token;

class Contract : public ::testing::Test {
 protected:
  std::unique_ptr<Rig> rig = make_rig();
  core::Kernel& kernel = rig->kernel();
  std::array<std::byte, 4096> memory{};

  // A connection: our descriptor, and the other end.
  std::pair<int, std::unique_ptr<Far>> pair() {
    auto far = rig->connect();
    kernel.accept(Token{9, 0, 0}, rig->listener(), core::AcceptMode::once);
    const auto completions = rig->wait(1);
    EXPECT_EQ(completions.size(), 1U);
    EXPECT_EQ(completions[0].error, Error::none);
    return {completions[0].result, std::move(far)};
  }
  Completion only() {
    const auto completions = rig->wait(1);
    EXPECT_EQ(completions.size(), 1U);
    return completions.empty() ? Completion{} : completions[0];
  }
  std::string_view text(size_t size) {
    return {reinterpret_cast<const char*>(memory.data()), size};
  }
};

TEST_F(Contract, multishot_accept_gives_one_completion_a_connection_and_ends_when_cancelled) {
  kernel.accept(Token{1, 2, 3}, rig->listener(), core::AcceptMode::multishot);
  auto one = rig->connect();
  auto two = rig->connect();
  const auto accepted = rig->wait(2);
  ASSERT_EQ(accepted.size(), 2U);
  for (const auto& completion : accepted) {
    EXPECT_EQ(completion.token, (Token{1, 2, 3}));
    EXPECT_TRUE(completion.more);
    kernel.close(completion.result);
  }
  kernel.cancel(Token{1, 2, 3});
  const Completion last = only();
  EXPECT_EQ(last.error, Error::cancelled);
  EXPECT_FALSE(last.more);
}

TEST_F(Contract, accept_now_takes_who_waits_and_no_longer_waits_itself) {
  EXPECT_EQ(kernel.accept_now(rig->listener()).error(), Error::would_block);
  auto one = rig->connect();
  auto two = rig->connect();
  rig->wait(1);
  for (int number = 0; number < 2; ++number) {
    const auto accepted = kernel.accept_now(rig->listener());
    ASSERT_TRUE(accepted);
    kernel.close(accepted.value());
  }
  EXPECT_EQ(kernel.accept_now(rig->listener()).error(), Error::would_block);
}

TEST_F(Contract, receive_waits_for_bytes_and_sees_the_fin_as_nothing) {
  auto [socket, far] = pair();
  kernel.receive(Token{2, 0, 0}, socket, memory, Readiness::unexpected);
  EXPECT_TRUE(rig->wait(1).empty());
  far->write("hello");
  const Completion bytes = only();
  EXPECT_EQ(bytes.error, Error::none);
  EXPECT_EQ(text(static_cast<size_t>(bytes.result)), "hello");
  far->finish();
  kernel.receive(Token{2, 0, 0}, socket, memory, Readiness::expected);
  const Completion fin = only();
  EXPECT_EQ(fin.error, Error::none);
  EXPECT_EQ(fin.result, 0);
  kernel.close(socket);
}

TEST_F(Contract, reset_is_an_error_of_the_receive) {
  auto [socket, far] = pair();
  kernel.receive(Token{2, 0, 0}, socket, memory, Readiness::unexpected);
  EXPECT_TRUE(rig->wait(1).empty());
  far->reset();
  EXPECT_EQ(only().error, Error::reset);
  kernel.close(socket);
}

TEST_F(Contract, shutdown_completes_what_is_armed_and_only_then_may_be_closed) {
  auto [socket, far] = pair();
  kernel.receive(Token{2, 0, 0}, socket, memory, Readiness::unexpected);
  kernel.watch_hangup(Token{3, 0, 0}, socket);
  EXPECT_TRUE(rig->wait(1).empty());
  kernel.shutdown_both(socket);
  const auto ended = rig->wait(2);
  ASSERT_EQ(ended.size(), 2U);
  for (const auto& completion : ended) EXPECT_EQ(completion.error, Error::none);
  kernel.close(socket);
  EXPECT_TRUE(rig->wait(1).empty());
  EXPECT_TRUE(far->saw_fin());
}

TEST_F(Contract, shutdown_before_submission_completes_the_receive_too) {
  auto [socket, far] = pair();
  kernel.receive(Token{2, 0, 0}, socket, memory, Readiness::unexpected);
  kernel.shutdown_both(socket);
  EXPECT_EQ(only().result, 0);
  kernel.close(socket);
}

TEST_F(Contract, abort_completes_what_is_armed_and_the_other_side_sees_a_reset) {
  auto [socket, far] = pair();
  kernel.receive(Token{2, 0, 0}, socket, memory, Readiness::unexpected);
  kernel.watch_hangup(Token{3, 0, 0}, socket);
  EXPECT_TRUE(rig->wait(1).empty());
  kernel.abort_connection(socket);
  EXPECT_EQ(rig->wait(2).size(), 2U);
  kernel.close(socket);
  rig->wait(1);
  EXPECT_TRUE(far->saw_reset());
}

TEST_F(Contract, watch_tells_of_a_fin_while_bytes_are_unread) {
  auto [socket, far] = pair();
  kernel.watch_hangup(Token{3, 0, 0}, socket);
  far->write("unread");
  EXPECT_TRUE(rig->wait(1).empty());
  far->finish();
  EXPECT_EQ(only().token.kind, 3);
  EXPECT_EQ(kernel.peek(socket).value(), 1U);
  kernel.close(socket);
}

TEST_F(Contract, send_may_be_short_and_goes_on_when_there_is_room) {
  auto [socket, far] = pair();
  const std::vector<std::byte> large(8 << 20, std::byte{'x'});
  size_t sent = 0;
  size_t arrived = 0;
  while (sent < large.size()) {
    kernel.send(Token{4, 0, 0}, socket, std::span{large}.subspan(sent), core::Continuation::none);
    std::vector<Completion> completions;
    for (int tries = 0; completions.empty() && tries < 1000; ++tries) {
      completions = rig->wait(1);
      arrived += far->read().size();
    }
    ASSERT_EQ(completions.size(), 1U);
    ASSERT_EQ(completions[0].error, Error::none);
    sent += static_cast<size_t>(completions[0].result);
  }
  kernel.shutdown_write(socket);
  for (int tries = 0; arrived < large.size() && tries < 1000; ++tries) {
    rig->wait(1);
    arrived += far->read().size();
  }
  EXPECT_EQ(arrived, large.size());
  kernel.close(socket);
}

TEST_F(Contract, send_that_waits_for_room_is_ended_by_shutdown) {
  auto [socket, far] = pair();
  const std::vector<std::byte> large(1 << 20, std::byte{'x'});
  while (kernel.send_now(socket, large, core::Continuation::none).ok()) {
  }
  kernel.send(Token{4, 0, 0}, socket, large, core::Continuation::none);
  EXPECT_TRUE(rig->wait(1).empty());
  kernel.shutdown_both(socket);
  const Completion ended = only();
  EXPECT_TRUE(ended.error == Error::reset || ended.result >= 0);
  kernel.close(socket);
}

TEST_F(Contract, send_to_a_connection_that_was_reset_is_an_error) {
  auto [socket, far] = pair();
  kernel.receive(Token{2, 0, 0}, socket, memory, Readiness::unexpected);
  rig->wait(1);
  far->reset();
  only();
  EXPECT_EQ(kernel.send_now(socket, memory, core::Continuation::none).error(), Error::reset);
  kernel.send(Token{4, 0, 0}, socket, memory, core::Continuation::none);
  EXPECT_EQ(only().error, Error::reset);
  kernel.close(socket);
}

TEST_F(Contract, pooled_receive_takes_a_buffer_only_with_bytes_and_says_when_there_is_none) {
  core::BufferPool pool{1};
  ASSERT_TRUE(pool.attach(kernel, core::BufferGroup::downstream).ok());
  pool.restock(kernel);
  auto [one, far_one] = pair();
  auto [two, far_two] = pair();
  kernel.receive_pooled(Token{2, 0, 1}, one, core::BufferGroup::downstream, Readiness::unexpected);
  kernel.receive_pooled(Token{2, 0, 2}, two, core::BufferGroup::downstream, Readiness::unexpected);
  EXPECT_TRUE(rig->wait(1).empty()) << "an idle connection holds no buffer";
  far_one->write("first");
  const Completion first = only();
  ASSERT_NE(first.buffer, core::no_buffer);
  core::Buffer buffer = pool.claim(first.buffer);
  EXPECT_EQ(std::memcmp(buffer.receive_area().data(), "first", 5), 0);
  far_two->write("second");
  EXPECT_EQ(only().error, Error::no_buffers);
  pool.give_back(buffer);
  pool.restock(kernel);
  kernel.receive_pooled(Token{2, 0, 2}, two, core::BufferGroup::downstream, Readiness::expected);
  const Completion second = only();
  EXPECT_EQ(second.result, 6);
  buffer = pool.claim(second.buffer);
  pool.give_back(buffer);
  kernel.close(one);
  kernel.close(two);
  rig->wait(1);
}

TEST_F(Contract, receive_says_whether_more_is_waiting) {
  auto [socket, far] = pair();
  far->write("abcdef");
  rig->wait(1);
  kernel.receive(Token{2, 0, 0}, socket, std::span{memory}.first(3), Readiness::expected);
  EXPECT_TRUE(only().unread);
  kernel.receive(Token{2, 0, 0}, socket, std::span{memory}.first(3), Readiness::expected);
  EXPECT_FALSE(only().unread);
  kernel.close(socket);
}

TEST_F(Contract, connect_succeeds_or_is_refused) {
  const core::SocketAddress there = rig->far_listener();
  const int good = kernel.open_socket(AF_INET).value();
  kernel.connect(Token{5, 0, 0}, good, there);
  EXPECT_EQ(only().error, Error::none);
  EXPECT_EQ(kernel.peek(good).error(), Error::would_block);
  kernel.close(good);
  const core::SocketAddress nowhere = rig->nobody();
  const int bad = kernel.open_socket(AF_INET).value();
  kernel.connect(Token{5, 0, 0}, bad, nowhere);
  EXPECT_EQ(only().error, Error::refused);
  kernel.close(bad);
}

TEST_F(Contract, connect_that_is_not_yet_submitted_ends_when_cancelled_and_shut_down) {
  const core::SocketAddress there = rig->far_listener();
  const int socket = kernel.open_socket(AF_INET).value();
  kernel.connect(Token{5, 0, 0}, socket, there);
  kernel.cancel(Token{5, 0, 0});
  kernel.shutdown_both(socket);
  EXPECT_EQ(only().token.kind, 5) << "one completion, whatever it says";
  kernel.close(socket);
}

TEST_F(Contract, peek_tells_open_bytes_and_fin_apart) {
  auto [socket, far] = pair();
  EXPECT_EQ(kernel.peek(socket).error(), Error::would_block);
  far->write("x");
  rig->wait(1);
  EXPECT_EQ(kernel.peek(socket).value(), 1U);
  kernel.receive(Token{2, 0, 0}, socket, memory, Readiness::expected);
  only();
  far->finish();
  rig->wait(1);
  EXPECT_EQ(kernel.peek(socket).value(), 0U);
  kernel.close(socket);
}

TEST_F(Contract, receive_now_takes_what_is_there_and_never_waits) {
  auto [socket, far] = pair();
  EXPECT_EQ(kernel.receive_now(socket, memory).error(), Error::would_block);
  far->write("seven bytes");
  rig->wait(1);
  const auto first = kernel.receive_now(socket, std::span{memory}.first(5));
  ASSERT_TRUE(first);
  EXPECT_LE(first.value(), 5U);
  size_t have = first.value();
  while (have < 11) {
    const auto more = kernel.receive_now(socket, std::span{memory}.subspan(have));
    ASSERT_TRUE(more);
    have += more.value();
  }
  EXPECT_EQ(text(have), "seven bytes");
  EXPECT_EQ(kernel.receive_now(socket, memory).error(), Error::would_block);
  far->finish();
  rig->wait(1);
  EXPECT_EQ(kernel.receive_now(socket, memory).value(), 0U);
  kernel.close(socket);
}

TEST_F(Contract, descriptor_is_used_again_and_belongs_to_the_new_connection) {
  auto [first, far_first] = pair();
  far_first.reset();
  kernel.close(first);  // its number is the lowest that is free
  auto [second, far_second] = pair();
  kernel.receive(Token{2, 0, 0}, second, memory, Readiness::unexpected);
  far_second->write("mine");
  EXPECT_EQ(text(static_cast<size_t>(only().result)), "mine");
  kernel.close(second);
}

TEST_F(Contract, cancelled_receive_completes_once) {
  auto [socket, far] = pair();
  kernel.receive(Token{2, 0, 0}, socket, memory, Readiness::unexpected);
  rig->wait(1);
  kernel.cancel(Token{2, 0, 0});
  EXPECT_EQ(only().error, Error::cancelled);
  kernel.cancel(Token{2, 0, 0});
  EXPECT_TRUE(rig->wait(1).empty()) << "cancelling what is over says nothing";
  kernel.close(socket);
}

TEST_F(Contract, peer_address_is_the_clients) {
  auto [socket, far] = pair();
  EXPECT_EQ(kernel.peer_address(socket).value().prefix().bits, 0x7f000001U);
  kernel.close(socket);
}

// --- past us ---------------------------------------------------------------------------------

TEST_F(Contract, splice_carries_bytes_through_a_pipe_and_sees_the_fin_as_nothing) {
  auto [source, near_end] = pair();
  auto [sink, far_end] = pair();
  const auto opened = kernel.open_pipe(65536);
  ASSERT_TRUE(opened);
  core::Pipe pipe = opened.value();
  EXPECT_GE(pipe.capacity, 4096U);
  EXPECT_EQ(kernel.splice_now(source, pipe.write, 100).error(), Error::would_block)
      << "an empty socket";
  kernel.watch_readable(Token{5, 0, 0}, source);
  EXPECT_EQ(near_end->write("hello, world"), 12U);
  EXPECT_EQ(only().token, (Token{5, 0, 0}));
  EXPECT_EQ(kernel.splice_now(source, pipe.write, 5).value(), 5U) << "no more than asked";
  EXPECT_EQ(kernel.splice_now(source, pipe.write, 100).value(), 7U);
  EXPECT_EQ(kernel.splice_now(pipe.read, sink, 12).value(), 12U);
  near_end->finish();
  kernel.watch_readable(Token{5, 0, 1}, source);
  EXPECT_EQ(only().error, Error::none) << "a FIN is something to read";
  EXPECT_EQ(kernel.splice_now(source, pipe.write, 100).value(), 0U);
  kernel.shutdown_write(sink);
  std::string arrived = far_end->read();
  if (arrived.empty()) {  // it is still on the wire
    static_cast<void>(rig->wait(1));
    arrived = far_end->read();
  }
  EXPECT_EQ(arrived, "hello, world");
  kernel.close_pipe(pipe);
  kernel.close(source);
  kernel.close(sink);
}

TEST_F(Contract, splice_into_a_full_socket_would_block_and_keeps_the_bytes) {
  auto [source, near_end] = pair();
  auto [sink, far_end] = pair();
  core::Pipe pipe = kernel.open_pipe(65536).value();
  kernel.watch_readable(Token{5, 0, 0}, source);
  EXPECT_EQ(near_end->write("kept"), 4U);
  static_cast<void>(only());
  EXPECT_EQ(kernel.splice_now(source, pipe.write, 100).value(), 4U);
  uint64_t sent = 0;
  while (true) {
    const auto more = kernel.send_now(sink, memory, core::Continuation::none);
    if (!more) break;
    sent += more.value();
  }
  EXPECT_EQ(kernel.splice_now(pipe.read, sink, 4).error(), Error::would_block);
  kernel.watch_writable(Token{6, 0, 0}, sink);
  EXPECT_TRUE(rig->wait(1).empty()) << "there is no room";
  uint64_t taken = 0;
  std::string last;
  for (int rounds = 0; rounds < 1000 && taken < sent; ++rounds) {
    last = far_end->read();
    taken += last.size();
    if (last.empty()) static_cast<void>(rig->wait(1));
  }
  EXPECT_EQ(taken, sent);
  EXPECT_EQ(kernel.splice_now(pipe.read, sink, 4).value(), 4U);
  kernel.close_pipe(pipe);
  kernel.shutdown_both(sink);
  static_cast<void>(rig->wait(1));
  kernel.close(source);
  kernel.close(sink);
}

TEST_F(Contract, shutdown_completes_what_waits_for_readiness) {
  auto [socket, far] = pair();
  kernel.watch_readable(Token{5, 1, 0}, socket);
  EXPECT_TRUE(rig->wait(1).empty());
  kernel.shutdown_both(socket);
  EXPECT_EQ(only().token, (Token{5, 1, 0}));
  kernel.watch_writable(Token{6, 1, 0}, socket);
  EXPECT_EQ(only().token, (Token{6, 1, 0}));
  kernel.close(socket);
}

}  // namespace
}  // namespace sluice::contract
