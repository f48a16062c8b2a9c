// The one place that knows errno.
#include "core/error.h"

#include <cerrno>

namespace sluice::core {

std::string_view to_string(Error error) {
  switch (error) {
    case Error::none: return "none";
    case Error::would_block: return "would block";
    case Error::no_buffers: return "no buffers";
    case Error::reset: return "connection reset";
    case Error::refused: return "connection refused";
    case Error::timed_out: return "timed out";
    case Error::unreachable: return "unreachable";
    case Error::cancelled: return "cancelled";
    case Error::too_many_files: return "too many open files";
    case Error::no_memory: return "out of memory";
    case Error::interrupted: return "interrupted";
    case Error::address_in_use: return "address in use";
    case Error::permission: return "permission denied";
    case Error::unsupported: return "unsupported";
    case Error::unexpected: return "unexpected error";
  }
  SLUICE_UNREACHABLE();
}

Error error_from_errno(int number) {
  switch (number) {
    case 0: return Error::none;
    case EAGAIN: return Error::would_block;
    case ENOBUFS: return Error::no_buffers;
    case ECONNRESET:
    case EPIPE:
    case ECONNABORTED:
    case ENOTCONN:
    case ESHUTDOWN: return Error::reset;
    case ECONNREFUSED: return Error::refused;
    case ETIMEDOUT:
    case ETIME: return Error::timed_out;
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
    case ENETDOWN: return Error::unreachable;
    case ECANCELED: return Error::cancelled;
    case EMFILE:
    case ENFILE: return Error::too_many_files;
    case ENOMEM: return Error::no_memory;
    case EINTR: return Error::interrupted;
    case EADDRINUSE:
    case EADDRNOTAVAIL: return Error::address_in_use;
    case EACCES:
    case EPERM: return Error::permission;
    case ENOSYS:
    case EINVAL:
    case EOPNOTSUPP: return Error::unsupported;
    default: return Error::unexpected;
  }
}

}  // namespace sluice::core
