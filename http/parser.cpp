// Feeds llhttp and refuses what it lets through.
#include "http/parser.h"

#include <algorithm>
#include <cstring>

#include "core/assert.h"
#include "http/content_length.h"
#include "http/host.h"
#include "http/method.h"
#include "http/token.h"
#include "http/uri.h"

namespace sluice::http {

namespace limits = core::limits;

// llhttp's events. A head's spans arrive whole, because a head is handed over whole.
struct Parser::Callbacks {
  static Parser& self(llhttp_t* llhttp) { return *static_cast<Parser*>(llhttp->data); }
  static int fail(llhttp_t* llhttp, Rule rule) {
    self(llhttp).rule_ = rule;
    return HPE_USER;
  }
  static int on_field(llhttp_t* llhttp, const char* at, size_t size) {
    Parser& parser = self(llhttp);
    if (parser.name_size_ == 0) parser.name_begin_ = static_cast<uint16_t>(at - parser.base_);
    parser.name_size_ = static_cast<uint16_t>(parser.name_size_ + size);
    return 0;
  }

  static int on_value(llhttp_t* llhttp, const char* at, size_t size) {
    Parser& parser = self(llhttp);
    if (parser.value_size_ == 0) parser.value_begin_ = static_cast<uint16_t>(at - parser.base_);
    parser.value_size_ = static_cast<uint16_t>(parser.value_size_ + size);
    return 0;
  }

  static int on_value_complete(llhttp_t* llhttp) {
    Parser& parser = self(llhttp);
    if (parser.fields_->full()) return fail(llhttp, Rule::too_many_fields);
    Field& field = parser.fields_->add();
    field.name_begin = parser.name_begin_;
    field.name_size = parser.name_size_;
    // llhttp leaves out the blanks before a value, and not those behind it.
    field.value_begin = parser.value_begin_;
    field.value_size = parser.value_size_;
    while (field.value_size > 0 && is_blank(parser.base_[field.value_begin + field.value_size - 1]))
      --field.value_size;
    field.id = recognize_field(parser.fields_->name(field));
    field.disposition = Disposition::keep;
    parser.name_size_ = parser.value_size_ = 0;
    return 0;
  }

  static int on_headers_complete(llhttp_t* llhttp) {
    llhttp->upgrade = 0;  // an Upgrade that nobody tunnels is an ordinary request
    return HPE_PAUSED;
  }

  static const llhttp_settings_t& settings() {
    static const llhttp_settings_t instance = [] {
      llhttp_settings_t s;
      llhttp_settings_init(&s);
      s.on_header_field = on_field;
      s.on_header_value = on_value;
      s.on_header_value_complete = on_value_complete;
      s.on_headers_complete = on_headers_complete;
      return s;
    }();
    return instance;
  }
};

namespace {

// What llhttp refused, in our words.
Rule rule_of(llhttp_errno_t error, llhttp_type_t type, unsigned flags) {
  switch (error) {
    case HPE_INVALID_METHOD: return Rule::method;
    case HPE_INVALID_URL: return Rule::target;
    case HPE_INVALID_VERSION: return type == HTTP_REQUEST ? Rule::version : Rule::status_line;
    case HPE_INVALID_STATUS: return Rule::status_line;
    case HPE_INVALID_CONSTANT:
    case HPE_STRICT: return type == HTTP_REQUEST ? Rule::request_line : Rule::status_line;
    // Said of a second framing field too; the flags tell what the first one was.
    case HPE_INVALID_CONTENT_LENGTH:
    case HPE_UNEXPECTED_CONTENT_LENGTH:
      return (flags & (F_TRANSFER_ENCODING | F_CHUNKED)) != 0 ? Rule::length_and_encoding
                                                              : Rule::content_length;
    case HPE_INVALID_TRANSFER_ENCODING:
      return (flags & F_CONTENT_LENGTH) != 0 ? Rule::length_and_encoding : Rule::transfer_encoding;
    case HPE_LF_EXPECTED:
    case HPE_CR_EXPECTED: return Rule::bare_cr;
    case HPE_PAUSED_H2_UPGRADE: return Rule::version;
    case HPE_UNEXPECTED_SPACE:
    case HPE_INVALID_HEADER_TOKEN: return Rule::field_name;
    default: return type == HTTP_REQUEST ? Rule::request_line : Rule::status_line;
  }
}

// What a list costs grows with it; its length is known before any of it is looked at.
size_t count_options(std::string_view list) {
  return static_cast<size_t>(std::count(list.begin(), list.end(), ',')) + 1;
}

// OWS behind a value is SP or HTAB (RFC 9110 5.5). True if there was a HTAB.
bool blank_tabs_at_ends(std::span<char> head) {
  bool found = false;
  bool at_end = false;
  for (size_t at = head.size(); at-- > 0;) {
    if (head[at] == '\r')
      at_end = true;
    else if (head[at] != ' ' && head[at] != '\t')
      at_end = false;
    if (!at_end || head[at] != '\t') continue;
    head[at] = ' ';
    found = true;
  }
  return found;
}

// "Name : value" becomes "Name:  value"; returns for how many fields.
uint32_t move_blanks_behind_colons(std::span<char> head) {
  uint32_t count = 0;
  std::string_view rest{head.data(), head.size()};
  rest.remove_prefix(std::min(rest.find('\n') + 1, rest.size()));  // the start line
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n') + 1);
    rest.remove_prefix(line.size());
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0 || !is_blank(line[colon - 1])) continue;
    char* begin = head.data() + (line.data() - head.data());
    size_t name = colon;
    while (name > 0 && is_blank(begin[name - 1])) --name;
    begin[colon] = ' ';
    begin[name] = ':';
    ++count;
  }
  return count;
}

}  // namespace

Rule Parser::run_head(std::span<char> head, llhttp_type_t type, Fields& fields) {
  llhttp_init(&llhttp_, type, &Callbacks::settings());
  llhttp_.data = this;
  base_ = head.data();
  fields_ = &fields;
  fields.reset(head.data());
  rule_ = Rule::none;
  name_size_ = value_size_ = 0;
  complete_ = true;
  const llhttp_errno_t error = llhttp_execute(&llhttp_, head.data(), head.size());
  fields_ = nullptr;
  base_ = nullptr;
  if (rule_ != Rule::none) return rule_;
  if (error != HPE_PAUSED) {
    // A complete head that llhttp does not take for complete is one that the two readers understand
    // differently.
    return error == HPE_OK ? rule_of(HPE_INTERNAL, type, llhttp_.flags)
                           : rule_of(error, type, llhttp_.flags);
  }
  return Rule::none;
}

Rule Parser::read_head(std::span<char> head, llhttp_type_t type, Fields& fields) {
  head_repairs_ = 0;
  Rule rule = run_head(head, type, fields);
  // At most once for each kind.
  for (int kind = 0; kind < 2 && rule != Rule::none && repair(head, type, rule); ++kind)
    rule = run_head(head, type, fields);
  return rule;
}

// What was refused and need not be, in a form that llhttp knows; the head keeps its length. True if
// there was something.
bool Parser::repair(std::span<char> head, llhttp_type_t type, Rule rule) {
  switch (rule) {
    case Rule::content_length:
    case Rule::transfer_encoding:
    case Rule::length_and_encoding: return blank_tabs_at_ends(head);
    case Rule::field_name:
      if (type == HTTP_REQUEST) return false;
      head_repairs_ = move_blanks_behind_colons(head);
      return head_repairs_ > 0;
    default: return false;
  }
}

// What both directions have in common: framing (RFC 9112 6.3), Connection, Upgrade.
template <typename Head>
Rule Parser::finish_fields(Head& head) {
  head.persistence =
      head.version == Version::http_1_1 ? Persistence::keep_alive : Persistence::close;
  head.content_length = 0;
  head.has_content_length = false;
  head.connection_names_fields = false;
  head.upgrade = {};
  bool has_encoding = false;
  bool says_close = false;
  bool says_upgrade = false;
  unsigned upgrades = 0;
  size_t options = 0;
  for (const Field& field : head.fields) {
    if (field.id == FieldName::other) continue;
    switch (field.id) {
      case FieldName::content_length:
        if (head.has_content_length) return Rule::content_length;
        head.has_content_length = true;
        if (const Rule rule = parse_content_length(head.fields.value(field), head.content_length);
            rule != Rule::none)
          return rule;
        break;
      case FieldName::transfer_encoding:
        if (has_encoding || head.version == Version::http_1_0 ||
            !equals_ignoring_case(head.fields.value(field), "chunked"))
          return Rule::transfer_encoding;
        has_encoding = true;
        break;
      case FieldName::connection:
        options += count_options(head.fields.value(field));
        if (options > limits::list_options_max) return Rule::list_options;
        for_each_option(head.fields.value(field), [&](std::string_view option) {
          if (equals_ignoring_case(option, "close"))
            says_close = true;
          else if (equals_ignoring_case(option, "keep-alive"))
            head.persistence = Persistence::keep_alive;
          else if (equals_ignoring_case(option, "upgrade"))
            says_upgrade = true;
          else if (!option.empty() && !equals_ignoring_case(option, "te"))
            head.connection_names_fields = true;
        });
        break;
      case FieldName::upgrade:
        if (count_options(head.fields.value(field)) > limits::list_options_max)
          return Rule::list_options;
        ++upgrades;
        head.upgrade = head.fields.value(field);
        break;
      default: break;
    }
  }
  if (says_close) head.persistence = Persistence::close;
  if (!says_upgrade || upgrades != 1 || head.version == Version::http_1_0) head.upgrade = {};
  if (head.has_content_length && has_encoding) return Rule::length_and_encoding;
  head.framing = has_encoding              ? Framing::chunked
                 : head.content_length > 0 ? Framing::length
                                           : Framing::none;
  return Rule::none;
}

void Parser::expect_body(Framing framing, uint64_t length, Sender sender) {
  framing_ = framing;
  body_ = ChunkedBody{sender};
  remaining_ = framing == Framing::length ? length : 0;
  complete_ = framing == Framing::none;
}

Rule Parser::parse_request(std::span<char> head, RequestHead& out) {
  if (const Rule rule = read_head(head, HTTP_REQUEST, out.fields); rule != Rule::none) return rule;
  const std::optional<Method> method = method_of(llhttp_.method);
  if (!method) return Rule::method;
  out.method = *method;
  out.version = llhttp_.http_minor == 0 ? Version::http_1_0 : Version::http_1_1;

  if (const Rule rule = finish_fields(out); rule != Rule::none) return rule;
  out.authority = {};
  out.accepts_trailers = false;
  out.expectation = Expectation::none;
  const Field* host = nullptr;
  for (const Field& field : out.fields) {
    if (field.id == FieldName::other) continue;
    if (field.id == FieldName::host) {
      if (host != nullptr) return Rule::host_duplicate;
      host = &field;
    } else if (field.id == FieldName::expect && out.version == Version::http_1_1) {
      if (!equals_ignoring_case(out.fields.value(field), "100-continue")) return Rule::expectation;
      out.expectation = Expectation::continue_100;
    } else if (field.id == FieldName::te) {
      if (count_options(out.fields.value(field)) > limits::list_options_max)
        return Rule::list_options;
      for_each_option(out.fields.value(field), [&](std::string_view option) {
        if (equals_ignoring_case(option, "trailers")) out.accepts_trailers = true;
      });
    }
  }
  if (host == nullptr && out.version == Version::http_1_1) return Rule::host_missing;
  if (host != nullptr) {
    out.authority = out.fields.value(*host);
    if (!is_valid_authority(out.authority)) return Rule::host_invalid;
  }

  // HeadScanner has checked the form of the line: token SP target SP version.
  std::string_view line{head.data(), head.size()};
  line = line.substr(0, line.find('\r'));
  const size_t target_begin = line.find(' ') + 1;
  const size_t target_size = line.size() - target_begin - 9;
  if (target_size > limits::target_bytes_max) return Rule::target_too_long;
  out.method_text = line.substr(0, target_begin - 1);
  // CONNECT's target has a form of its own and is never forwarded.
  const Target target = out.method == Method::connect
                            ? Target{}
                            : normalize_target(out.method, head.data() + target_begin, target_size);
  if (target.rule != Rule::none) return target.rule;
  out.target = target.text;
  out.path = target.path;
  out.path_form = target.path_form;
  out.has_encoded_separator = target.has_encoded_separator;
  out.query = target.query;
  if (!target.authority.empty()) out.authority = target.authority;
  expect_body(out.framing, out.content_length, Sender::client);
  return Rule::none;
}

Rule Parser::parse_response(std::span<char> head, Method request, ResponseHead& out) {
  if (const Rule rule = read_head(head, HTTP_RESPONSE, out.fields); rule != Rule::none) return rule;
  out.status = llhttp_.status_code;
  out.version = llhttp_.http_minor == 0 ? Version::http_1_0 : Version::http_1_1;
  if (const Rule rule = finish_fields(out); rule != Rule::none) return rule;
  const bool bodiless =
      request == Method::head || out.status == 204 || out.status == 304 || out.status < 200;
  if (bodiless) {
    out.framing = Framing::none;
  } else if (out.framing == Framing::none && !out.has_content_length) {
    out.framing = Framing::until_close;
  }
  if (out.framing == Framing::until_close) out.persistence = Persistence::close;
  expect_body(out.framing, out.content_length, Sender::endpoint);
  return Rule::none;
}

BodyPiece Parser::take_body(std::span<const char> in, char* out) {
  if (complete_) return {.complete = true};
  if (framing_ == Framing::chunked) {
    const BodyPiece piece = body_.take(in, out);
    complete_ = piece.complete;
    return piece;
  }
  size_t size = in.size();
  if (framing_ == Framing::length) {
    if (size > remaining_) size = static_cast<size_t>(remaining_);
    remaining_ -= size;
    complete_ = remaining_ == 0;
  }
  if (out != in.data()) std::memmove(out, in.data(), size);
  return {.consumed = size, .produced = size, .complete = complete_};
}

}  // namespace sluice::http
