// Makes a request head of a field section.
#include <optional>

#include "http/h2/head_text.h"
#include "http/h2/message_reader.h"
#include "http/host.h"
#include "http/method.h"
#include "http/token.h"
#include "http/uri.h"

namespace sluice::http::h2 {

namespace {

struct PseudoFields {
  std::optional<std::string_view> method, scheme, authority, path, protocol;

  [[nodiscard]] Rule take(std::string_view name, std::string_view value) {
    std::optional<std::string_view>* place = name == ":method"      ? &method
                                             : name == ":scheme"    ? &scheme
                                             : name == ":authority" ? &authority
                                             : name == ":path"      ? &path
                                             : name == ":protocol"  ? &protocol
                                                                    : nullptr;
    if (place == nullptr || *place) return Rule::pseudo_field;
    *place = value;
    const Rule rule = check_value(value);
    // A blank is no part of a target wherever it stands.
    return place == &path && rule == Rule::field_value ? Rule::target : rule;
  }
};

// Which of them a request has (RFC 9113 8.3.1, 8.5, RFC 8441 4).
Rule check_pseudo(const PseudoFields& pseudo, Method method, ExtendedConnect extended_connect) {
  if (pseudo.protocol && (method != Method::connect || !is_token(*pseudo.protocol) ||
                          !pseudo.authority || extended_connect == ExtendedConnect::refused))
    return Rule::pseudo_field;
  if (method == Method::connect && !pseudo.protocol)
    return pseudo.scheme || pseudo.path || !pseudo.authority ? Rule::pseudo_field : Rule::none;
  if (!pseudo.scheme || (*pseudo.scheme != "http" && *pseudo.scheme != "https"))
    return Rule::pseudo_field;
  return pseudo.path ? Rule::none : Rule::pseudo_field;
}

class RequestReader {
 public:
  RequestReader(std::span<char> memory, RequestHead& out) : text_(memory), out_(out) {}

  Rule read(const FieldBlock& block, ExtendedConnect extended_connect) {
    reset();
    if (block.rule() != Rule::none) return block.rule();
    Rule rule = block.for_each(
        [&](std::string_view name, std::string_view value) { return take(name, value); });
    if (rule == Rule::none && !regular_seen_) rule = begin_regular();
    if (rule == Rule::none) rule = settle_method(extended_connect);
    if (rule == Rule::none) rule = settle_authority();
    if (rule == Rule::none) rule = settle_cookies(block);
    if (rule == Rule::none) rule = settle_target();
    if (rule == Rule::none) rule = settle_framing(block.ends_stream);
    return rule;
  }

  [[nodiscard]] uint32_t text_bytes() const { return text_.position(); }

 private:
  void reset() {
    out_.version = Version::http_1_1;
    out_.framing = Framing::none;
    out_.persistence = Persistence::keep_alive;
    out_.expectation = Expectation::none;
    out_.has_content_length = false;
    out_.accepts_trailers = false;
    out_.connection_names_fields = false;
    out_.content_length = 0;
    out_.path_form = PathForm::plain;
    out_.has_encoded_separator = false;
    out_.upgrade = out_.method_text = out_.target = out_.path = out_.query = out_.authority = {};
    out_.fields.reset(text_.begin());
  }

  Rule take(std::string_view name, std::string_view value) {
    if (is_pseudo(name)) return regular_seen_ ? Rule::pseudo_field : pseudo_.take(name, value);
    if (!regular_seen_) {
      if (const Rule rule = begin_regular(); rule != Rule::none) return rule;
    }
    const FieldName id = recognize_field(name);
    if (const Rule rule = check_head_field(id, name, value, length_); rule != Rule::none)
      return rule;
    switch (id) {
      case FieldName::host:
        if (host_) return Rule::host_duplicate;
        host_ = value;
        if (pseudo_.authority) return Rule::none;
        break;
      case FieldName::expect:
        if (!equals_ignoring_case(value, "100-continue")) return Rule::expectation;
        out_.expectation = Expectation::continue_100;
        break;
      case FieldName::te: out_.accepts_trailers = true; break;
      case FieldName::other:
        if (name != "cookie") break;
        if (crumbs_++ > 0) return Rule::none;
        cookie_ = out_.fields.size();
        break;
      default: break;
    }
    return text_.add(out_.fields, id, name, value);
  }

  Rule begin_regular() {
    regular_seen_ = true;
    if (!pseudo_.authority) return Rule::none;
    if (!is_valid_authority(*pseudo_.authority)) return Rule::host_invalid;
    return text_.add(out_.fields, FieldName::host, "host", *pseudo_.authority);
  }

  Rule settle_method(ExtendedConnect extended_connect) {
    if (!pseudo_.method) return Rule::pseudo_field;
    const std::optional<Method> method = find_method(*pseudo_.method);
    if (!method) return Rule::method;
    out_.method = *method;
    if (const Rule rule = check_pseudo(pseudo_, *method, extended_connect); rule != Rule::none)
      return rule;
    out_.method_text = text_.put(*pseudo_.method);
    if (!pseudo_.protocol) return Rule::none;
    // What RFC 8441 does by CONNECT, HTTP/1.1 does by GET and Upgrade.
    out_.method = Method::get;
    out_.method_text = "GET";
    out_.upgrade = text_.put(*pseudo_.protocol);
    return Rule::none;
  }

  Rule settle_authority() {
    const Field* field = out_.fields.find(FieldName::host);
    if (field == nullptr) return Rule::host_missing;
    out_.authority = out_.fields.value(*field);
    if (!pseudo_.authority && !is_valid_authority(out_.authority)) return Rule::host_invalid;
    if (pseudo_.authority && host_ && !is_same_authority(*host_, out_.authority))
      return Rule::host_differs;
    return Rule::none;
  }

  // One field, where the first crumb stood.
  Rule settle_cookies(const FieldBlock& block) {
    if (crumbs_ < 2) return Rule::none;
    Field& cookie = out_.fields[cookie_];
    cookie.name_begin = text_.position();
    text_.put("cookie: ");
    cookie.value_begin = text_.position();
    uint32_t left = crumbs_;
    const Rule rule = block.for_each([&](std::string_view name, std::string_view value) {
      if (name != "cookie") return Rule::none;
      text_.put(value);
      if (--left > 0) text_.put("; ");
      return Rule::none;
    });
    cookie.value_size = static_cast<uint16_t>(text_.position() - cookie.value_begin);
    text_.put("\r\n");
    return rule;
  }

  Rule settle_target() {
    if (!pseudo_.path) return Rule::none;  // CONNECT
    if (pseudo_.path->size() > core::limits::target_bytes_max) return Rule::target_too_long;
    // The absolute form is HTTP/1.1's: here it would name the authority twice.
    if (!pseudo_.path->starts_with('/') && *pseudo_.path != "*") return Rule::target;
    char* begin = text_.begin() + text_.position();
    text_.put(*pseudo_.path);
    const Target target = normalize_target(out_.method, begin, pseudo_.path->size());
    out_.target = target.text;
    out_.path = target.path;
    out_.path_form = target.path_form;
    out_.has_encoded_separator = target.has_encoded_separator;
    out_.query = target.query;
    return target.rule;
  }

  Rule settle_framing(bool ends_stream) {
    if (ends_stream && length_.bytes > 0) return Rule::content_length;
    out_.has_content_length = length_.is_said;
    out_.content_length = length_.bytes;
    if (length_.bytes > 0)
      out_.framing = Framing::length;
    else if (!length_.is_said && !ends_stream)
      out_.framing = Framing::chunked;
    return Rule::none;
  }

  HeadText text_;
  RequestHead& out_;
  PseudoFields pseudo_;
  std::optional<std::string_view> host_;  // that came as a field
  SaidLength length_;
  bool regular_seen_ = false;
  uint32_t crumbs_ = 0;
  uint32_t cookie_ = 0;  // which field
};

}  // namespace

HeadRead read_request(const FieldBlock& block, ExtendedConnect extended_connect,
                      std::span<char> memory, RequestHead& out) {
  RequestReader reader{memory, out};
  const Rule rule = reader.read(block, extended_connect);
  return {.rule = rule, .text_bytes = reader.text_bytes()};
}

}  // namespace sluice::http::h2
