// Heads of HTTP/2: each rule has an accepted neighbour and a refused one, and what is accepted is
// what the HTTP/1.1 parser makes of the same request.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/random.h"
#include "http/h2/message_reader.h"
#include "http/head_scanner.h"
#include "http/hygiene.h"
#include "http/parser.h"
#include "http/serializer.h"
#include "tests/unit/h2_rig.h"

namespace sluice::http::h2 {
namespace {

using rig::FieldList;
using rig::get;
using rig::post;

class Heads : public testing::Test {
 protected:
  Rule read(const FieldList& fields, bool ends = true,
            ExtendedConnect extended = ExtendedConnect::refused) {
    FieldBlock block{memory_};
    for (const auto& [name, value] : fields)
      static_cast<void>(block.add(name, value, header_list_bytes_max));
    block.ends_stream = ends;
    return read_request(block, extended, text_, head_).rule;
  }
  Rule answer(const FieldList& fields, bool ends = false, Method method = Method::get) {
    FieldBlock block{memory_};
    for (const auto& [name, value] : fields)
      static_cast<void>(block.add(name, value, header_list_bytes_max));
    block.ends_stream = ends;
    return read_response(block, method, text_, response_);
  }
  [[nodiscard]] std::string value_of(std::string_view name) const {
    std::string all;
    for (const Field& field : head_.fields) {
      if (head_.fields.name(field) == name) all += std::string{head_.fields.value(field)} + "|";
    }
    return all;
  }
  // The request as it goes to an HTTP/1.1 endpoint.
  std::string forwarded() {
    drop_request_fields(head_, {});
    std::vector<std::byte> memory(core::limits::buffer_send_bytes);
    Writer writer{memory};
    write_request_head(writer, head_, {.forwarding = {.peer = "192.0.2.1"}, .request_id = "id"});
    return {reinterpret_cast<const char*>(writer.written().data()), writer.size()};
  }

  Memory memory_{1 << 20};
  std::vector<char> text_ = std::vector<char>(head_memory_bytes);
  RequestHead head_;
  ResponseHead response_;
};

FieldList without(FieldList fields, std::string_view name) {
  std::erase_if(fields, [&](const auto& field) { return field.first == name; });
  return fields;
}
FieldList with(FieldList fields, std::string_view name, std::string value) {
  for (auto& field : fields) {
    if (field.first == name) field.second = value;
  }
  return fields;
}

struct Case {
  const char* why;
  FieldList fields;
  Rule rule;
};

TEST_F(Heads, each_rule_has_a_verdict) {
  using namespace std::string_literals;
  const std::vector<Case> table = {
      {"a plain request", get(), Rule::none},
      {"no method", without(get(), ":method"), Rule::pseudo_field},
      {"no scheme", without(get(), ":scheme"), Rule::pseudo_field},
      {"another scheme", with(get(), ":scheme", "ftp"), Rule::pseudo_field},
      {"no path", without(get(), ":path"), Rule::pseudo_field},
      {"no authority, and Host in its place",
       [] {
         FieldList fields = without(get(), ":authority");
         fields.emplace_back("host", "sluice.test");
         return fields;
       }(),
       Rule::none},
      {"neither", without(get(), ":authority"), Rule::host_missing},
      {"an empty authority", with(get(), ":authority", ""), Rule::host_invalid},
      {"an authority with a user", with(get(), ":authority", "u@a"), Rule::host_invalid},
      {"an authority and a path in it", with(get(), ":authority", "a/b"), Rule::host_invalid},
      {"Host as the authority", get("/", {{"host", "SLUICE.test:80"}}), Rule::none},
      {"Host is another", get("/", {{"host", "other.test"}}), Rule::host_differs},
      {"Host on another port", get("/", {{"host", "sluice.test:81"}}), Rule::host_differs},
      {"two Hosts", get("/", {{"host", "sluice.test"}, {"host", "sluice.test"}}),
       Rule::host_duplicate},
      {"a method twice", get("/", {{":method", "GET"}}), Rule::pseudo_field},
      {"a path twice, first", {{":path", "/a"}, {":path", "/b"}}, Rule::pseudo_field},
      {"a pseudo-field behind a field",
       {{":method", "GET"}, {"a", "b"}, {":scheme", "http"}, {":authority", "a"}, {":path", "/"}},
       Rule::pseudo_field},
      {"a pseudo-field of answers", get("/", {{":status", "200"}}), Rule::pseudo_field},
      {"a pseudo-field nobody knows", get("/", {{":other", "x"}}), Rule::pseudo_field},
      {"one without a name", get("/", {{":", "x"}}), Rule::pseudo_field},
      {"a method nobody knows", with(get(), ":method", "BREW"), Rule::method},
      {"a method in lower case", with(get(), ":method", "get"), Rule::method},
      {"a method and more", with(get(), ":method", "GET / HTTP/1.1"), Rule::method},
      {"a method and a line", with(get(), ":method", "GET\r\nX: y"), Rule::bare_cr},
      {"an empty method", with(get(), ":method", ""), Rule::method},
      {"an empty path", get(""), Rule::target},
      {"a path without a slash", get("a"), Rule::target},
      {"the absolute form", get("http://other.test/a"), Rule::target},
      {"a path with a blank", get("/a b"), Rule::target},
      {"a path that ends with a blank", get("/a "), Rule::target},
      {"a path and a version", get("/ HTTP/1.1"), Rule::target},
      {"a path and a line", get("/ HTTP/1.1\r\nHost: other"), Rule::bare_cr},
      {"a path with LF", get("/\nx"), Rule::bare_lf},
      {"a path with NUL", get("/\0x"s), Rule::control_byte},
      {"a path with a fragment", get("/a#b"), Rule::target},
      {"a path with a tab", get("/a\tb"), Rule::target},
      {"a path above its root", get("/../x"), Rule::dot_segments},
      {"a bad encoding", get("/%zz"), Rule::target_encoding},
      {"OPTIONS of the whole server", with(get("*"), ":method", "OPTIONS"), Rule::none},
      {"GET of the whole server", get("*"), Rule::target},
      {"a long path", get("/" + std::string(8191, 'a')), Rule::none},
      {"a longer one", get("/" + std::string(8192, 'a')), Rule::target_too_long},
      {"Connection", get("/", {{"connection", "close"}}), Rule::connection_field},
      {"Connection that names a field", get("/", {{"connection", "authorization"}}),
       Rule::connection_field},
      {"Keep-Alive", get("/", {{"keep-alive", "300"}}), Rule::connection_field},
      {"Proxy-Connection", get("/", {{"proxy-connection", "close"}}), Rule::connection_field},
      {"Upgrade", get("/", {{"upgrade", "websocket"}}), Rule::connection_field},
      {"Transfer-Encoding", post("/", {{"transfer-encoding", "chunked"}}), Rule::connection_field},
      {"Transfer-Encoding of nothing", post("/", {{"transfer-encoding", ""}}),
       Rule::connection_field},
      {"TE: trailers", get("/", {{"te", "trailers"}}), Rule::none},
      {"TE and more", get("/", {{"te", "trailers, gzip"}}), Rule::connection_field},
      {"upper case", get("/", {{"X-Field", "a"}}), Rule::field_name},
      {"upper case that would frame", post("/", {{"Transfer-Encoding", "chunked"}}),
       Rule::field_name},
      {"a name with a blank", get("/", {{"x y", "a"}}), Rule::field_name},
      {"a name with a colon", get("/", {{"x:y", "a"}}), Rule::field_name},
      {"a name that is a line", get("/", {{"x: y\r\nhost", "a"}}), Rule::field_name},
      {"a name that ends in CR", get("/", {{"x\r", "a"}}), Rule::field_name},
      {"a name with NUL", get("/", {{"x\0y"s, "a"}}), Rule::field_name},
      {"a name above ASCII", get("/", {{"x\xc3\xa9", "a"}}), Rule::field_name},
      {"no name", get("/", {{"", "a"}}), Rule::field_name},
      {"a value that is a line", get("/", {{"x", "a\r\ny: b"}}), Rule::bare_cr},
      {"a value with LF", get("/", {{"x", "a\ny: b"}}), Rule::bare_lf},
      {"a value with NUL", get("/", {{"x", "a\0b"s}}), Rule::control_byte},
      {"a value with another control byte", get("/", {{"x", "a\x01"}}), Rule::control_byte},
      {"a value with DEL", get("/", {{"x", "a\x7f"}}), Rule::control_byte},
      {"a value with a tab inside", get("/", {{"x", "a\tb"}}), Rule::none},
      {"a value above ASCII", get("/", {{"x", "\xc3\xa9"}}), Rule::none},
      {"an empty value", get("/", {{"x", ""}}), Rule::none},
      {"a value that begins with a blank", get("/", {{"x", " a"}}), Rule::field_value},
      {"a value that ends with a tab", get("/", {{"x", "a\t"}}), Rule::field_value},
      {"a length without a body", post("/", {{"content-length", "5"}}), Rule::content_length},
      {"no length without a body", post("/", {{"content-length", "0"}}), Rule::none},
      {"a length twice", post("/", {{"content-length", "0"}, {"content-length", "0"}}),
       Rule::content_length},
      {"a list of lengths", post("/", {{"content-length", "0, 0"}}), Rule::content_length},
      {"a signed length", post("/", {{"content-length", "+0"}}), Rule::content_length},
      {"a length too large", post("/", {{"content-length", "9999999999999999999"}}),
       Rule::content_length},
      {"Expect", post("/", {{"expect", "100-Continue"}}), Rule::none},
      {"Expect of something else", post("/", {{"expect", "200"}}), Rule::expectation},
      {"CONNECT", {{":method", "CONNECT"}, {":authority", "a:1"}}, Rule::none},
      {"CONNECT with a path",
       {{":method", "CONNECT"}, {":authority", "a:1"}, {":path", "/"}},
       Rule::pseudo_field},
      {"CONNECT without an authority", {{":method", "CONNECT"}}, Rule::pseudo_field},
      {"a protocol that nobody offered", with(get("/", {}), ":method", "CONNECT"),
       Rule::pseudo_field},
      {"a field too many", get("/", FieldList(100, {"x", "y"})), Rule::too_many_fields},
      {"as many as there may be", get("/", FieldList(99, {"x", "y"})), Rule::none},
      {"a head too large", get("/", {{"x", std::string(33'000, 'x')}}), Rule::head_too_large},
  };
  for (const Case& one : table) EXPECT_EQ(read(one.fields), one.rule) << one.why;
}

// What becomes of a request on its way down to HTTP/1.1 can't be steered by it: each of these
// would, were it written out as it came.
TEST_F(Heads, nothing_in_a_head_reaches_an_http1_endpoint_as_framing) {
  const std::vector<std::pair<const char*, FieldList>> attempts = {
      {"a chunked body in a body of known length",
       post("/", {{"content-length", "4"}, {"transfer-encoding", "chunked"}})},
      {"an encoding behind a line break in a value",
       post("/", {{"x", "a\r\ntransfer-encoding: chunked"}})},
      {"an encoding behind a line feed", post("/", {{"x", "a\ntransfer-encoding: chunked"}})},
      {"an encoding in a name", post("/", {{"x: a\r\ntransfer-encoding", "chunked"}})},
      {"a second request in the method",
       with(post(), ":method", "POST / HTTP/1.1\r\nHost: a\r\n\r\nGET")},
      {"a second request in the path",
       post("/ HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\nGET /admin")},
      {"a second request in the authority",
       with(post(), ":authority", "a\r\n\r\nGET /admin HTTP/1.1\r\nHost: a")},
      {"another path before the scheme's", with(post(), ":scheme", "http://a/admin?")},
      {"two lengths", post("/", {{"content-length", "0"}, {"content-length", "44"}})},
      {"two lengths in one", post("/", {{"content-length", "0\r\ncontent-length: 44"}})},
      {"an encoding in another spelling", post("/", {{"transfer-encoding ", "chunked"}})},
      {"an encoding with a tab", post("/", {{"transfer-encoding\t", "chunked"}})},
  };
  for (const auto& [why, fields] : attempts) {
    EXPECT_NE(read(fields, false), Rule::none) << why;
  }
  // And what is taken leaves with the one framing that the parsed head has.
  ASSERT_EQ(read(post("/a", {{"content-length", "4"}, {"x", "y"}}), false), Rule::none);
  EXPECT_EQ(forwarded(),
            "POST /a HTTP/1.1\r\nHost: sluice.test\r\nx: y\r\nX-Forwarded-For: 192.0.2.1\r\n"
            "X-Forwarded-Proto: http\r\nX-Forwarded-Host: sluice.test\r\nX-Forwarded-Port: 80\r\n"
            "X-Request-Id: id\r\n"
            "Content-Length: 4\r\n\r\n");
  ASSERT_EQ(read(post("/a"), false), Rule::none);
  EXPECT_NE(forwarded().find("\r\nTransfer-Encoding: chunked\r\n\r\n"), std::string::npos);
}

TEST_F(Heads, cookies_in_crumbs_are_one_field) {
  ASSERT_EQ(read(get("/", {{"cookie", "a=1"}, {"x", "y"}, {"cookie", "b=2"}, {"cookie", "c"}})),
            Rule::none);
  EXPECT_EQ(value_of("cookie"), "a=1; b=2; c|");
  EXPECT_EQ(head_.fields.size(), 3U);  // Host, Cookie, X
  EXPECT_EQ(head_.fields.name(head_.fields[1]), "cookie");
  ASSERT_EQ(read(get("/", FieldList(400, {"cookie", "a"}))), Rule::too_many_fields);
  // Whatever they come to, they find room.
  ASSERT_EQ(read(get("/", FieldList(90, {"cookie", std::string(340, 'c')}))), Rule::none);
  EXPECT_EQ(value_of("cookie").size(), 90U * 340 + 89 * 2 + 1);
}

TEST_F(Heads, extended_connect_is_the_upgrade_of_http1) {
  const FieldList fields = {{":method", "CONNECT"}, {":protocol", "websocket"},
                            {":scheme", "https"},   {":authority", "sluice.test"},
                            {":path", "/chat?a"},   {"sec-websocket-version", "13"}};
  EXPECT_EQ(read(fields, false, ExtendedConnect::refused), Rule::pseudo_field);
  ASSERT_EQ(read(fields, false, ExtendedConnect::allowed), Rule::none);
  EXPECT_EQ(head_.method, Method::get);
  EXPECT_EQ(head_.upgrade, "websocket");
  EXPECT_EQ(head_.target, "/chat?a");
  EXPECT_EQ(read(without(fields, ":authority"), false, ExtendedConnect::allowed),
            Rule::pseudo_field);
  EXPECT_EQ(read(with(fields, ":protocol", "web socket"), false, ExtendedConnect::allowed),
            Rule::pseudo_field);
  EXPECT_EQ(read(with(fields, ":method", "GET"), false, ExtendedConnect::allowed),
            Rule::pseudo_field);
}

TEST_F(Heads, answers_have_their_rules) {
  EXPECT_EQ(answer({{":status", "200"}, {"x", "y"}}), Rule::none);
  EXPECT_EQ(response_.framing, Framing::chunked);
  EXPECT_EQ(answer({{":status", "200"}, {"content-length", "3"}}), Rule::none);
  EXPECT_EQ(response_.framing, Framing::length);
  EXPECT_EQ(answer({{":status", "200"}}, true), Rule::none);
  EXPECT_EQ(response_.framing, Framing::none);
  EXPECT_TRUE(response_.has_content_length);
  EXPECT_EQ(answer({{":status", "200"}, {"content-length", "3"}}, true, Method::head), Rule::none);
  EXPECT_EQ(response_.content_length, 3U);
  EXPECT_EQ(answer({{":status", "304"}, {"content-length", "3"}}, true), Rule::none);
  EXPECT_EQ(answer({{":status", "200"}, {"content-length", "3"}}, true), Rule::content_length);
  EXPECT_EQ(answer({{"x", "y"}}), Rule::pseudo_field);
  EXPECT_EQ(answer({{":status", "20"}}), Rule::status_line);
  EXPECT_EQ(answer({{":status", "600"}}), Rule::status_line);
  EXPECT_EQ(answer({{":status", "101"}}), Rule::status_line);
  EXPECT_EQ(answer({{":status", "103"}}, true), Rule::status_line);
  EXPECT_EQ(answer({{":status", "200"}, {":status", "200"}}), Rule::pseudo_field);
  EXPECT_EQ(answer({{"x", "y"}, {":status", "200"}}), Rule::pseudo_field);
  EXPECT_EQ(answer({{":status", "200"}, {"transfer-encoding", "chunked"}}), Rule::connection_field);
  EXPECT_EQ(answer({{":status", "200"}, {"x", "a\r\nset-cookie: b"}}), Rule::bare_cr);
}

TEST_F(Heads, trailers_are_what_may_be_one) {
  const auto trailers = [&](const FieldList& fields, std::string_view& lines) {
    FieldBlock block{memory_};
    for (const auto& [name, value] : fields)
      static_cast<void>(block.add(name, value, core::limits::trailer_bytes_max));
    return read_trailers(block, {text_.data(), core::limits::trailer_memory_bytes}, lines);
  };
  std::string_view lines;
  EXPECT_EQ(
      trailers({{"grpc-status", "0"}, {"authorization", "x"}, {"content-length", "4"}}, lines),
      Rule::none);
  EXPECT_EQ(lines, "grpc-status: 0\r\n");
  EXPECT_EQ(trailers({{":path", "/"}}, lines), Rule::pseudo_field);
  EXPECT_EQ(trailers({{"x", "a\r\ny: b"}}, lines), Rule::trailer);
  EXPECT_EQ(trailers({{"X", "a"}}, lines), Rule::trailer);
  EXPECT_EQ(trailers({{"connection", "close"}}, lines), Rule::connection_field);
  EXPECT_EQ(trailers({{"x", std::string(9000, 'a')}}, lines), Rule::trailer);
}

TEST(Priority, is_read_as_rfc_9218_has_it) {
  const auto read = [](std::string_view value) {
    const Priority priority = read_priority(value);
    return std::pair{int{priority.urgency}, priority.incremental};
  };
  EXPECT_EQ(read("u=1"), (std::pair{1, false}));
  EXPECT_EQ(read("u=7, i"), (std::pair{7, true}));
  EXPECT_EQ(read("i=?0,u=0"), (std::pair{0, false}));
  EXPECT_EQ(read("u=2;x=1, other=3"), (std::pair{2, false}));
  EXPECT_EQ(read("u=9"), (std::pair{3, true}));  // as if nothing was said
  EXPECT_EQ(read("u=11"), (std::pair{3, true}));
}

// A random request, written for HTTP/1.1 and as a header block: both readers see the same.
class Twin {
 public:
  explicit Twin(uint64_t seed) : random_(seed) {}

  FieldList fields() {
    static const char* const methods[] = {"GET", "POST", "PUT", "DELETE", "HEAD", "PROPFIND"};
    static const char* const paths[] = {"/",      "/a/b",   "/a/./b/../c", "/%7euser",
                                        "/a%2Fb", "/x?y=1", "//a//b",      "/a;p=1",
                                        "/..",    "/%00",   "/a?b=%41",    "/a?b#c"};
    static const char* const names[] = {"x-a",         "accept",        "cookie", "user-agent",
                                        "te",          "expect",        "x_b",    "authorization",
                                        "traceparent", "content-length"};
    static const char* const values[] = {
        "",     "a", "a, b", "trailers",     "100-continue", "\xc3\xa9",
        "a\tb", "0", "5",    "Bearer x.y.z", "a;b=\"c, d\""};
    FieldList list = {{":method", pick(methods)},
                      {":scheme", "http"},
                      {":authority", pick({"a.test", "a.test:8080", "[::1]", "A.TEST.", "a b"})},
                      {":path", pick(paths)}};
    bool has_cookie = false;
    for (uint64_t count = random_.below(6); count > 0; --count) {
      const std::string name = pick(names);
      if (name == "cookie" && has_cookie) continue;  // of several, HTTP/2 makes one
      has_cookie |= name == "cookie";
      std::string value = pick(values);
      if (name == "te") value = "trailers";
      list.emplace_back(name, value);
    }
    return list;
  }
  bool ends() { return random_.below(2) == 0; }

  static std::string http1(const FieldList& fields, bool ends) {
    std::string text = fields[0].second + " " + fields[3].second +
                       " HTTP/1.1\r\nhost: " + fields[2].second + "\r\n";
    bool has_length = false;
    for (size_t at = 4; at < fields.size(); ++at) {
      text += fields[at].first + ": " + fields[at].second + "\r\n";
      has_length |= fields[at].first == "content-length";
    }
    if (!ends && !has_length) text += "transfer-encoding: chunked\r\n";
    return text + "\r\n";
  }

 private:
  template <size_t count>
  std::string pick(const char* const (&list)[count]) {
    return list[random_.below(count)];
  }

  core::Random random_;
};

TEST_F(Heads, of_a_random_request_are_those_of_the_http1_parser) {
  int accepted = 0;
  for (uint64_t seed = 0; seed < 20'000; ++seed) {
    Twin twin{seed};
    const FieldList fields = twin.fields();
    const bool ends = twin.ends();
    std::string text = Twin::http1(fields, ends);
    Parser parser;
    RequestHead theirs;
    HeadScanner scanner;
    scanner.reset(HeadKind::request);
    const auto scanned = scanner.scan(text);
    Rule wanted = scanned.rule;
    if (scanned.state == HeadScanner::Outcome::State::complete)
      wanted = parser.parse_request({text.data(), text.size()}, theirs);
    Rule got = read(fields, ends);
    // A body that is announced and can't come is HTTP/2's own mistake.
    if (got == Rule::content_length && ends && wanted == Rule::none && theirs.content_length > 0)
      continue;
    ASSERT_EQ(got == Rule::none, wanted == Rule::none)
        << text << reason_code(got) << " " << reason_code(wanted);
    if (got != Rule::none) continue;
    ++accepted;
    EXPECT_EQ(head_.method, theirs.method);
    EXPECT_EQ(head_.method_text, theirs.method_text);
    EXPECT_EQ(head_.target, theirs.target);
    EXPECT_EQ(head_.path, theirs.path);
    EXPECT_EQ(head_.query, theirs.query);
    EXPECT_EQ(head_.path_form, theirs.path_form);
    EXPECT_EQ(head_.has_encoded_separator, theirs.has_encoded_separator);
    EXPECT_EQ(head_.authority, theirs.authority);
    EXPECT_EQ(head_.framing, theirs.framing);
    EXPECT_EQ(head_.content_length, theirs.content_length);
    EXPECT_EQ(head_.has_content_length, theirs.has_content_length);
    EXPECT_EQ(head_.expectation, theirs.expectation);
    EXPECT_EQ(head_.accepts_trailers, theirs.accepts_trailers);
    EXPECT_EQ(head_.persistence, theirs.persistence);
    const std::string ours = forwarded();
    std::swap(head_, theirs);
    EXPECT_EQ(ours, forwarded()) << text;
    ASSERT_FALSE(testing::Test::HasFailure()) << seed << ": " << text;
  }
  EXPECT_GT(accepted, 2000);
}

}  // namespace
}  // namespace sluice::http::h2
