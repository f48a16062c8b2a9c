// The tree keeps its own rules: who includes whom, how long functions and files are, what is never
// written.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

const fs::path root = SLUICE_SOURCE_DIR;

struct Line {
  size_t number;
  std::string text;
};

std::vector<Line> lines_of(const fs::path& path) {
  std::ifstream file{path};
  std::vector<Line> lines;
  std::string text;
  while (std::getline(file, text)) lines.push_back({lines.size() + 1, text});
  return lines;
}

std::vector<fs::path> sources(const std::vector<std::string>& folders) {
  std::vector<fs::path> found;
  for (const auto& folder : folders) {
    for (const auto& entry : fs::recursive_directory_iterator{root / folder}) {
      if (entry.path().extension() == ".h" || entry.path().extension() == ".cpp")
        found.push_back(entry.path());
    }
  }
  return found;
}

const std::vector<std::string> production = {"core",    "tls",    "http",  "auth",    "limiter",
                                             "metrics", "config", "proxy", "gateway", "cli"};

// A folder, and what it may include of others: folders, or single headers.
const std::map<std::string, std::set<std::string>>& allowed() {
  static const std::map<std::string, std::set<std::string>> table = {
      {"core", {}},
      {"tls", {"core"}},
      {"http",
       {"core/assert.h", "core/error.h", "core/intrusive_list.h", "core/limits.h",
        "core/poison.h"}},
      {"auth", {"core", "http/message.h", "http/field.h"}},
      {"limiter", {"core"}},
      {"metrics", {"core"}},
      {"config", {"core", "tls", "http", "auth", "limiter", "metrics"}},
      {"proxy", {"core", "tls", "http", "auth", "limiter", "metrics", "config"}},
      {"gateway", {"core", "tls", "http", "auth", "limiter", "metrics", "config", "proxy"}},
      {"cli",
       {"core", "tls", "http", "auth", "limiter", "metrics", "config", "proxy", "gateway"}},
  };
  return table;
}

TEST(Tidy, folders_include_only_what_the_design_lets_them) {
  for (const auto& folder : production) {
    for (const auto& path : sources({folder})) {
      for (const auto& [number, text] : lines_of(path)) {
        if (!text.starts_with("#include \"")) continue;
        const std::string header = text.substr(10, text.find('"', 10) - 10);
        const std::string from = header.substr(0, header.find('/'));
        const auto& may = allowed().at(folder);
        EXPECT_TRUE(from == folder || may.contains(from) || may.contains(header))
            << path.string() << ":" << number << " includes " << header;
      }
    }
  }
}

TEST(Tidy, only_the_kernel_seam_knows_liburing) {
  for (const auto& path : sources(production)) {
    if (path.filename() == "kernel_linux.cpp" || path.filename().stem() == "ring_linux") continue;
    for (const auto& [number, text] : lines_of(path)) {
      EXPECT_EQ(text.find("liburing.h"), std::string::npos) << path.string() << ":" << number;
    }
  }
}

// What a folder may not have: proxy/ runs on a core, where nothing may block, lock, allocate in
// passing or read a clock; what stands below it is pure, and config/ knows no thread and no socket.
const std::map<std::string, std::vector<std::string>>& forbidden() {
  static const std::vector<std::string> threads = {"std::thread",        "std::mutex",
                                                   "lock_guard",         "unique_lock",
                                                   "condition_variable", "thread_local"};
  static const std::vector<std::string> clocks = {"clock_gettime", "steady_clock::now",
                                                  "system_clock::now", "::time("};
  static const std::vector<std::string> calls = {
      " ::send(",     " ::recv(",   " ::close(",    " ::read(",   " ::write(",
      " ::shutdown(", " ::open(",   " ::socket(",   " ::accept(", " ::connect(",
      " ::poll(",     " ::splice(", "sys/socket.h", "<poll.h>"};
  static const std::vector<std::string> dispatch = {"std::function", "shared_ptr", "virtual "};
  static const auto all_of = [](std::initializer_list<std::vector<std::string>> lists) {
    std::vector<std::string> all;
    for (const auto& list : lists) all.insert(all.end(), list.begin(), list.end());
    return all;
  };
  static const std::map<std::string, std::vector<std::string>> table = {
      {"http", all_of({threads, clocks, calls, dispatch})},
      {"tls", all_of({threads, clocks, calls, {"std::function", "virtual "}})},
      {"limiter", all_of({threads, clocks, calls, dispatch})},
      {"config",
       all_of({threads, {" ::send(", " ::recv(", " ::socket(", " ::connect(", "sys/socket.h"}})},
      {"proxy", all_of({threads, clocks, calls, dispatch})},
  };
  return table;
}

TEST(Tidy, folders_do_without_what_their_thread_may_not_do) {
  for (const auto& [folder, words] : forbidden()) {
    for (const auto& path : sources({folder})) {
      for (const auto& [number, text] : lines_of(path)) {
        for (const auto& word : words) {
          EXPECT_EQ(text.find(word), std::string::npos)
              << path.string() << ":" << number << " has " << word;
        }
      }
    }
  }
}

// Of tests only what is no text of a configuration or a token.
TEST(Tidy, lines_have_at_most_100_columns) {
  auto folders = production;
  folders.push_back("bench");
  folders.push_back("tests/simulation");
  for (const auto& path : sources(folders)) {
    for (const auto& [number, text] : lines_of(path)) {
      EXPECT_LE(text.size(), 100U) << path.string() << ":" << number;
    }
  }
}

// A function is taken to be what lies between a line that ends in '{' at the outermost indentation
// of its kind and the matching '}' on that indentation.
TEST(Tidy, functions_have_at_most_70_lines_and_files_400) {
  for (const auto& path : sources(production)) {
    const auto lines = lines_of(path);
    EXPECT_LE(lines.size(), 400U) << path.string();
    for (size_t i = 0; i < lines.size(); ++i) {
      const std::string& text = lines[i].text;
      const size_t indent = text.find_first_not_of(' ');
      if (indent == std::string::npos || !text.ends_with("{") ||
          text.find('(') == std::string::npos || text.starts_with("struct") ||
          text.starts_with("class"))
        continue;
      const std::string closing = std::string(indent, ' ') + "}";
      for (size_t end = i + 1; end < lines.size(); ++end) {
        const size_t depth = lines[end].text.find_first_not_of(' ');
        if (depth != std::string::npos && depth < indent && lines[end].text[depth] != '#')
          break;  // a continued line, not a head
        if (!lines[end].text.starts_with(closing)) continue;
        EXPECT_LE(end - i + 1, 72U) << path.string() << ":" << lines[i].number;
        break;
      }
    }
  }
}

TEST(Tidy, headers_open_with_what_they_are) {
  for (const auto& path : sources(production)) {
    if (path.extension() != ".h") continue;
    const auto lines = lines_of(path);
    ASSERT_FALSE(lines.empty());
    EXPECT_TRUE(lines[0].text.starts_with("// ")) << path.string();
  }
}

// So each header compiles alone: here, or in a library of tests/CMakeLists.txt.
TEST(Tidy, a_source_includes_its_own_header_first) {
  for (const auto& path : sources(production)) {
    fs::path header = path;
    header.replace_extension(".h");
    if (path.extension() != ".cpp" || !fs::exists(header)) continue;
    for (const auto& [number, text] : lines_of(path)) {
      if (!text.starts_with("#include")) continue;
      EXPECT_EQ(text, "#include \"" + fs::relative(header, root).string() + "\"")
          << path.string() << ":" << number;
      break;
    }
  }
}

TEST(Tidy, nothing_is_left_for_later_and_no_test_sleeps) {
  auto folders = production;
  folders.push_back("tests");
  folders.push_back("bench");
  const std::set<std::string> words = {std::string{"TO"} + "DO", std::string{"FIX"} + "ME",
                                       std::string{"sleep"} + "_for", std::string{"u"} + "sleep("};
  for (const auto& path : sources(folders)) {
    for (const auto& [number, text] : lines_of(path)) {
      for (const auto& word : words)
        EXPECT_EQ(text.find(word), std::string::npos)
            << path.string() << ":" << number << " has " << word;
    }
  }
}

}  // namespace
