// One echo server, over epoll and over io_uring in each way that was measured.
#include "bench/engine/echo_server.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/engine/loopback.h"

namespace sluice::bench {

EchoServer::EchoServer(const EchoOptions& options, std::span<const int> sockets)
    : options_(options), connections_(sockets.size()), open_(sockets.size()) {
  for (size_t index = 0; index < sockets.size(); ++index)
    connections_[index].socket = sockets[index];
}

EchoServer::~EchoServer() {
  if (pool_ != nullptr) io_uring_free_buf_ring(&ring_, pool_, pool_entries, 0);
  if (ring_is_open_) io_uring_queue_exit(&ring_);
}

void EchoServer::run_epoll() {
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  for (uint32_t index = 0; index < connections_.size(); ++index) {
    epoll_event event{.events = EPOLLIN, .data = {.u32 = index}};
    ::epoll_ctl(epoll, EPOLL_CTL_ADD, connections_[index].socket, &event);
  }
  epoll_event events[256];
  while (open_ > 0) {
    const int count = ::epoll_wait(epoll, events, 256, -1);
    ++enters_;
    for (int i = 0; i < count; ++i) {
      Connection& connection = connections_[events[i].data.u32];
      const ssize_t size =
          ::recv(connection.socket, connection.bytes, sizeof connection.bytes, MSG_DONTWAIT);
      if (size > 0) {
        static_cast<void>(::send(connection.socket, connection.bytes, static_cast<size_t>(size),
                                 MSG_DONTWAIT | MSG_NOSIGNAL));
      } else {
        ::epoll_ctl(epoll, EPOLL_CTL_DEL, connection.socket, nullptr);
        --open_;
      }
    }
  }
  ::close(epoll);
}

void EchoServer::open_ring() {
  io_uring_params parameters{};
  parameters.flags = IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
  parameters.cq_entries = 8192;
  if (options_.setup == Setup::cooperative) parameters.flags |= IORING_SETUP_COOP_TASKRUN;
  if (options_.setup >= Setup::deferred)
    parameters.flags |= IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
  if (io_uring_queue_init_params(512, &ring_, &parameters) != 0) give_up("no ring");
  ring_is_open_ = true;
  if (options_.setup == Setup::deferred) io_uring_register_ring_fd(&ring_);
}

void EchoServer::open_pool() {
  int failure = 0;
  pool_ = io_uring_setup_buf_ring(&ring_, pool_entries, 0, 0, &failure);
  if (pool_ == nullptr) give_up("no ring of buffers");
  pool_memory_ = std::make_unique<char[]>(pool_entries * message_bytes_max);
  for (unsigned buffer = 0; buffer < pool_entries; ++buffer) give_back(static_cast<int>(buffer));
}

void EchoServer::give_back(int buffer) {
  io_uring_buf_ring_add(pool_, pool_memory_.get() + static_cast<size_t>(buffer) * message_bytes_max,
                        message_bytes_max, static_cast<unsigned short>(buffer),
                        io_uring_buf_ring_mask(pool_entries), 0);
  io_uring_buf_ring_advance(pool_, 1);
}

io_uring_sqe* EchoServer::entry(Kind kind, size_t index) {
  io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
  while (sqe == nullptr) {
    io_uring_submit(&ring_);
    ++enters_;
    sqe = io_uring_get_sqe(&ring_);
  }
  sqe->user_data = static_cast<uint64_t>(kind) << 32 | index;
  return sqe;
}

void EchoServer::arm_receive(size_t index) {
  Connection& connection = connections_[index];
  io_uring_sqe* sqe = entry(Kind::receive, index);
  if (options_.receive == Receive::multishot) {
    io_uring_prep_recv_multishot(sqe, connection.socket, nullptr, 0, 0);
  } else if (options_.receive == Receive::pooled) {
    io_uring_prep_recv(sqe, connection.socket, nullptr, 0, 0);
  } else {
    io_uring_prep_recv(sqe, connection.socket, connection.bytes, sizeof connection.bytes, 0);
  }
  if (is_pooled()) {
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = 0;
  }
  if (options_.receive != Receive::single) sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
}

void EchoServer::on_receive(size_t index, const io_uring_cqe& cqe, unsigned batch) {
  Connection& connection = connections_[index];
  if (cqe.res <= 0) {
    --open_;
    return;
  }
  connection.size = static_cast<uint32_t>(cqe.res);
  if (is_pooled()) connection.buffer = static_cast<int>(cqe.flags >> IORING_CQE_BUFFER_SHIFT);
  if (options_.receive == Receive::multishot && (cqe.flags & IORING_CQE_F_MORE) == 0)
    arm_receive(index);
  answer(index, batch);
}

void EchoServer::answer(size_t index, unsigned batch) {
  Connection& connection = connections_[index];
  const char* bytes =
      connection.buffer < 0
          ? connection.bytes
          : pool_memory_.get() + static_cast<size_t>(connection.buffer) * message_bytes_max;
  if (batch <= options_.inline_up_to) {
    static_cast<void>(
        ::send(connection.socket, bytes, connection.size, MSG_DONTWAIT | MSG_NOSIGNAL));
    on_sent(index);
    return;
  }
  io_uring_prep_send(entry(Kind::send, index), connection.socket, bytes, connection.size,
                     MSG_NOSIGNAL);
}

void EchoServer::on_sent(size_t index) {
  Connection& connection = connections_[index];
  if (connection.buffer >= 0) give_back(connection.buffer);
  connection.buffer = -1;
  if (options_.receive != Receive::multishot) arm_receive(index);
}

void EchoServer::run() {
  if (options_.setup == Setup::epoll) {
    run_epoll();
    return;
  }
  open_ring();
  if (is_pooled()) open_pool();
  for (size_t index = 0; index < connections_.size(); ++index) arm_receive(index);
  while (open_ > 0) {
    io_uring_submit_and_wait(&ring_, 1);
    ++enters_;
    const unsigned batch = io_uring_cq_ready(&ring_);
    for (unsigned number = 0; number < batch; ++number) {
      io_uring_cqe* cqe = nullptr;
      io_uring_peek_cqe(&ring_, &cqe);
      const io_uring_cqe copy{.user_data = cqe->user_data, .res = cqe->res, .flags = cqe->flags};
      io_uring_cqe_seen(&ring_, cqe);
      const auto index = static_cast<uint32_t>(copy.user_data);
      if (static_cast<Kind>(copy.user_data >> 32) == Kind::receive) {
        on_receive(index, copy, batch);
      } else {
        on_sent(index);
      }
    }
  }
}

}  // namespace sluice::bench
