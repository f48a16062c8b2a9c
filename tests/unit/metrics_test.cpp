#include <gtest/gtest.h>
#include <simdjson.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "core/random.h"
#include "metrics/access_log.h"
#include "metrics/exposition.h"
#include "metrics/log_ring.h"
#include "metrics/log_writer.h"
#include "metrics/request_series.h"
#include "proxy/local_reply.h"

namespace sluice::metrics {
namespace {

TEST(AccessLog, line_is_valid_json_whatever_was_sent) {
  core::Random random{1};
  LineFormatter formatter;
  simdjson::dom::parser parser;
  for (int i = 0; i < 3000; ++i) {
    std::string path;
    for (uint64_t n = random.below(i % 10 == 0 ? 9000 : 60); n > 0; --n)
      path += static_cast<char>(random.next());
    const AccessRecord record{
        .finished_at = core::WallTime{std::chrono::seconds{1'700'000'000} +
                                      std::chrono::milliseconds{random.below(100'000)}},
        .request_id = "id",
        .method = "GET",
        .path = path,
        .status = 200,
        .reason = "-",
        .would_refuse = i % 2 == 0 ? "trial" : "",
        .route = "default",
        .client = "::1",
        .principal = std::string_view{path}.substr(0, 128),
        .latency = core::Duration{1'234'567}};
    std::array<char, line_bytes_max> out;
    const size_t size = formatter.format(record, out);
    ASSERT_LE(size, out.size());
    ASSERT_EQ(out[size - 1], '\n');
    ASSERT_EQ(std::string_view(out.data(), size - 1).find('\n'), std::string_view::npos);
    simdjson::dom::element element;
    ASSERT_EQ(parser.parse(out.data(), size).get(element), simdjson::SUCCESS);
    std::string_view text;
    ASSERT_EQ(element["path"].get_string().get(text), simdjson::SUCCESS);
    EXPECT_EQ(
        element["would_refuse"].get_string().get(text) == simdjson::SUCCESS && text == "trial",
        i % 2 == 0);
    double latency = 0;
    ASSERT_EQ(element["latency_ms"].get_double().get(latency), simdjson::SUCCESS);
    EXPECT_EQ(latency, 1.234);
  }
}

TEST(AccessLog, time_is_rfc_3339_with_milliseconds) {
  LineFormatter formatter;
  std::array<char, line_bytes_max> out;
  const size_t size = formatter.format(
      {.finished_at =
           core::WallTime{std::chrono::seconds{1'700'000'000} + std::chrono::milliseconds{7}}},
      out);
  EXPECT_EQ(std::string_view(out.data(), size).substr(0, 31), R"({"ts":"2023-11-14T22:13:20.007Z)");
}

TEST(LogRing, line_that_does_not_fit_is_dropped_whole_and_counted) {
  LogRing ring{64};
  const std::string line(20, 'x');
  EXPECT_EQ(ring.append(line), LogRing::Outcome::stored);
  EXPECT_EQ(ring.append(line), LogRing::Outcome::half_full);
  EXPECT_EQ(ring.append(line), LogRing::Outcome::stored);
  EXPECT_EQ(ring.append(line), LogRing::Outcome::dropped);
  EXPECT_EQ(ring.dropped(), 1U);
  ring.consume(30);
  EXPECT_EQ(ring.append(line), LogRing::Outcome::half_full);
  std::string all;
  for (const auto piece : ring.readable()) all.append(piece.data(), piece.size());
  EXPECT_EQ(all, std::string(50, 'x'));
}

TEST(LogWriter, everything_is_written_and_reopen_follows_the_name) {
  const auto folder =
      std::filesystem::temp_directory_path() / ("sluice-log-" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  const std::string path = folder / "access.log";
  LogRing ring{1 << 16};
  {
    LogWriter writer{path, {&ring}};
    writer.start();
    ring.append(std::string_view{"before\n"});
    writer.wake();
    while (!ring.readable()[0].empty()) std::this_thread::yield();
    std::filesystem::rename(path, path + ".1");
    writer.reopen();
    while (!std::filesystem::exists(path)) std::this_thread::yield();
    ring.append(std::string_view{"after\n"});
    writer.stop();
  }
  const auto content = [](const std::string& name) {
    std::ifstream file{name};
    return std::string{std::istreambuf_iterator<char>{file}, {}};
  };
  EXPECT_EQ(content(path + ".1"), "before\n");
  EXPECT_EQ(content(path), "after\n");
  std::filesystem::remove_all(folder);
}

TEST(LogWriter, sink_that_takes_nothing_does_not_hold_up_the_end) {
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  LogRing ring{1 << 20};
  const std::string line(1000, 'x');
  for (int i = 0; i < 500; ++i) ring.append(line);
  const std::string path = "/proc/self/fd/" + std::to_string(pipe[1]);
  LogWriter writer{path, {&ring}};
  writer.start();
  writer.stop();  // returns although nobody reads
  ::close(pipe[0]);
  ::close(pipe[1]);
}

TEST(LogWriter, unusable_path_is_a_clear_error) {
  try {
    LogWriter writer{"/no/such/folder/log", {}};
    FAIL();
  } catch (const std::exception& error) {
    EXPECT_NE(std::string{error.what()}.find("/no/such/folder/log: No such file"),
              std::string::npos);
  }
}

TEST(RequestSeries, combinations_are_counted_apart_and_the_bound_holds) {
  RequestSeries series;
  for (int round = 0; round < 3; ++round) {
    for (uint16_t status = 200; status < 300; ++status)
      series.count({.route = 1, .method = 2, .reason = 3, .status = status});
  }
  uint64_t total = 0;
  series.for_each([&](SeriesKey key, uint64_t requests) {
    EXPECT_EQ(requests, 3U);
    EXPECT_EQ(key.reason, 3);
    total += requests;
  });
  EXPECT_EQ(total, 300U);
  for (uint32_t i = 0; i < 8000; ++i)
    series.count({.route = static_cast<uint16_t>(i), .status = 500});
  EXPECT_GT(series.overflow(), 0U);
}

TEST(Exposition, histogram_is_cumulative_and_labels_are_escaped) {
  Histogram one, two;
  one.record(std::chrono::microseconds{50});
  two.record(std::chrono::milliseconds{3});
  two.record(std::chrono::seconds{100});
  std::array<char, 8192> memory;
  Exposition out{memory};
  out.family("x", Kind::histogram, "Help.");
  const std::array<const Histogram*, 2> parts{&one, &two};
  out.histogram({{"l", "a\"b\\c\nd"}}, parts);
  const std::string text{out.text()};
  EXPECT_NE(text.find("# TYPE x histogram\n"), std::string::npos);
  EXPECT_NE(text.find(R"(x_bucket{l="a\"b\\c\nd",le="0.0001"} 1)"), std::string::npos) << text;
  EXPECT_NE(text.find(R"(le="0.005"} 2)"), std::string::npos);
  EXPECT_NE(text.find(R"(le="+Inf"} 3)"), std::string::npos);
  EXPECT_NE(text.find("x_sum{l=\"a\\\"b\\\\c\\nd\"} 100.00305\n"), std::string::npos) << text;
  Exposition small{std::span{memory}.first(10)};
  small.family("y", Kind::counter, "Help.");
  EXPECT_TRUE(small.overflowed());
}

TEST(LocalReply, refusals_carry_one_code_everywhere_and_fit) {
  std::array<std::byte, proxy::local_reply_bytes_max> out;
  const limiter::Limit limit{.policy = {.rate = {1, 100'000'000}, .burst = 5}};
  const size_t size = proxy::write_local_reply(
      out,
      {.status = 429,
       .reason = proxy::Reason::limit(0),
       .code = "limit.address",
       .retry_after = std::chrono::milliseconds{1001},
       .limit = &limit,
       .limit_name = "address"},
      {.request_id = "00000000000000000000000000000001", .date = "Mon, 23 Nov 2026 20:24:32 GMT"});
  const std::string text{reinterpret_cast<const char*>(out.data()), size};
  for (const char* part :
       {"HTTP/1.1 429 Too Many Requests\r\n", "Retry-After: 2\r\n",
        "RateLimit: \"address\";r=0;t=2\r\n", "RateLimit-Policy: \"address\";q=10;w=1\r\n",
        "Proxy-Status: sluice;error=http_request_denied;details=\"limit.address\"\r\n",
        "\"code\":\"limit.address\"", "application/problem+json"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  }
  const size_t head_only = proxy::write_local_reply(
      out, {.status = 404, .reason = proxy::Failure::bad_argument, .code = "route.argument"},
      {.method = http::Method::head});
  EXPECT_EQ(
      (std::string{reinterpret_cast<const char*>(out.data()), head_only}).substr(head_only - 4),
      "\r\n\r\n");
}

}  // namespace
}  // namespace sluice::metrics
