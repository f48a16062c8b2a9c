// Writes the manual pages from the commands and the schema.
#include "cli/man_page.h"

#include <simdjson.h>

#include <algorithm>

namespace sluice::cli {

namespace {

namespace dom = simdjson::dom;

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else if ((c == '.' || c == '\'') && (out.empty() || out.back() == '\n')) {
      out.append("\\&").append(1, c);
    } else {
      out += c;
    }
  }
  return out;
}

std::string bold(std::string_view text) { return "\\fB" + escaped(text) + "\\fR"; }
std::string italic(std::string_view text) { return "\\fI" + escaped(text) + "\\fR"; }

std::string title(std::string_view name, std::string_view section) {
  return ".TH " + std::string{name} + " " + std::string{section} +
         " \"\" \"sluice " SLUICE_VERSION "\"\n";
}

std::string shown(const Parameter& parameter) {
  std::string out;
  for (const std::string& name : parameter.names) {
    out.append(out.empty() ? "" : ", ").append(bold(name));
    if (!parameter.value.empty()) out += " " + italic(parameter.value);
  }
  if (!parameter.place.empty()) {
    out.append(out.empty() ? "" : ", ").append(italic(parameter.place));
  }
  return out;
}

void write_command(const Command& command, std::string& out) {
  if (command.commands.empty() || command.parameters.size() > 1) {
    out += ".SS " + escaped(command.path) + "\n" + escaped(command.help) + ".\n";
    for (const Parameter& parameter : command.parameters) {
      if (parameter.names == std::vector<std::string>{"-h", "--help"}) continue;
      out += ".TP\n" + shown(parameter) + "\n" + escaped(parameter.help);
      out += parameter.is_required ? " (required)\n" : "\n";
      if (parameter.help.empty()) out += "\\&\n";
    }
  }
  for (const Command& part : command.commands) write_command(part, out);
}

// The keys of the file, one after the other, as paths: limits.NAME.rate, routes[].auth.
class FileKeys {
 public:
  explicit FileKeys(dom::element schema) {
    if (schema["$defs"].get(definitions_) != simdjson::SUCCESS) definitions_ = {};
  }

  void write(dom::element of, const std::string& path, std::string& out) {
    dom::object properties;
    if (of["properties"].get(properties) == simdjson::SUCCESS) {
      for (const auto& [key, value] : properties) {
        write_key(value, path.empty() ? std::string{key} : path + "." + std::string{key}, out);
      }
    }
    dom::element part;
    dom::array forms;
    if (of["anyOf"].get(forms) == simdjson::SUCCESS) {
      for (const dom::element form : forms) {
        if (!is_listed(forms, form)) write(resolved(form), path, out);
      }
    }
    if (of["items"].get(part) == simdjson::SUCCESS) write(resolved(part), path + "[]", out);
    if (of["additionalProperties"].get(part) == simdjson::SUCCESS && part.is_object())
      write(resolved(part), path + ".NAME", out);
  }

 private:
  // Whether a list of the same is another form: one entry may stand there without the list.
  static bool is_listed(dom::array forms, dom::element form) {
    return std::ranges::any_of(forms, [&](dom::element other) {
      dom::element items;
      return other["items"].get(items) == simdjson::SUCCESS &&
             simdjson::minify(items) == simdjson::minify(form);
    });
  }

  void write_key(dom::element value, const std::string& path, std::string& out) {
    std::string_view help;
    if (value["description"].get(help) != simdjson::SUCCESS) help = "";
    const std::string kind = kind_of(value);
    // A form of several may have the same keys.
    if (std::ranges::find(written_, path) == written_.end()) {
      written_.push_back(path);
      out += ".TP\n" + bold(path) + (kind.empty() ? "" : ": " + italic(kind)) + "\n";
      std::string about = help.empty() ? "" : escaped(help) + ".";
      dom::element usual;
      if (value["default"].get(usual) == simdjson::SUCCESS) {
        about.append(about.empty() ? "" : " ").append("Default: ");
        about += escaped(simdjson::minify(usual)) + ".";
      }
      out += (about.empty() ? "\\&" : about) + "\n";
    }
    write(resolved(value), path, out);
  }

  // What may stand there: the name of a definition, words, or a type.
  std::string kind_of(dom::element value) const {
    std::string_view text;
    if (value["$ref"].get(text) == simdjson::SUCCESS)
      return std::string{text.substr(text.rfind('/') + 1)};
    std::string out;
    const auto add = [&](const std::string& part) {
      if (!part.empty()) out.append(out.empty() ? "" : " or ").append(part);
    };
    dom::array parts;
    if (value["enum"].get(parts) == simdjson::SUCCESS) {
      for (const dom::element part : parts) add(simdjson::minify(part));
    } else if (value["anyOf"].get(parts) == simdjson::SUCCESS) {
      for (const dom::element part : parts) add(kind_of(part));
    } else if (dom::element items; value["items"].get(items) == simdjson::SUCCESS) {
      add("list of " + kind_of(items));
    } else if (value["const"].get(items) == simdjson::SUCCESS) {
      add(simdjson::minify(items));
    } else if (value["type"].get(text) == simdjson::SUCCESS) {
      add(std::string{text});
    }
    return out;
  }

  dom::element resolved(dom::element of) const {
    std::string_view reference;
    if (of["$ref"].get(reference) != simdjson::SUCCESS) return of;
    dom::element found;
    return definitions_[reference.substr(reference.rfind('/') + 1)].get(found) == simdjson::SUCCESS
               ? found
               : of;
  }

  dom::object definitions_;
  std::vector<std::string> written_;
};

void write_forms(dom::element schema, std::string& out) {
  dom::object definitions;
  if (schema["$defs"].get(definitions) != simdjson::SUCCESS) return;
  for (const auto& [name, definition] : definitions) {
    std::string_view pattern;
    if (definition["pattern"].get(pattern) == simdjson::SUCCESS)
      out += ".TP\n" + italic(name) + "\n" + escaped(pattern) + "\n";
  }
}

}  // namespace

std::string man_of_program(const Command& program, const std::vector<ExitCode>& codes) {
  std::string out = title("SLUICE", "1");
  out += ".SH NAME\nsluice \\- API gateway with exact rate limits and JWT authentication\n";
  out += ".SH SYNOPSIS\n" + bold("sluice") + " " + italic("COMMAND") + " [" + italic("OPTION") +
         "]...\n";
  out += ".SH DESCRIPTION\n" + escaped(program.help) + "\n";
  for (const Command& part : program.commands)
    out += ".TP\n" + bold(part.name) + "\n" + escaped(part.help) + "\n";
  out += ".SH COMMANDS\n";
  for (const Command& part : program.commands) write_command(part, out);
  out += ".SH EXIT STATUS\n";
  for (const ExitCode& of : codes)
    out += ".TP\n" + bold(std::to_string(of.code)) + "\n" + escaped(of.means) + "\n";
  out += ".SH ENVIRONMENT\n.TP\n" + bold("JWT_SECRET") +
         "\nThe secret of tokens where there is no configuration file.\n";
  return out + ".SH SEE ALSO\n" + bold("sluice.yaml") + "(5)\n";
}

std::string man_of_file(std::string_view schema) {
  dom::parser parser;
  dom::element root;
  if (parser.parse(schema.data(), schema.size()).get(root) != simdjson::SUCCESS) return "";
  std::string out = title("SLUICE.YAML", "5");
  out += ".SH NAME\nsluice.yaml \\- configuration file of the API gateway sluice\n";
  out += ".SH DESCRIPTION\n" +
         escaped(
             "A file in YAML for sluice run --config FILE. sluice check FILE judges it, and sluice "
             "config "
             "--effective --config FILE shows every value that holds. NAME stands for any name, [] "
             "for each entry of a list; a single entry may stand without the list.") +
         "\n";
  out += ".SH KEYS\n";
  FileKeys{root}.write(root, "", out);
  out +=
      ".SH FORMS\nWhat the values above that are called by a name look like, as regular "
      "expressions.\n";
  write_forms(root, out);
  return out + ".SH SEE ALSO\n" + bold("sluice") + "(1)\n";
}

}  // namespace sluice::cli
