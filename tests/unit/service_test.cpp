// What stands between a gateway and its operator: addresses as they are written, PROXY headers that
// go out, the watchdog, the names of what is counted.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "core/cgroup.h"
#include "core/destination.h"
#include "gateway/host_settings.h"
#include "gateway/service_manager.h"
#include "proxy/labels.h"
#include "proxy/proxy_header.h"

namespace sluice {
namespace {

TEST(Destination, text_and_address_are_one) {
  for (const char* text :
       {"127.0.0.1:8000", "[::1]:8000", "unix:/run/app.sock", "unix:@abstract"}) {
    const auto destination = core::Destination::parse(text);
    ASSERT_TRUE(destination) << text;
    EXPECT_EQ(destination->text(), text);
    EXPECT_TRUE(*destination == *core::Destination::parse(text));
  }
  EXPECT_EQ(core::Destination::parse(":8000")->text(), "0.0.0.0:8000");
  EXPECT_EQ(core::Destination::parse("unix:/x")->port(), 0);
  EXPECT_FALSE(*core::Destination::parse("unix:/x") == *core::Destination::parse("unix:/xy"));
  for (const std::string& text :
       {std::string{"unix:"}, std::string{"unix:relative"}, std::string{"unix:/"},
        std::string{"unix:@"}, "unix:/" + std::string(107, 'x'), std::string{"127.0.0.1"},
        std::string{"host:80"}}) {
    EXPECT_FALSE(core::Destination::parse(text)) << text;
  }
  EXPECT_TRUE(core::Destination::parse("unix:/" + std::string(106, 'x')));
}

TEST(HostSettings, each_bound_that_is_in_the_way_is_named_and_no_other) {
  using gateway::HostSettings;
  using gateway::HugePages;
  config::Config config;
  config.cores = {0, 1, 2, 3};
  config.bounds.connections = 8192;
  config.bounds.upstream_connections = 8000;
  config::add_upstream(config, "u", core::SocketAddress::ipv4(0x7f000001, 9001), "127.0.0.1:9001");
  const HostSettings enough{
      .listen_backlog_max = 4096, .local_ports = 32'000, .huge_pages = HugePages::available};
  EXPECT_TRUE(gateway::host_warnings(config, 8192, enough).empty());
  EXPECT_TRUE(gateway::host_warnings(config, 8192, {}).empty())
      << "what can't be read is no reason to complain";
  const auto only = [&](const HostSettings& host, uint32_t wanted = 8192) {
    const auto warnings = gateway::host_warnings(config, wanted, host);
    return warnings.size() == 1 ? warnings[0] : std::to_string(warnings.size()) + " warnings";
  };
  HostSettings host = enough;
  EXPECT_NE(only(host, 8193).find("allows 8192 connections a core, not 8193"), std::string::npos);
  host.listen_backlog_max = 4095;
  EXPECT_NE(only(host).find("to 4095, not 4096"), std::string::npos);
  host = enough;
  host.local_ports = 31'999;
  EXPECT_NE(only(host).find("may get 32000 connections, and there are 31999 local ports"),
            std::string::npos);
  config.upstreams[0].connections = 100;
  EXPECT_TRUE(gateway::host_warnings(config, 8192, host).empty()) << "the upstream is bounded";
  config.upstreams[0].connections = 0;
  config.upstreams[0].endpoints[0].destination = *core::Destination::parse("unix:/run/app.sock");
  EXPECT_TRUE(gateway::host_warnings(config, 8192, host).empty()) << "no ports that way";
  host = enough;
  host.huge_pages = HugePages::never;
  EXPECT_NE(only(host).find("transparent_hugepage"), std::string::npos);
}

TEST(HostSettings, memory_of_the_control_group_below_the_bound_is_said) {
  gateway::HostSettings host;
  EXPECT_EQ(gateway::memory_warning(500 << 20, host), "") << "no control group says anything";
  host.memory_max_bytes = 500 << 20;
  EXPECT_EQ(gateway::memory_warning(500 << 20, host), "");
  host.memory_max_bytes -= 1 << 20;
  EXPECT_NE(
      gateway::memory_warning(500 << 20, host).find("allows 499 MiB of memory, and at most 500"),
      std::string::npos);
}

class Cgroup : public testing::Test {
 protected:
  Cgroup() : folder_(std::filesystem::temp_directory_path() / "sluice-cgroup-XXXXXX") {
    std::string name = folder_.string();
    folder_ = ::mkdtemp(name.data());
  }
  ~Cgroup() override { std::filesystem::remove_all(folder_); }
  void write(const std::string& path, const std::string& text) {
    const std::filesystem::path file = folder_ / path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream{file} << text;
  }
  core::CgroupBounds read(const std::string& membership) {
    write("membership", membership);
    return core::read_cgroup_bounds(folder_, folder_ / "membership");
  }
  std::filesystem::path folder_;
};

TEST_F(Cgroup, tightest_bound_on_the_way_to_the_root_counts) {
  write("a/cpu.max", "150000 100000\n");
  write("a/memory.max", "1073741824\n");
  write("a/b/cpu.max", "max 100000\n");
  write("a/b/memory.max", "2147483648\n");
  const core::CgroupBounds bounds = read("0::/a/b\n");
  EXPECT_EQ(bounds.cpus, 2U) << "one and a half, rounded up";
  EXPECT_EQ(bounds.memory_bytes, uint64_t{1} << 30);
}

TEST_F(Cgroup, version_1_is_read_too) {
  write("cpu,cpuacct/x/cpu.cfs_quota_us", "50000\n");
  write("cpu,cpuacct/x/cpu.cfs_period_us", "100000\n");
  write("cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
  write("memory/x/memory.limit_in_bytes", "9223372036854771712\n");
  write("memory/memory.limit_in_bytes", "1000000\n");
  const core::CgroupBounds bounds = read("4:memory:/x\n3:cpu,cpuacct:/x\n2:pids:/x\n0::/\n");
  EXPECT_EQ(bounds.cpus, 1U);
  EXPECT_EQ(bounds.memory_bytes, 1'000'000U);
}

TEST_F(Cgroup, container_that_sees_only_its_own_group_is_bounded_by_it) {
  write("cpu.max", "300000 100000\n");
  EXPECT_EQ(read("0::/not/mounted/here\n").cpus, 3U);
}

TEST_F(Cgroup, nothing_said_is_no_bound) {
  write("a/cpu.max", "max 100000\n");
  write("a/memory.max", "max\n");
  const core::CgroupBounds bounds = read("0::/a\n");
  EXPECT_EQ(bounds.cpus, 0U);
  EXPECT_EQ(bounds.memory_bytes, 0U);
  EXPECT_EQ(read("nonsense").cpus, 0U);
}

TEST(HostSettings, are_read_from_this_host) {
  const gateway::HostSettings host = gateway::read_host_settings();
  EXPECT_GT(host.listen_backlog_max, 0U);
  EXPECT_GT(host.local_ports, 0U);
}

TEST(SendProxy, says_what_the_parser_reads) {
  using config::SendProxy;
  using proxy::ProxyHeader;
  const auto written = [](SendProxy version, const core::SocketAddress& from,
                          const core::SocketAddress& to) {
    std::array<std::byte, proxy::proxy_header_out_bytes_max> out;
    const size_t size = proxy::write_proxy_header(out, version, from, to);
    const ProxyHeader header = proxy::parse_proxy_header({out.data(), size});
    EXPECT_EQ(header.state, ProxyHeader::State::complete);
    EXPECT_EQ(header.size, size);
    return header.source ? header.source->text() : "nobody";
  };
  for (const SendProxy version : {SendProxy::v1, SendProxy::v2}) {
    for (const char* text : {"192.0.2.7:4711", "[2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff]:65535"}) {
      const auto address = *core::SocketAddress::parse(text);
      EXPECT_EQ(written(version, address, address), text);
    }
    const auto v4 = *core::SocketAddress::parse("192.0.2.7:1");
    EXPECT_EQ(written(version, core::SocketAddress::of_unix_peer(), v4), "nobody");
    EXPECT_EQ(written(version, v4, *core::SocketAddress::parse("[::1]:1")), "nobody")
        << "no header speaks of two families";
  }
}

TEST(Watchdog, core_that_stands_still_is_no_sign_of_life) {
  gateway::Watchdog watchdog{std::chrono::microseconds{400'000}};
  EXPECT_EQ(watchdog.interval(), std::chrono::milliseconds{100});
  EXPECT_TRUE(watchdog.is_alive({1, 1}));
  EXPECT_TRUE(watchdog.is_alive({2, 5}));
  EXPECT_FALSE(watchdog.is_alive({3, 5}));
  EXPECT_FALSE(watchdog.is_alive({4, 5})) << "as long as it does";
  EXPECT_TRUE(watchdog.is_alive({4, 6}));
  EXPECT_FALSE(gateway::Watchdog{std::nullopt}.interval());
}

TEST(Labels, numbers_stay_and_end) {
  proxy::NameTable table{2};
  EXPECT_EQ(table.number_of("a"), 0);
  EXPECT_EQ(table.number_of("b"), 1);
  EXPECT_EQ(table.number_of("a"), 0);
  EXPECT_EQ(table.number_of("c"), proxy::NameTable::none);
  EXPECT_EQ(table.name(1), "b");
  EXPECT_EQ(table.name(proxy::NameTable::none), "-");
  proxy::LimitTable limits;
  EXPECT_EQ(limits.number_of("x", "rate"), 0);
  EXPECT_EQ(limits.number_of("x", "concurrent"), 1);
  EXPECT_EQ(limits.reason(1), "limit.x");
  EXPECT_EQ(limits.name(1), "x");
  EXPECT_EQ(limits.counts(1), "concurrent");
}

}  // namespace
}  // namespace sluice
