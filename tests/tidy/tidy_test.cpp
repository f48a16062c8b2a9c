// The tree keeps its own rules: who includes whom, how long functions and files are, what is never
// written.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
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
      {"cli", {"core", "tls", "http", "auth", "limiter", "metrics", "config", "proxy", "gateway"}},
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

// --- the shape of classes and modules --------------------------------------------------------

struct ClassShape {
  std::string name;
  std::string where;
  size_t public_functions = 0;
  size_t members = 0;
  std::set<std::string> files;  // that define functions of it
};

bool is_declaration(const std::string& text) {
  static const std::regex no_function{
      "^  (using|enum|struct|class|union|friend|static_assert|template|public|private|//|}|#).*"};
  return text.size() > 2 && text.starts_with("  ") && text[2] != ' ' &&
         !std::regex_match(text, no_function);
}

// Classes at the outermost indentation; a struct is plain data and may have what it likes.
std::map<std::string, ClassShape> classes_of(const std::string& folder) {
  static const std::regex head{"^class (\\w+)( final)?( :.*)?( \\{)?$"};
  static const std::regex member{"^  .*\\b\\w+_( = .*|\\{.*\\})?;.*"};
  static const std::regex definition{
      "^[^ /#}].*?\\b(\\w+)::~?\\w+\\(.*|^[^ /#}].*?\\b(\\w+)::\\w+$"};
  std::map<std::string, ClassShape> classes;
  for (const auto& path : sources({folder})) {
    if (path.extension() != ".h") continue;
    ClassShape* shape = nullptr;
    bool is_public = false;
    for (const auto& [number, text] : lines_of(path)) {
      std::smatch match;
      if (std::regex_match(text, match, head)) {
        shape = &classes[match[1]];
        shape->name = match[1];
        shape->where = path.string() + ":" + std::to_string(number);
        is_public = false;
      } else if (text.starts_with("};")) {
        shape = nullptr;
      } else if (shape != nullptr && text.ends_with("public:")) {
        is_public = true;
      } else if (shape != nullptr && (text == " private:" || text == " protected:")) {
        is_public = false;
      } else if (shape != nullptr && is_declaration(text)) {
        if (std::regex_match(text, member) && text.find('(') == std::string::npos)
          ++shape->members;
        else if (is_public && text.find('(') != std::string::npos)
          ++shape->public_functions;
      }
    }
  }
  for (const auto& path : sources({folder})) {
    if (path.extension() != ".cpp") continue;
    for (const auto& [number, text] : lines_of(path)) {
      std::smatch match;
      if (!std::regex_match(text, match, definition)) continue;
      const auto found = classes.find(match[1].matched ? match[1] : match[2]);
      if (found != classes.end()) found->second.files.insert(path.string());
    }
  }
  return classes;
}

// The exchange is what its parts have in common: it says who is next, one file for each of them.
size_t files_max(const std::string& name) { return name == "Exchange" ? 8 : 3; }

TEST(Tidy, classes_stay_small) {
  for (const std::string folder : {"proxy", "limiter", "metrics"}) {
    for (const auto& [name, shape] : classes_of(folder)) {
      EXPECT_LE(shape.public_functions, 40U) << shape.where << " " << name;
      EXPECT_LE(shape.members, 25U) << shape.where << " " << name;
      EXPECT_LE(shape.files.size(), files_max(name)) << shape.where << " " << name;
    }
  }
}

// A header and the source of its name are one module, and a source without a header is part of the
// module whose class it defines.
std::string module_of(const fs::path& path, const std::map<std::string, ClassShape>& classes) {
  const auto stem = [](const fs::path& of) {
    return fs::relative(of, root).replace_extension().string();
  };
  fs::path header = path;
  header.replace_extension(".h");
  if (fs::exists(header)) return stem(path);
  for (const auto& [name, shape] : classes) {
    if (shape.files.contains(path.string()))
      return stem(shape.where.substr(0, shape.where.rfind(':')));
  }
  return stem(path);
}

TEST(Tidy, modules_do_not_know_each_other_in_circles) {
  for (const std::string folder : {"limiter", "metrics", "proxy"}) {
    const auto classes = classes_of(folder);
    std::map<std::string, std::set<std::string>> knows;
    for (const auto& path : sources({folder})) {
      const std::string module = module_of(path, classes);
      for (const auto& [number, text] : lines_of(path)) {
        if (!text.starts_with("#include \"" + folder + "/")) continue;
        const std::string header = text.substr(10, text.find('"', 10) - 10);
        const std::string other = fs::path{header}.replace_extension().string();
        if (other != module) knows[module].insert(other);
      }
    }
    // Whoever knows nobody that is left is taken away; what remains in the end knows itself.
    for (bool is_smaller = true; is_smaller;) {
      is_smaller = false;
      for (auto it = knows.begin(); it != knows.end();) {
        std::erase_if(it->second, [&](const std::string& one) { return !knows.contains(one); });
        is_smaller |= it->second.empty();
        it = it->second.empty() ? knows.erase(it) : std::next(it);
      }
    }
    for (const auto& [module, others] : knows)
      ADD_FAILURE() << module << " is in a circle with " << *others.begin();
  }
}

// The lifetime rule of docs/architecture.md. A connection to an endpoint that never opened is
// nobody else's yet.
TEST(Tidy, machines_are_freed_by_their_worker) {
  const std::set<std::string> may = {"worker.cpp", "worker_accept.cpp", "core_upstream.cpp"};
  static const std::regex free{".*(downstreams_|upstreams_|exchanges_|_slots)\\.release\\(.*"};
  for (const auto& path : sources({"proxy"})) {
    for (const auto& [number, text] : lines_of(path)) {
      EXPECT_TRUE(!std::regex_match(text, free) || may.contains(path.filename().string()))
          << path.string() << ":" << number;
    }
  }
}

TEST(Tidy, what_runs_on_a_core_is_told_by_enums_and_not_by_bools) {
  static const std::regex parameter{".*[(,] *bool \\w+ *(=[^,)]*)?[,)].*"};
  for (const auto& path : sources({"proxy"})) {
    for (const auto& [number, text] : lines_of(path))
      EXPECT_FALSE(std::regex_match(text, parameter)) << path.string() << ":" << number;
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

TEST(Tidy, sources_open_with_a_sentence) {
  auto folders = production;
  folders.push_back("tests");
  folders.push_back("bench");
  for (const auto& path : sources(folders)) {
    if (path.extension() != ".cpp") continue;
    EXPECT_TRUE(lines_of(path)[0].text.starts_with("// ")) << path.string();
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
