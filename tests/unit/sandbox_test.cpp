// What is given up stays given up: a child goes into the sandbox and tries. Over the real kernel.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>

#include "core/ring_linux.h"
#include "gateway/sandbox.h"

namespace sluice::gateway {
namespace {

using core::Error;
using core::Kernel;
using core::KernelUnavailable;
using core::SocketAddress;
using core::Token;

class Sandbox : public ::testing::Test {
 protected:
  Sandbox() {
    char pattern[] = "/tmp/sandbox_test_XXXXXX";
    folder_ = ::mkdtemp(pattern);
    for (const char* name : {"readable", "writable", "other"})
      std::filesystem::create_directories(folder_ + "/" + name);
    for (const char* name : {"/readable/file", "/other/file"})
      std::ofstream{folder_ + name} << "text";
    plan_ = {.readable = {folder_ + "/readable", "/no/such/folder"},
             .writable = {folder_ + "/writable"}};
  }
  ~Sandbox() override { std::filesystem::remove_all(folder_); }

  // Whether `tries` is true in a child that went into the sandbox first.
  bool in_sandbox(const std::function<bool()>& tries) {
    const pid_t child = ::fork();
    if (child == 0) {
      const auto missing = enter_sandbox(plan_);
      ::_exit(!missing.empty() ? 2 : tries() ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 2)
      ADD_FAILURE() << "this kernel has not all of it";
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }
  static bool opens(const std::string& path, int flags) {
    const int descriptor = ::open(path.c_str(), flags, 0600);
    return descriptor >= 0 && ::close(descriptor) == 0;
  }

  std::string folder_;
  SandboxPlan plan_;
};

TEST_F(Sandbox, files_that_are_needed_open_and_no_others) {
  EXPECT_TRUE(in_sandbox([&] { return opens(folder_ + "/readable/file", O_RDONLY); }));
  EXPECT_FALSE(in_sandbox([&] { return opens(folder_ + "/readable/file", O_WRONLY); }));
  EXPECT_FALSE(in_sandbox([&] { return opens(folder_ + "/readable/new", O_WRONLY | O_CREAT); }));
  EXPECT_FALSE(in_sandbox([&] { return opens(folder_ + "/other/file", O_RDONLY); }));
  EXPECT_FALSE(in_sandbox([&] { return opens("/etc/passwd", O_RDONLY); }));
  EXPECT_TRUE(in_sandbox([&] {
    return opens(folder_ + "/writable/new", O_WRONLY | O_CREAT) &&
           ::rename((folder_ + "/writable/new").c_str(), (folder_ + "/writable/old").c_str()) ==
               0 &&
           opens(folder_ + "/writable/old", O_WRONLY | O_TRUNC) &&
           ::unlink((folder_ + "/writable/old").c_str()) == 0;
  }));
}

TEST_F(Sandbox, calls_that_are_never_made_are_refused) {
  const auto refused = [](long result) { return result == -1 && errno == EPERM; };
  EXPECT_TRUE(in_sandbox([&] { return refused(::execl("/bin/true", "true", nullptr)); }));
  EXPECT_TRUE(in_sandbox([&] { return refused(::mount("a", "/tmp", "tmpfs", 0, nullptr)); }));
  EXPECT_TRUE(in_sandbox([&] { return refused(::chmod("/tmp", 0777)); }));
  EXPECT_TRUE(in_sandbox([&] { return refused(::syscall(SYS_bpf, 0, nullptr, 0)); }));
  EXPECT_TRUE(in_sandbox([&] { return refused(::syscall(SYS_setuid, 0)); }));
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  EXPECT_TRUE(in_sandbox([&] { return refused(::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr)); }));
#endif
}

TEST_F(Sandbox, nobody_binds_another_port) {
  EXPECT_FALSE(in_sandbox([] {
    const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
    const SocketAddress address = SocketAddress::ipv4(0x7f000001, 0);
    return ::bind(socket, address.data(), address.size()) == 0;
  }));
}

TEST_F(Sandbox, root_does_not_come_back) {
  if (!is_root()) GTEST_SKIP() << "only root can become somebody";
  const auto nobody = config::find_user("nobody");
  ASSERT_TRUE(nobody);
  EXPECT_FALSE(config::find_user("no-such-user"));
  EXPECT_FALSE(config::find_user("nobody:no-such-group"));
  const pid_t child = ::fork();
  if (child == 0) {
    const bool fine = !become(*nobody) && ::geteuid() == nobody->id &&
                      ::getegid() == nobody->group && ::getgroups(0, nullptr) == 0 &&
                      ::setuid(0) != 0 && ::seteuid(0) != 0 && become({.name = "root"}).has_value();
    ::_exit(fine ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST(RestrictedRing, does_what_the_seam_asks_for_and_nothing_else) {
  KernelUnavailable unavailable;
  const auto kernel =
      Kernel::open({.submission_entries = 8, .completion_entries = 64}, unavailable);
  ASSERT_NE(kernel, nullptr) << unavailable.reason;
  io_uring& ring = kernel->state().ring;
  const auto result_of = [&](const std::function<void(io_uring_sqe*)>& prepare) {
    io_uring_sqe* sqe = io_uring_get_sqe(&ring);
    prepare(sqe);
    sqe->user_data = Token{.kind = 9}.pack();
    const auto completions = kernel->submit_and_wait(std::chrono::seconds{5});
    return completions.empty() ? Error::none : completions.front().error;
  };
  int pipe[2];
  ASSERT_EQ(::pipe2(pipe, O_NONBLOCK), 0);
  char byte = 0;
  EXPECT_NE(result_of([](io_uring_sqe* sqe) {
              io_uring_prep_openat(sqe, AT_FDCWD, "/etc/passwd", O_RDONLY, 0);
            }),
            Error::none);
  EXPECT_NE(result_of([](io_uring_sqe* sqe) { io_uring_prep_unlink(sqe, "/tmp/x", 0); }),
            Error::none);
  EXPECT_NE(result_of([&](io_uring_sqe* sqe) { io_uring_prep_read(sqe, pipe[0], &byte, 1, 0); }),
            Error::none);
  EXPECT_NE(result_of([&](io_uring_sqe* sqe) {
              io_uring_prep_poll_add(sqe, pipe[1], POLLOUT);
              sqe->flags |= IOSQE_ASYNC;  // a kernel worker thread
            }),
            Error::none);
  EXPECT_EQ(result_of([&](io_uring_sqe* sqe) { io_uring_prep_poll_add(sqe, pipe[1], POLLOUT); }),
            Error::none);
  EXPECT_LT(io_uring_register_files(&ring, pipe, 2), 0);
  ::close(pipe[0]);
  ::close(pipe[1]);
}

}  // namespace
}  // namespace sluice::gateway
