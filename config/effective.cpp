// The configuration with everything that holds, and where each value comes from: the schema says
// which keys there are and what holds without them, the files say the rest.
#include <simdjson.h>

#include <algorithm>

#include "config/reader.h"
#include "config/schema.h"
#include "config/sections.h"

namespace sluice::config {

namespace {

using Schema = simdjson::dom::element;

// What stands at one place of all files together: a mapping or a list may be in several, a value is
// in one.
using Places = std::vector<std::pair<const Document*, YAML::Node>>;

constexpr size_t origin_column = 72;

class Printer {
 public:
  Printer(Schema root, const std::vector<Override>& overrides)
      : root_(root), overrides_(overrides) {}

  std::string print(const Places& documents) {
    put_object(resolve(root_), documents, "", 0);
    return std::move(text_);
  }

 private:
  // Follows $ref, and of several forms takes the one that has properties.
  [[nodiscard]] Schema resolve(Schema schema) const {
    std::string_view reference;
    if (schema["$ref"].get(reference) == simdjson::SUCCESS) {
      Schema target;
      if (root_.at_pointer(reference.substr(1)).get(target) == simdjson::SUCCESS)
        return resolve(target);
    }
    return schema;
  }
  [[nodiscard]] bool form_with(Schema schema, const char* key, Schema& form) const {
    schema = resolve(schema);
    if (schema[key].error() == simdjson::SUCCESS) {
      form = schema;
      return true;
    }
    simdjson::dom::array forms;
    for (const char* several : {"anyOf", "oneOf"}) {
      if (schema[several].get(forms) != simdjson::SUCCESS) continue;
      for (const Schema one : forms) {
        if (form_with(one, key, form)) return true;
      }
    }
    return false;
  }

  void line(size_t depth, const std::string& content, const std::string& origin) {
    std::string whole(2 * depth, ' ');
    whole += content;
    if (!origin.empty()) {
      whole.resize(std::max(whole.size() + 2, origin_column), ' ');
      whole += "# " + origin;
    }
    text_ += whole + "\n";
  }

  static std::string flow(const YAML::Node& node) {
    YAML::Emitter out;
    out << YAML::Flow << node;
    return out.c_str();
  }

  // Without quotes where YAML needs none.
  static std::string written(Schema value) {
    std::string_view text;
    const auto is_plain = [](unsigned char c) {
      return std::isalnum(c) != 0 ||
             std::string_view{" _./;=%:-"}.find(static_cast<char>(c)) != std::string_view::npos;
    };
    const bool is_bare = value.get(text) == simdjson::SUCCESS && !text.empty() &&
                         std::isalnum(static_cast<unsigned char>(text.front())) != 0 &&
                         std::all_of(text.begin(), text.end(), is_plain);
    return is_bare ? std::string{text} : std::string{simdjson::minify(value)};
  }

  // Every key that the schema knows, in its order.
  void put_object(Schema schema, const Places& places, const std::string& path, size_t depth) {
    simdjson::dom::object properties;
    if (schema["properties"].get(properties) != simdjson::SUCCESS) return;
    for (const auto [key, property] : properties) {
      const std::string name{key};
      const std::string here = path.empty() ? name : path + "." + name;
      // What means nothing without another key is not shown without it; "-" is never shown.
      std::string_view needed;
      const auto is_said = [&](const auto& place) {
        return place.second.IsMap() && place.second[std::string{needed}].IsDefined();
      };
      if (property["x-needs"].get(needed) == simdjson::SUCCESS &&
          std::none_of(places.begin(), places.end(), is_said))
        continue;
      if (const Override* decided = override_of(here)) {
        line(depth, name + ": " + decided->value, decided->origin);
        continue;
      }
      Places found;
      for (const auto& [document, node] : places) {
        if (node.IsMap() && node[name].IsDefined()) found.emplace_back(document, node[name]);
      }
      if (found.empty() && put_derived(name, properties, property, places, depth)) continue;
      put_value(name + ":", resolve(property), property, found, here, depth);
    }
  }

  // What holds without being said is what another key says, unless a third one is true; then 0.
  bool put_derived(const std::string& name, simdjson::dom::object properties, Schema property,
                   const Places& places, size_t depth) {
    std::string_view of;
    std::string_view unless;
    if (property["x-default-of"].get(of) != simdjson::SUCCESS ||
        property["x-default-unless"].get(unless) != simdjson::SUCCESS)
      return false;
    const auto said = [&](std::string_view key) {
      Schema value;
      const bool has_default = properties[key]["default"].get(value) == simdjson::SUCCESS;
      std::string text = has_default ? written(value) : "";
      for (const auto& [document, node] : places) {
        if (node.IsMap() && node[std::string{key}].IsDefined()) text = flow(node[std::string{key}]);
      }
      return text;
    };
    const bool is_excepted = said(unless) == "true";
    line(depth, name + ": " + (is_excepted ? "0" : said(of)),
         "default, by " + std::string{is_excepted ? unless : of});
    return true;
  }

  void put_value(const std::string& head, Schema schema, Schema declared, const Places& found,
                 const std::string& path, size_t depth) {
    Schema form;
    const bool is_map = !found.empty() && found.front().second.IsMap();
    const bool is_list = !found.empty() && found.front().second.IsSequence();
    if (found.empty()) {
      put_default(head, schema, declared, path, depth);
    } else if (is_map && form_with(schema, "properties", form)) {
      line(depth, head, "");
      put_object(form, found, path, depth + 1);
    } else if (is_map && form_with(schema, "additionalProperties", form)) {
      line(depth, head, "");
      for (const auto& [document, node] : found)
        put_named(form["additionalProperties"].value(), *document, node, path, depth + 1);
    } else if (is_list && form_with(schema, "items", form)) {
      put_list(head, form["items"].value(), found, depth);
    } else {
      line(depth, head + " " + flow(found.front().second),
           found.front().first->place(found.front().second));
    }
  }

  // Objects have defaults inside, and are shown for their sake where nothing in them must be said.
  void put_default(const std::string& head, Schema schema, Schema declared, const std::string& path,
                   size_t depth) {
    Schema value;
    if (declared["default"].get(value) == simdjson::SUCCESS ||
        schema["default"].get(value) == simdjson::SUCCESS) {
      simdjson::dom::object parts;
      if (value.get(parts) != simdjson::SUCCESS) {
        line(depth, head + " " + written(value), "default");
        return;
      }
      line(depth, head, "");
      for (const auto [key, part] : parts)
        line(depth + 1, std::string{key} + ": " + written(part), "default");
      return;
    }
    if (schema["properties"].error() != simdjson::SUCCESS ||
        schema["required"].error() == simdjson::SUCCESS)
      return;
    const size_t begin = text_.size();
    line(depth, head, "");
    const size_t inside = text_.size();
    put_object(schema, {}, path, depth + 1);
    if (text_.size() == inside) text_.resize(begin);  // nothing holds there
  }

  void put_named(Schema value, const Document& document, const YAML::Node& node,
                 const std::string& path, size_t depth) {
    for (const auto& entry : node) {
      const std::string name = entry.first.Scalar();
      put_value(name + ":", resolve(value), value, {{&document, entry.second}}, path + "." + name,
                depth);
    }
  }

  void put_list(const std::string& head, Schema item, const Places& found, size_t depth) {
    const bool is_empty = std::all_of(found.begin(), found.end(),
                                      [](const auto& place) { return place.second.size() == 0; });
    line(depth, is_empty ? head + " []" : head,
         is_empty ? found.front().first->place(found.front().second) : "");
    for (const auto& [document, list] : found) {
      for (const YAML::Node& one : list) {
        Schema form;
        if (one.IsMap() && form_with(item, "properties", form)) {
          // The first key stands behind the dash.
          const size_t begin = text_.size();
          put_object(form, {{document, one}}, "[]", depth + 2);
          if (text_.size() > begin) text_[begin + 2 * (depth + 1)] = '-';
        } else {
          line(depth + 1, "- " + flow(one), document->place(one));
        }
      }
    }
  }

  [[nodiscard]] const Override* override_of(const std::string& path) const {
    const auto found = std::find_if(overrides_.begin(), overrides_.end(),
                                    [&](const Override& one) { return one.path == path; });
    return found == overrides_.end() ? nullptr : &*found;
  }

  Schema root_;
  const std::vector<Override>& overrides_;
  std::string text_;
};

}  // namespace

std::variant<std::string, Complaint> effective_config(const std::string& path,
                                                      const std::vector<Override>& overrides) {
  const ConfigReading reading = read_config(path);
  std::string complaints;
  for (const std::string& complaint : reading.complaints)
    complaints += (complaints.empty() ? "" : "\nsluice: ") + complaint;
  if (!reading.config) return Complaint{complaints};
  const auto documents = read_document_and_includes(path);
  Places places;
  for (const auto& document : documents) places.emplace_back(document.get(), document->root());
  simdjson::dom::parser parser;
  const Schema schema = parser.parse(simdjson::padded_string{config_schema()});
  return Printer{schema, overrides}.print(places);
}

}  // namespace sluice::config
