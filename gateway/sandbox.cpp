// Applies capabilities, Landlock and seccomp.
#include "gateway/sandbox.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

namespace sluice::gateway {

namespace {

constexpr uint64_t read_access = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
// What an access may be asked for of a file that is no folder.
constexpr uint64_t file_access = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE |
                                 LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_TRUNCATE |
                                 LANDLOCK_ACCESS_FS_IOCTL_DEV;

// What the kernel of each version of Landlock's interface knows (landlock(7)).
uint64_t handled_access(long version) {
  uint64_t access = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;
  if (version >= 2) access |= LANDLOCK_ACCESS_FS_REFER;
  if (version >= 3) access |= LANDLOCK_ACCESS_FS_TRUNCATE;
  if (version >= 5) access |= LANDLOCK_ACCESS_FS_IOCTL_DEV;
  return access;
}

void allow(int ruleset, const std::string& path, uint64_t access) {
  const int descriptor = ::open(path.c_str(), O_PATH | O_CLOEXEC);
  if (descriptor < 0) return;
  struct stat status {};
  if (::fstat(descriptor, &status) == 0 && !S_ISDIR(status.st_mode)) access &= file_access;
  landlock_path_beneath_attr rule{.allowed_access = access, .parent_fd = descriptor};
  ::syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
  ::close(descriptor);
}

std::optional<std::string> close_files(const SandboxPlan& plan) {
  const long version =
      ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (version < 1)
    return "this kernel has no Landlock (" + std::string{std::strerror(errno)} +
           "): files are protected by permissions alone";
  const uint64_t handled = handled_access(version);
  landlock_ruleset_attr attributes{};
  attributes.handled_access_fs = handled;
  if (version >= 4 && !plan.may_bind) attributes.handled_access_net = LANDLOCK_ACCESS_NET_BIND_TCP;
  if (version >= 6) attributes.scoped = LANDLOCK_SCOPE_SIGNAL;
  const auto ruleset =
      static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0));
  if (ruleset < 0) return "Landlock refuses: " + std::string{std::strerror(errno)};
  for (const std::string& path : plan.readable) allow(ruleset, path, read_access & handled);
  constexpr uint64_t write_access = read_access | LANDLOCK_ACCESS_FS_WRITE_FILE |
                                    LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE |
                                    LANDLOCK_ACCESS_FS_TRUNCATE | LANDLOCK_ACCESS_FS_MAKE_SOCK;
  for (const std::string& path : plan.writable) allow(ruleset, path, write_access & handled);
  const long failure = ::syscall(SYS_landlock_restrict_self, ruleset, 0);
  const int reason = errno;
  ::close(ruleset);
  if (failure != 0) return "Landlock refuses: " + std::string{std::strerror(reason)};
  return std::nullopt;
}

// What the gateway, the C library, OpenSSL and libcurl call from here on.
constexpr std::string_view allowed_calls =
    // memory and threads
    "brk mmap munmap mremap madvise mprotect clone clone3 exit exit_group futex futex_waitv "
    "set_robust_list get_robust_list rseq "
    "set_tid_address sched_yield sched_getaffinity sched_setaffinity getcpu membarrier prctl "
    "arch_prctl restart_syscall "
    // time and chance
    "clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday time getrandom "
    // signals
    "rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigtimedwait sigaltstack signalfd4 "
    "tgkill "
    // sockets
    "socket socketpair bind listen connect accept4 shutdown getsockname getpeername setsockopt "
    "getsockopt sendto sendmsg sendmmsg "
    "recvfrom recvmsg recvmmsg "
    // the ring, and waiting elsewhere
    "io_uring_setup io_uring_enter io_uring_register poll ppoll select pselect6 epoll_create1 "
    "epoll_ctl epoll_wait epoll_pwait "
    "eventfd2 pipe2 splice "
    // files; which ones Landlock says
    "read readv pread64 write writev pwrite64 close close_range lseek fcntl dup dup2 dup3 ioctl "
    "open openat stat lstat fstat newfstatat "
    "statx access faccessat faccessat2 readlink readlinkat getdents64 getcwd fsync fdatasync "
    "ftruncate fallocate rename renameat "
    "renameat2 unlink unlinkat umask statfs fstatfs fadvise64 "
    // who and where we are
    "getpid getppid gettid getuid geteuid getgid getegid uname sysinfo prlimit64 getrlimit "
    "setrlimit getrusage times "
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    // the sanitizers' own
    "ptrace wait4 personality process_vm_readv setitimer getdents "
#endif
    ;

// Where listeners say who may connect to them.
constexpr std::string_view calls_of_access = "chmod fchmodat chown fchownat ";

std::optional<std::string> filter_calls(const SandboxPlan& plan) {
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
  if (filter == nullptr) return "no memory for a filter of system calls";
  const auto allow_all = [&](std::string_view rest) {
    while (!rest.empty()) {
      const std::string name{rest.substr(0, rest.find(' '))};
      rest.remove_prefix(name.size() + 1);
      // A name that this architecture or library does not know is no call that could be made.
      if (const int number = seccomp_syscall_resolve_name(name.c_str()); number != __NR_SCMP_ERROR)
        seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
    }
  };
  allow_all(allowed_calls);
  if (plan.may_change_access) allow_all(calls_of_access);
  const int failure = seccomp_load(filter);
  seccomp_release(filter);
  if (failure != 0)
    return "this kernel filters no system calls (" + std::string{std::strerror(-failure)} + ")";
  return std::nullopt;
}

}  // namespace

bool is_root() { return ::geteuid() == 0; }

std::optional<std::string> become(const config::User& user) {
  if (::geteuid() == user.id && ::getegid() == user.group) return std::nullopt;
  const std::string what = "can't become " + user.name + ": ";
  if (!is_root()) return what + "only root can";
  if (::setgroups(0, nullptr) != 0 || ::setresgid(user.group, user.group, user.group) != 0 ||
      ::setresuid(user.id, user.id, user.id) != 0) {
    return what + std::strerror(errno);
  }
  if (user.id != 0 && ::setuid(0) == 0) return what + "root comes back";
  return std::nullopt;
}

std::optional<std::string> drop_capabilities(const SandboxPlan& plan) {
  const uint32_t kept = plan.may_bind ? 1U << CAP_NET_BIND_SERVICE : 0;
  for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability) {
    if (capability == CAP_NET_BIND_SERVICE && plan.may_bind) continue;
    ::prctl(PR_CAPBSET_DROP, capability, 0, 0,
            0);  // refused to who is not privileged, who has none
  }
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct held[2] = {};
  if (::syscall(SYS_capget, &header, held) != 0)
    return "can't read the capabilities: " + std::string{std::strerror(errno)};
  const __user_cap_data_struct wanted[2] = {
      {.effective = held[0].permitted & kept, .permitted = held[0].permitted & kept}, {}};
  if (::syscall(SYS_capset, &header, wanted) != 0)
    return "can't drop capabilities: " + std::string{std::strerror(errno)};
  return std::nullopt;
}

void guard_memory([[maybe_unused]] Memory memory) {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // they trace us
  ::prctl(PR_SET_DUMPABLE, memory == Memory::is_private ? 0 : 1, 0, 0, 0);
#endif
}

std::vector<std::string> enter_sandbox(const SandboxPlan& plan) {
  std::vector<std::string> missing;
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    missing.emplace_back("this kernel can't promise that no privileges come back");
  if (auto why = close_files(plan)) missing.push_back(std::move(*why));
  if (auto why = filter_calls(plan)) missing.push_back(std::move(*why));
  return missing;
}

}  // namespace sluice::gateway
