#include "proxy/connection.h"

#include "proxy/worker.h"

namespace sluice::proxy {

core::Result<size_t> Connection::splice_in(Worker& worker, const core::Pipe& pipe, size_t size) {
  return worker.kernel().splice_now(socket_, pipe.write, size);
}

core::Result<size_t> Connection::splice_out(Worker& worker, const core::Pipe& pipe, size_t size) {
  auto sent = worker.kernel().splice_now(pipe.read, socket_, size);
  if (sent) bytes_sent_ += sent.value();
  return sent;
}

void Connection::end_output(Worker& worker) { worker.kernel().shutdown_write(socket_); }

void Connection::wait_readable(Worker& worker, core::Token token) {
  if (in_flight_.has(Op::readable)) return;
  in_flight_.begin(Op::readable);
  worker.kernel().watch_readable(token, socket_);
}

void Connection::wait_writable(Worker& worker, core::Token token) {
  if (in_flight_.has(Op::writable)) return;
  in_flight_.begin(Op::writable);
  worker.kernel().watch_writable(token, socket_);
}

}  // namespace sluice::proxy
