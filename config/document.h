// A YAML document with a place for everything that is wrong with it: every complaint is collected,
// with file, line and column, what was found and what is accepted. Sections know which keys they
// have; any other is a complaint that names the nearest.
#pragma once

#include <yaml-cpp/yaml.h>

#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/values.h"

namespace sluice::config {

class Document {
 public:
  Document(std::string name, const std::string& text);

  void complain(const YAML::Node& at, const std::string& text);
  void warn(const YAML::Node& at, const std::string& text);
  // The same, and each start says it again: of what is unsafe, or about to fail.
  void warn_always(const YAML::Node& at, const std::string& text);
  // "FILE:LINE:COLUMN"
  [[nodiscard]] std::string place(const YAML::Node& at) const { return place(at.Mark()); }
  [[nodiscard]] const std::string& name() const { return name_; }
  // A file that was read because this one says so.
  void note_file(const std::string& path) { files_.push_back(path); }
  [[nodiscard]] const std::vector<std::string>& files() const { return files_; }
  [[nodiscard]] const YAML::Node& root() const { return root_; }
  [[nodiscard]] const std::vector<std::string>& complaints() const { return complaints_; }
  [[nodiscard]] const std::vector<std::string>& warnings() const { return warnings_; }
  [[nodiscard]] const std::vector<std::string>& start_warnings() const { return start_warnings_; }

  // The text of a scalar; a complaint and nothing if it is none. `what` is what is accepted.
  [[nodiscard]] std::optional<std::string> text(const YAML::Node& node, const std::string& what);
  // The value of a scalar, by one of the parsers of config/values.h.
  template <typename T, typename Parse>
  [[nodiscard]] std::optional<T> value(const YAML::Node& node, const std::string& what,
                                       Parse&& parse) {
    const auto found = text(node, what);
    if (!found) return std::nullopt;
    Parsed<T> parsed = parse(*found);
    if (const auto* complaint = std::get_if<Complaint>(&parsed)) {
      complain(node, complaint->text);
      return std::nullopt;
    }
    return std::move(std::get<T>(parsed));
  }
  // One of a few words.
  [[nodiscard]] std::optional<std::string> word(const YAML::Node& node,
                                                std::initializer_list<std::string_view> words);
  // A list, or a single value in place of a list of one.
  [[nodiscard]] std::vector<YAML::Node> list(const YAML::Node& node);
  // Texts of such a list.
  [[nodiscard]] std::vector<std::string> texts(const YAML::Node& node, const std::string& what);

 private:
  [[nodiscard]] std::string place(const YAML::Mark& mark) const;
  std::string name_;
  YAML::Node root_;
  std::vector<std::string> complaints_;
  std::vector<std::string> warnings_;
  std::vector<std::string> start_warnings_;  // of those
  std::vector<std::string> files_;
};

// A mapping whose keys are known.
class Section {
 public:
  // Complains if `node` is no mapping, has a key twice, or one that is not in `keys`.
  Section(Document& document, const YAML::Node& node, const std::string& name,
          std::initializer_list<std::string_view> keys);
  [[nodiscard]] bool has(std::string_view key) const { return get(key).IsDefined(); }
  // Undefined if there is none.
  [[nodiscard]] YAML::Node get(std::string_view key) const;
  [[nodiscard]] const YAML::Node& node() const { return node_; }

  // Stores what the key says, if it is there and right.
  template <typename T, typename Parse>
  void read(std::string_view key, T& into, const std::string& what, Parse&& parse) const {
    if (const YAML::Node node = get(key); node.IsDefined()) {
      if (auto value = document_.value<T>(node, what, parse)) into = std::move(*value);
    }
  }
  template <typename T>
  void read_number(std::string_view key, T& into, uint64_t least, uint64_t most) const {
    uint64_t number = into;
    read<uint64_t>(key, number, "a whole number",
                   [&](const std::string& text) { return parse_number(text, least, most); });
    into = static_cast<T>(number);
  }
  void read_percent(std::string_view key, uint32_t& into, uint32_t least, uint32_t most) const;
  void read_switch(std::string_view key, bool& into) const;  // true or false
  void read_duration(std::string_view key, core::Duration& into) const;
  void read_duration_or_none(std::string_view key, core::Duration& into) const;  // 0 is none

 private:
  Document& document_;
  YAML::Node node_;
};

// A mapping whose keys are names that the user chose: letters, digits, '_' and '-', at most 64.
void for_each_named(
    Document& document, const YAML::Node& node, const std::string& what,
    const std::function<void(const std::string& name, const YAML::Node& value)>& visit);

}  // namespace sluice::config
