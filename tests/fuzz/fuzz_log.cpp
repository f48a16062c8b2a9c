// Any bytes as any text of an access record: the line is one line, valid JSON, and bounded. And
// lines of any lengths through a ring and its writer into a pipe: what comes out is what went in,
// but for lines that are counted as lost.
#include <fcntl.h>
#include <simdjson.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <string>

#include "metrics/access_log.h"
#include "metrics/log_writer.h"
#include "tests/fuzz/require.h"

namespace {

using namespace sluice;

void check_line(std::string_view all) {
  metrics::LineFormatter formatter;
  std::array<char, metrics::line_bytes_max> line;
  const auto part = [&](size_t number) {
    const size_t size = all.size() / 8;
    return all.substr(number * size, size);
  };
  const size_t written = formatter.format({.request_id = part(0),
                                           .method = part(1),
                                           .path = part(2),
                                           .status = 200,
                                           .reason = part(3),
                                           .would_refuse = part(4),
                                           .route = part(5),
                                           .endpoint = part(6),
                                           .client = part(6),
                                           .principal = part(7)},
                                          line);
  require(written > 0 && written <= line.size() && line[written - 1] == '\n', "no line");
  const std::string_view text{line.data(), written - 1};
  require(text.find('\n') == std::string_view::npos, "two lines");
  simdjson::dom::parser parser;
  require(parser.parse(text.data(), text.size()).error() == simdjson::SUCCESS, "no JSON");
}

// Each byte is a line of that length, or asks the writer to work.
void check_way_out(std::string_view all) {
  int pipe[2];
  if (::pipe2(pipe, O_NONBLOCK | O_CLOEXEC) != 0) return;
  {
    metrics::LogRing ring{1024};
    metrics::LogWriter writer{"/proc/self/fd/" + std::to_string(pipe[1]), {&ring}};
    std::string expected, got;
    uint64_t lost = 0;
    const auto read_out = [&] {
      writer.work();
      std::array<char, 4096> some;
      for (ssize_t size = 1; size > 0;) {
        size = ::read(pipe[0], some.data(), some.size());
        if (size > 0) got.append(some.data(), static_cast<size_t>(size));
      }
    };
    for (const char c : all.substr(0, 2000)) {
      if (c == 0) {
        read_out();
        continue;
      }
      const std::string line = std::string(static_cast<unsigned char>(c), 'x') + "\n";
      if (ring.append(line) == metrics::LogRing::Outcome::dropped)
        ++lost;
      else
        expected += line;
    }
    read_out();
    require(got == expected, "other lines");
    require(writer.lines_lost() == lost, "lines lost uncounted");
  }
  ::close(pipe[0]);
  ::close(pipe[1]);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 40'000) return 0;
  const std::string_view all{reinterpret_cast<const char*>(data), size};
  check_line(all);
  check_way_out(all);
  return 0;
}
