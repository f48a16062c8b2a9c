// Places, complaints and typed access for the nodes of a YAML document.
#include "config/document.h"

#include <yaml-cpp/anchor.h>
#include <yaml-cpp/eventhandler.h>

#include <algorithm>
#include <set>
#include <sstream>

namespace sluice::config {

namespace {

std::string kind_of(const YAML::Node& node) {
  switch (node.Type()) {
    case YAML::NodeType::Map: return "a mapping";
    case YAML::NodeType::Sequence: return "a list";
    case YAML::NodeType::Scalar: return "\"" + node.Scalar() + "\"";
    default: return "nothing";
  }
}

std::string joined(std::span<const std::string_view> words) {
  std::string text;
  for (size_t index = 0; index < words.size(); ++index) {
    if (index > 0) text += index + 1 == words.size() ? " or " : ", ";
    text += words[index];
  }
  return text;
}

bool is_name(const std::string& text) {
  const auto fits = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '-'; };
  return !text.empty() && text.size() <= name_bytes_max &&
         std::all_of(text.begin(), text.end(), fits);
}

// Sees where documents begin, and nothing else.
class DocumentMarks : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark& mark) override { marks.push_back(mark); }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}
  std::vector<YAML::Mark> marks;
};

}  // namespace

Document::Document(std::string name, const std::string& text) : name_(std::move(name)) {
  try {
    // Not LoadAll(): on some broken texts it finds documents without end.
    std::istringstream stream{text};
    YAML::Parser parser{stream};
    DocumentMarks documents;
    while (documents.marks.size() < 2 && parser.HandleNextDocument(documents)) {
    }
    if (documents.marks.size() > 1)
      complaints_.push_back(place(documents.marks[1]) +
                            ": a second document; one file holds one configuration");
    root_ = YAML::Load(text);
  } catch (const YAML::Exception& error) {
    complaints_.push_back(place(error.mark) + ": this is no YAML: " + error.msg);
    root_ = YAML::Node{YAML::NodeType::Map};
  }
}

std::string Document::place(const YAML::Mark& mark) const {
  if (mark.is_null()) return name_;
  return name_ + ":" + std::to_string(mark.line + 1) + ":" + std::to_string(mark.column + 1);
}

void Document::complain(const YAML::Node& at, const std::string& text) {
  complaints_.push_back(place(at.Mark()) + ": " + text);
}
void Document::warn(const YAML::Node& at, const std::string& text) {
  warnings_.push_back(place(at.Mark()) + ": " + text);
}

void Document::warn_always(const YAML::Node& at, const std::string& text) {
  warn(at, text);
  start_warnings_.push_back(warnings_.back());
}

std::optional<std::string> Document::text(const YAML::Node& node, const std::string& what) {
  if (node.IsScalar()) return node.Scalar();
  complain(node, "found " + kind_of(node) + " where " + what + " is accepted");
  return std::nullopt;
}

std::optional<std::string> Document::word(const YAML::Node& node,
                                          std::initializer_list<std::string_view> words) {
  const std::span<const std::string_view> known{words.begin(), words.size()};
  const auto found = text(node, joined(known));
  if (!found) return std::nullopt;
  if (std::find(known.begin(), known.end(), *found) != known.end()) return found;
  const std::string_view meant = nearest(*found, known);
  complain(node, "\"" + *found + "\" is not " + joined(known) +
                     (meant.empty() ? "" : "; did you mean " + std::string{meant} + "?"));
  return std::nullopt;
}

std::vector<YAML::Node> Document::list(const YAML::Node& node) {
  if (!node.IsSequence()) return {node};
  return {node.begin(), node.end()};
}

std::vector<std::string> Document::texts(const YAML::Node& node, const std::string& what) {
  std::vector<std::string> found;
  for (const YAML::Node& item : list(node)) {
    if (auto one = text(item, what)) found.push_back(std::move(*one));
  }
  return found;
}

Section::Section(Document& document, const YAML::Node& node, const std::string& name,
                 std::initializer_list<std::string_view> keys)
    : document_(document), node_(node) {
  if (!node.IsMap()) {
    if (node.IsDefined() && !node.IsNull())
      document.complain(node, name + " is " + kind_of(node) + "; it must be a mapping");
    node_ = YAML::Node{YAML::NodeType::Map};
    return;
  }
  const std::span<const std::string_view> known{keys.begin(), keys.size()};
  std::set<std::string> seen;
  for (const auto& entry : node) {
    const std::string key = entry.first.IsScalar() ? entry.first.Scalar() : "";
    if (!seen.insert(key).second) {
      document.complain(entry.first, "key \"" + key + "\" is here twice");
    } else if (std::find(known.begin(), known.end(), key) == known.end()) {
      const std::string_view meant = nearest(key, known);
      document.complain(entry.first,
                        "unknown key \"" + key + "\" in " + name +
                            (meant.empty() ? "; it may have " + joined(known)
                                           : "; did you mean " + std::string{meant} + "?"));
    }
  }
}

YAML::Node Section::get(std::string_view key) const {
  for (const auto& entry : node_) {
    if (entry.first.IsScalar() && entry.first.Scalar() == key) return entry.second;
  }
  return YAML::Node{YAML::NodeType::Undefined};
}

void Section::read_percent(std::string_view key, uint32_t& into, uint32_t least,
                           uint32_t most) const {
  read(key, into, "a share like 50%", [&](const std::string& text) -> Parsed<uint32_t> {
    const auto number = parse_number(std::string_view{text}.substr(0, text.find('%')), least, most);
    if (text.ends_with('%') && text.find('%') + 1 == text.size() &&
        std::holds_alternative<uint64_t>(number))
      return static_cast<uint32_t>(std::get<uint64_t>(number));
    return Complaint{"\"" + text + "\" is no share from " + std::to_string(least) + "% to " +
                     std::to_string(most) + "%"};
  });
}

void Section::read_switch(std::string_view key, bool& into) const {
  if (!has(key)) return;
  if (const auto word = document_.word(get(key), {"true", "false"})) into = *word == "true";
}

void Section::read_duration(std::string_view key, core::Duration& into) const {
  read(key, into, "a duration like 500ms, 2s or 1m",
       [](const std::string& text) { return parse_duration(text); });
}

void Section::read_duration_or_none(std::string_view key, core::Duration& into) const {
  read(key, into, "a duration like 500ms, 2s or 1m, or 0 for none", [](const std::string& text) {
    return text == "0" ? Parsed<core::Duration>{core::Duration{0}} : parse_duration(text);
  });
}

void for_each_named(
    Document& document, const YAML::Node& node, const std::string& what,
    const std::function<void(const std::string& name, const YAML::Node& value)>& visit) {
  if (!node.IsDefined() || node.IsNull()) return;
  if (!node.IsMap()) {
    document.complain(node, what + " are " + kind_of(node) + "; they must be a mapping from names");
    return;
  }
  std::set<std::string> seen;
  for (const auto& entry : node) {
    const std::string name = entry.first.IsScalar() ? entry.first.Scalar() : "";
    if (!is_name(name)) {
      document.complain(entry.first,
                        "\"" + name +
                            "\" is no name; letters, digits, _ and - are accepted, at most " +
                            std::to_string(name_bytes_max));
    } else if (!seen.insert(name).second) {
      document.complain(entry.first, "\"" + name + "\" is here twice");
    } else {
      visit(name, entry.second);
    }
  }
}

}  // namespace sluice::config
