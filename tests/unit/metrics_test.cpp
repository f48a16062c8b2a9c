// The exposition, the access log and its writer.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <simdjson.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
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
    ASSERT_FALSE(writer.start());
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
  const std::string line = std::string(999, 'x') + "\n";
  for (int i = 0; i < 500; ++i) ring.append(line);
  const std::string path = "/proc/self/fd/" + std::to_string(pipe[1]);
  LogWriter writer{path, {&ring}};
  ASSERT_FALSE(writer.start());
  writer.stop();  // returns although nobody reads
  std::string got(1 << 20, 0);
  got.resize(static_cast<size_t>(std::max<ssize_t>(0, ::read(pipe[0], got.data(), got.size()))));
  EXPECT_EQ(static_cast<uint64_t>(std::count(got.begin(), got.end(), '\n')) + writer.lines_lost(),
            500U);
  ::close(pipe[0]);
  ::close(pipe[1]);
}

// A folder of its own, gone afterwards.
class LogFolder {
 public:
  explicit LogFolder(const char* name)
      : path_(std::filesystem::temp_directory_path() /
              (std::string{name} + "-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(path_);
  }
  ~LogFolder() { std::filesystem::remove_all(path_); }
  [[nodiscard]] std::string file(const char* name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

std::string content_of(const std::string& name) {
  std::ifstream file{name};
  return std::string{std::istreambuf_iterator<char>{file}, {}};
}

// A sink that is full in the middle of a line, and then is not: RLIMIT_FSIZE is a small disk.
TEST(LogWriter, torn_line_swallows_no_other_and_every_lost_line_is_counted_and_said_once) {
  ::signal(SIGXFSZ, SIG_IGN);
  const LogFolder folder{"sluice-torn"};
  const std::string path = folder.file("log");
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  LogRing ring{1 << 16};
  LogWriter writer{path, {&ring}};
  const auto now = LogWriter::Clock::now();
  EXPECT_TRUE(writer.take_notices(now).empty());
  rlimit small = before;
  small.rlim_cur = 100;
  ::setrlimit(RLIMIT_FSIZE, &small);
  const std::string line = std::string(29, 'a') + "\n";
  for (int i = 0; i < 10; ++i) ring.append(line);
  writer.work();
  ring.append(line);
  writer.work();
  ::setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_EQ(writer.lines_lost(), 8U) << "three are there, the fourth is torn";
  EXPECT_EQ(writer.write_errors(), 2U);
  const auto said = writer.take_notices(now);
  ASSERT_EQ(said.size(), 1U);
  EXPECT_NE(said[0].find("loses lines"), std::string::npos);
  EXPECT_NE(said[0].find("File too large"), std::string::npos) << said[0];
  ring.append(std::string_view{"after\n"});
  writer.work();
  EXPECT_EQ(content_of(path), line + line + line + std::string(10, 'a') + "\nafter\n");
  EXPECT_TRUE(writer.take_notices(now).empty()) << "said already";
  const auto calm = writer.take_notices(now + LogWriter::calm);
  ASSERT_EQ(calm.size(), 1U);
  EXPECT_NE(calm[0].find("8 lines were lost"), std::string::npos) << calm[0];
}

TEST(LogWriter, pipe_without_a_reader_opens_at_once_and_keeps_lines_for_the_one_that_comes) {
  const LogFolder folder{"sluice-fifo"};
  const std::string path = folder.file("pipe");
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  LogRing ring{1 << 16};
  LogWriter writer{path, {&ring}};
  ring.append(std::string_view{"first\n"});
  writer.work();
  writer.reopen();
  ring.append(std::string_view{"second\n"});
  const int reader = ::open(path.c_str(), O_RDONLY | O_NONBLOCK);
  writer.work();
  std::array<char, 64> got{};
  EXPECT_EQ(::read(reader, got.data(), got.size()), 13);
  EXPECT_EQ(std::string{got.data()}, "first\nsecond\n");
  ::close(reader);
  EXPECT_EQ(writer.lines_lost(), 0U);
}

TEST(LogWriter, reopening_that_fails_is_said_and_the_old_file_goes_on) {
  const LogFolder folder{"sluice-reopen"};
  const std::string path = folder.file("log");
  LogRing ring{1 << 16};
  LogWriter writer{path, {&ring}};
  std::filesystem::rename(path, path + ".1");
  std::filesystem::create_directory(path);
  writer.reopen();
  ring.append(std::string_view{"line\n"});
  writer.work();
  const auto said = writer.take_notices(LogWriter::Clock::now());
  ASSERT_EQ(said.size(), 1U);
  EXPECT_NE(said[0].find("can't reopen the log " + path + ": Is a directory"), std::string::npos)
      << said[0];
  EXPECT_EQ(content_of(path + ".1"), "line\n");
}

TEST(AccessLog, every_text_may_hold_any_byte) {
  LineFormatter formatter;
  simdjson::dom::parser parser;
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  for (const std::string& text :
       {all, std::string(500, '"'), std::string("a\nb"), std::string("\x7f"),
        std::string(7, 'x') + "\\", std::string(8, 'y') + "\t", std::string("12345678"),
        std::string("1234567\x80")}) {
    const AccessRecord record{.request_id = text,
                              .method = text,
                              .path = text,
                              .reason = text,
                              .would_refuse = text,
                              .route = text,
                              .endpoint = text,
                              .client = text,
                              .principal = text};
    std::array<char, line_bytes_max> out;
    const size_t size = formatter.format(record, out);
    ASSERT_EQ(std::string_view(out.data(), size).find('\n'), size - 1);
    simdjson::dom::element element;
    ASSERT_EQ(parser.parse(out.data(), size).get(element), simdjson::SUCCESS);
    std::string_view path;
    ASSERT_EQ(element["path"].get_string().get(path), simdjson::SUCCESS);
    EXPECT_EQ(path.find('\n') != std::string_view::npos, text.find('\n') != std::string::npos);
  }
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
  const size_t size = proxy::write_local_reply(
      out,
      {.status = 429,
       .reason = proxy::Reason::limit(0),
       .code = "limit.address",
       .retry_after = std::chrono::milliseconds{1001}},
      {.request_id = "00000000000000000000000000000001", .date = "Mon, 23 Nov 2026 20:24:32 GMT"});
  const std::string text{reinterpret_cast<const char*>(out.data()), size};
  for (const char* part :
       {"HTTP/1.1 429 Too Many Requests\r\n", "Retry-After: 2\r\n",
        "Proxy-Status: sluice;error=http_request_denied;details=\"limit.address\"\r\n",
        "\"code\":\"limit.address\",\"detail\":\"The limit of this name has no room",
        "application/problem+json"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  }
  // However much there is to be named.
  const std::string long_name(64, 'n');
  std::vector<auth::TokenSource> sources(32, {auth::TokenSource::Kind::api_key, long_name});
  EXPECT_LT(proxy::write_local_reply(out,
                                     {.status = 401,
                                      .reason = auth::Refusal::key_missing,
                                      .code = "key.missing",
                                      .sources = sources},
                                     {}),
            2048U);
  const std::string unmet = "claim " + std::string(80, 'n');
  EXPECT_LT(proxy::write_local_reply(out,
                                     {.status = 403,
                                      .reason = auth::Refusal::forbidden,
                                      .code = "auth.forbidden",
                                      .unmet = unmet},
                                     {}),
            2048U);
  const size_t head_only = proxy::write_local_reply(
      out, {.status = 404, .reason = proxy::Failure::bad_argument, .code = "route.argument"},
      {.method = http::Method::head});
  EXPECT_EQ(
      (std::string{reinterpret_cast<const char*>(out.data()), head_only}).substr(head_only - 4),
      "\r\n\r\n");
}

}  // namespace
}  // namespace sluice::metrics
