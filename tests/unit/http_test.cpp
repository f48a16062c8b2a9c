// Strictness: every rule has an accepted neighbour and a refused byte.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/random.h"
#include "http/forwarded.h"
#include "http/head_scanner.h"
#include "http/host.h"
#include "http/hygiene.h"
#include "http/parser.h"
#include "http/serializer.h"
#include "http/uri.h"

namespace sluice::http {
namespace {

// Scans a head in the given pieces, then parses it.
Rule read_request(std::string bytes, RequestHead& head, size_t piece = std::string::npos) {
  HeadScanner scanner;
  scanner.reset(HeadKind::request);
  for (size_t have = std::min(piece, bytes.size());; have = std::min(have + piece, bytes.size())) {
    const auto outcome = scanner.scan(std::string_view{bytes}.substr(0, have));
    if (outcome.state == HeadScanner::Outcome::State::broken) return outcome.rule;
    if (outcome.state == HeadScanner::Outcome::State::complete) {
      static std::string kept;  // the head's views point into it
      kept = bytes;
      Parser parser;
      return parser.parse_request({kept.data() + outcome.begin, outcome.end - outcome.begin}, head);
    }
    if (have == bytes.size()) return Rule::head_too_large;  // it never ended
  }
}

std::string with(const std::string& fields, const std::string& line = "GET /a HTTP/1.1") {
  return line + "\r\nHost: sluice.test\r\n" + fields + "\r\n";
}

struct Case {
  const char* why;
  std::string bytes;
  Rule rule;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> table = {
      {"a plain request", with(""), Rule::none},
      {"one blank line before it (RFC 9112 2.2)", "\r\n" + with(""), Rule::none},
      {"two blank lines", "\r\n\r\n" + with(""), Rule::leading_bytes},
      {"HTTP/1.0 needs no Host", "GET / HTTP/1.0\r\n\r\n", Rule::none},
      {"HTTP/0.9", "GET /\r\n\r\n", Rule::version},
      {"HTTP/2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", Rule::version},
      {"HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", Rule::version},
      {"the HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Rule::version},
      {"another protocol", "SETUP / RTSP/1.0\r\nHost: a\r\n\r\n", Rule::request_line},
      {"yet another", "SOURCE / ICE/1.0\r\nHost: a\r\n\r\n", Rule::request_line},
      {"lower-case protocol", "GET / http/1.1\r\nHost: a\r\n\r\n", Rule::request_line},
      {"two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", Rule::request_line},
      {"two spaces further on", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n", Rule::request_line},
      {"a tab for a space", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", Rule::request_line},
      {"a space in front", " GET / HTTP/1.1\r\nHost: a\r\n\r\n", Rule::request_line},
      {"an unknown method", "BREW / HTTP/1.1\r\nHost: a\r\n\r\n", Rule::method},
      {"a lower-case method", "get / HTTP/1.1\r\nHost: a\r\n\r\n", Rule::method},
      {"no Host", "GET / HTTP/1.1\r\n\r\n", Rule::host_missing},
      {"two Hosts", with("Host: b\r\n"), Rule::host_duplicate},
      {"an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", Rule::host_invalid},
      {"a Host with userinfo", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", Rule::host_invalid},
      {"a Host with a port", "GET / HTTP/1.1\r\nHost: a:80\r\n\r\n", Rule::none},
      {"a Host with a bad port", "GET / HTTP/1.1\r\nHost: a:8x\r\n\r\n", Rule::host_invalid},
      {"a Host with port 65536", "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", Rule::host_invalid},
      {"a Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", Rule::host_invalid},
      {"an IPv6 Host", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", Rule::none},
      {"blanks before the colon (CVE-2019-16276)", with("A : b\r\n"), Rule::field_name},
      {"a name that is no token", with("A(b): c\r\n"), Rule::field_name},
      {"an empty name", with(": c\r\n"), Rule::field_name},
      {"no colon", with("Abc\r\n"), Rule::field_name},
      {"an empty value", with("A:\r\n"), Rule::none},
      {"a tab in a value", with("A: b\tc\r\n"), Rule::none},
      {"bytes above 0x7f in a value", with("A: \xc3\xa4\r\n"), Rule::none},
      {"bytes above 0x7f in a name", with("\xc3\xa4: a\r\n"), Rule::field_name},
      {"NUL in a value", with(std::string("A: b\0c\r\n", 8)), Rule::control_byte},
      {"DEL in a value", with("A: b\x7f\r\n"), Rule::control_byte},
      {"a bare LF between fields", with("A: b\nB: c\r\n"), Rule::bare_lf},
      {"a bare LF at the end", "GET / HTTP/1.1\r\nHost: a\r\n\n", Rule::bare_lf},
      {"a bare CR", with("A: b\rc\r\n"), Rule::bare_cr},
      {"a folded line (RFC 9112 5.2)", with("A: b\r\n c\r\n"), Rule::obs_fold},
      {"a folded line by tab", with("A: b\r\n\tc\r\n"), Rule::obs_fold},
      {"Content-Length", with("Content-Length: 5\r\n"), Rule::none},
      {"Content-Length twice", with("Content-Length: 5\r\nContent-Length: 5\r\n"),
       Rule::content_length},
      {"Content-Length in a list", with("Content-Length: 5, 5\r\n"), Rule::content_length},
      {"a signed Content-Length", with("Content-Length: +5\r\n"), Rule::content_length},
      {"a negative Content-Length", with("Content-Length: -5\r\n"), Rule::content_length},
      {"a hexadecimal Content-Length", with("Content-Length: 0x5\r\n"), Rule::content_length},
      {"an empty Content-Length", with("Content-Length: \r\n"), Rule::content_length},
      {"a Content-Length beyond all bounds", with("Content-Length: 99999999999999999999\r\n"),
       Rule::content_length},
      {"chunked", with("Transfer-Encoding: chunked\r\n"), Rule::none},
      {"Chunked in capitals", with("Transfer-Encoding: CHUNKED\r\n"), Rule::none},
      {"both framings (CL.TE)", with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
       Rule::length_and_encoding},
      {"both framings (TE.CL)", with("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
       Rule::length_and_encoding},
      {"gzip, chunked", with("Transfer-Encoding: gzip, chunked\r\n"), Rule::transfer_encoding},
      {"chunked twice", with("Transfer-Encoding: chunked, chunked\r\n"), Rule::transfer_encoding},
      {"chunked in two fields",
       with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
       Rule::transfer_encoding},
      {"identity", with("Transfer-Encoding: identity\r\n"), Rule::transfer_encoding},
      {"xchunked", with("Transfer-Encoding: xchunked\r\n"), Rule::transfer_encoding},
      {"chunked with a vertical tab",
       with("Transfer-Encoding: \x0b"
            "chunked\r\n"),
       Rule::control_byte},
      {"Transfer-Encoding in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
       Rule::transfer_encoding},
      {"Expect: 100-continue", with("Expect: 100-continue\r\n"), Rule::none},
      {"another Expect", with("Expect: 200-ok\r\n"), Rule::expectation},
      {"Upgrade: h2c is ignored",
       with("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: "
            "AAMAAABkAARAAAAAAAIAAAAA\r\n"),
       Rule::none},
      {"an absolute target", "GET http://a.test/b HTTP/1.1\r\nHost: c\r\n\r\n", Rule::none},
      {"an absolute target without a host", "GET http:///b HTTP/1.1\r\nHost: c\r\n\r\n",
       Rule::host_invalid},
      {"an absolute target with userinfo", "GET http://u:p@a/b HTTP/1.1\r\nHost: c\r\n\r\n",
       Rule::host_invalid},
      {"another scheme", "GET ftp://a/b HTTP/1.1\r\nHost: c\r\n\r\n", Rule::target},
      {"a target without a slash", "GET a HTTP/1.1\r\nHost: c\r\n\r\n", Rule::target},
      {"an asterisk for GET", "GET * HTTP/1.1\r\nHost: c\r\n\r\n", Rule::target},
      {"an asterisk for OPTIONS", "OPTIONS * HTTP/1.1\r\nHost: c\r\n\r\n", Rule::none},
      {"a fragment", "GET /a#b HTTP/1.1\r\nHost: c\r\n\r\n", Rule::target},
      {"%00", "GET /a%00 HTTP/1.1\r\nHost: c\r\n\r\n", Rule::target_encoding},
      {"half a percent-encoding", "GET /a%4 HTTP/1.1\r\nHost: c\r\n\r\n", Rule::target_encoding},
      {"a bad percent-encoding", "GET /a%4g HTTP/1.1\r\nHost: c\r\n\r\n", Rule::target_encoding},
      {"a backslash in the path", "GET /a\\b HTTP/1.1\r\nHost: c\r\n\r\n", Rule::target},
      {"what browsers send", "GET /a|b[c]{d}^\"?e|f[g]{h}^`\\ HTTP/1.1\r\nHost: c\r\n\r\n",
       Rule::none},
      {"bytes above 0x7f in the target", "GET /\xc3\xa4 HTTP/1.1\r\nHost: c\r\n\r\n", Rule::target},
      {"TLS on a plain port", "\x16\x03\x01\x02", Rule::control_byte},
  };
  return table;
}

TEST(Request, each_rule_has_a_verdict_however_the_bytes_are_cut) {
  for (const Case& entry : cases()) {
    RequestHead head;
    const Rule whole = read_request(entry.bytes, head);
    EXPECT_EQ(reason_code(whole), reason_code(entry.rule)) << entry.why;
    for (const size_t piece : {size_t{1}, size_t{2}, size_t{3}, size_t{7}}) {
      EXPECT_EQ(read_request(entry.bytes, head, piece), whole)
          << entry.why << " in pieces of " << piece;
    }
  }
}

TEST(Request, bounds_are_exact) {
  RequestHead head;
  const std::string longest(core::limits::target_bytes_max, 'a');
  EXPECT_EQ(read_request(with("", "GET /" + longest.substr(1) + " HTTP/1.1"), head), Rule::none);
  EXPECT_EQ(read_request(with("", "GET /" + longest + " HTTP/1.1"), head), Rule::target_too_long);
  std::string fields;
  for (unsigned i = 1; i < core::limits::head_fields_max; ++i)
    fields += "A" + std::to_string(i) + ": b\r\n";
  EXPECT_EQ(read_request(with(fields), head), Rule::none);
  EXPECT_EQ(read_request(with(fields + "One: more\r\n"), head), Rule::too_many_fields);
  const std::string frame = with("A: \r\n");
  const std::string filler(core::limits::head_bytes_max - frame.size(), 'x');
  EXPECT_EQ(read_request(with("A: " + filler + "\r\n"), head), Rule::none);
  EXPECT_EQ(read_request(with("A: " + filler + "x\r\n"), head), Rule::head_too_large);
}

TEST(Request, absolute_target_wins_over_host) {
  RequestHead head;
  ASSERT_EQ(read_request("GET http://a.test:81?q HTTP/1.1\r\nHost: c\r\n\r\n", head), Rule::none);
  EXPECT_EQ(head.authority, "a.test:81");
  EXPECT_EQ(head.target, "/?q");
}

std::string normalized(std::string path) {
  const Target target = normalize_target(Method::get, path.data(), path.size());
  return target.rule == Rule::none ? std::string{target.text} : "refused";
}

TEST(Target, paths_have_one_form) {
  const std::vector<std::pair<const char*, const char*>> table = {
      {"/", "/"},
      {"/a/b", "/a/b"},
      {"/a/./b", "/a/b"},
      {"/a/../b", "/b"},
      {"/../a", "refused"},
      {"/a/..", "/"},
      {"/a/.", "/a/"},
      {"/..", "refused"},
      {"//..", "refused"},
      {"/./..", "refused"},
      {"/a/../..", "refused"},
      {"//a", "//a"},
      {"/a//b", "/a//b"},
      {"/a//../b", "/b"},
      {"/a/b//../c", "/a/c"},
      {"/%61", "/a"},
      {"/%2e%2E/a", "refused"},
      {"/a%2fb", "/a%2Fb"},
      {"/a%5cb", "/a%5Cb"},
      {"/%7Ea", "/~a"},
      {"/%41?%61", "/A?%61"},
      {"/a?../b", "/a?../b"},
      {"/...", "/..."},
      {"/.a", "/.a"},
      {"/%25%32%65", "/%252e"},
      {"/a/%2e%2e%2fb", "refused"},
      {"/a%2f..", "refused"},
      {"/a%5c.%5cb", "refused"},
      {"/a%2fb..", "/a%2Fb.."},
      {"/a/..;/b", "refused"},
      {"/a/..;x=1/b", "refused"},
      {"/a/.%3bx/b", "refused"},
      {"/a;b/c", "/a;b/c"},
      {"/a%c0%afb", "refused"},
      {"/a%e0%80%af", "refused"},
      {"/a%f0%80%80%af", "refused"},
      {"/a%c3%a9%e2%82%ac%f0%9f%98%80", "/a%C3%A9%E2%82%AC%F0%9F%98%80"},
      {"/a%c0", "/a%C0"},
      {"/?", "/?"},
      {"/a/b/../../../c", "refused"},
  };
  for (const auto& [given, wanted] : table) EXPECT_EQ(normalized(given), wanted) << given;
}

TEST(Target, routes_are_matched_by_what_endpoints_understand) {
  const std::vector<std::array<const char*, 3>> table = {
      {"/a/b", "/a/b", "/a/b"},
      {"//a///b//", "/a/b/", "/a/b/"},
      {"/a%40b%3Ac", "/a@b:c", "/a@b:c"},
      {"/a%2Fb", "/a%2Fb", "/a%2Fb"},
      {"/a|b", "/a%7Cb", "/a%7Cb"},
      {"/a%20b%252F", "/a%20b%252F", "/a%20b%252F"},
      {"/a;x=1/b;y", "/a;x=1/b;y", "/a/b"},
      {"/a%3Bx/b", "/a;x/b", "/a/b"},
      {"/;x/a", "/;x/a", "/a"},
      {"/a;", "/a;", "/a"},
  };
  for (const auto& [given, matched, without_parameters] : table) {
    std::array<char, matched_path_max> memory;
    EXPECT_EQ(matched_path(given, memory), matched) << given;
    EXPECT_EQ(cut_parameters(matched_path(given, memory), memory), without_parameters) << given;
  }
}

TEST(Target, segments_of_a_prefix_are_dropped_however_they_are_written) {
  EXPECT_EQ(drop_segments_of("/shop", "/shop/x"), "/x");
  EXPECT_EQ(drop_segments_of("/shop", "//shop//x"), "//x");
  EXPECT_EQ(drop_segments_of("/a@b/c", "/a%40b//c/d"), "/d");
  EXPECT_EQ(drop_segments_of("/shop", "/shop"), "");
  EXPECT_EQ(drop_segments_of("/", "/x"), "/x");
  EXPECT_EQ(drop_segments_of("", "/x"), "/x");
}

TEST(Host, one_host_has_one_form) {
  const std::vector<std::pair<const char*, const char*>> table = {
      {"a.example", "a.example"},
      {"A.Example.", "a.example"},
      {"a.example:80", "a.example"},
      {"a.example.:8080", "a.example"},
      {"127.0.0.1:80", "127.0.0.1"},
      {"[::1]", "[::1]"},
      {"[0:0:0:0:0:0:0:1]:80", "[::1]"},
      {"[2001:DB8::0001]", "[2001:db8::1]"},
      {"[::ffff:7f00:1]", "[::ffff:127.0.0.1]"},
      {"", ""},
  };
  std::array<char, host_bytes_max> memory;
  for (const auto& [given, wanted] : table)
    EXPECT_EQ(canonical_host(given, memory), wanted) << given;
  for (const char* bad :
       {"[:::::]", "[1.2.3.4]", "[::1", "[::1]x", "[fe80::1%25eth0]", "[v1.x]", "[]", ".", "..",
        ".a", "a..b", "a..", "%61.example", "a:0", "a:65536", "a@b", ""})
    EXPECT_FALSE(is_valid_authority(bad)) << bad;
  for (const char* good : {"a.example.", "a:", "a_b", "[::1]:80", "[::ffff:1.2.3.4]"})
    EXPECT_TRUE(is_valid_authority(good)) << good;
}

TEST(Target, fragment_behind_an_authority_is_refused) {  // the fuzzer's find
  EXPECT_EQ(normalized("http://a#b"), "refused");
  EXPECT_EQ(normalized("http://a?b"), "/?b");
}

TEST(Target, normalizing_is_idempotent_and_never_escapes) {
  core::Random random{11};
  constexpr std::string_view pieces[] = {"/",   ".",   "..", "a",   "%2e", "%2F", "%2f",
                                         "%41", "%25", "//", "b?c", "%",   "%zz"};
  for (int i = 0; i < 50000; ++i) {
    std::string path = "/";
    for (uint64_t n = random.below(9); n > 0; --n) path += pieces[random.below(std::size(pieces))];
    const std::string once = normalized(path);
    if (once == "refused") continue;
    EXPECT_EQ(normalized(once), once) << path;
    const std::string_view plain = std::string_view{once}.substr(0, once.find('?'));
    EXPECT_EQ(plain.find("/../"), std::string_view::npos) << path;
    EXPECT_FALSE(plain.ends_with("/..")) << path;
  }
}

// A token in a query comes with its '.', '-' and '_' encoded by some clients (RFC 3986 2.3).
TEST(Target, parameter_is_decoded_where_it_lies_and_no_other_byte_changes) {
  const auto decoded = [](std::string query) {
    RequestHead head;
    head.query = query;
    decode_parameter(head, query.data(), "t");
    return query;
  };
  const std::pair<const char*, const char*> table[] = {
      {"t=a%2Eb%2ec", "t=a.b.c&&&&"},
      {"x=%2E&t=%61%5A%30%2D%5F%7E", "x=%2E&t=aZ0-_~&&&&&&&&&&&&"},
      {"t=%2E&t=%2E", "t=.&&&t=.&&"},
      {"t=plain", "t=plain"},
      {"t=%26%3D%2F%25%20", "t=%26%3D%2F%25%20"},  // they would mean something else
      {"t=%2Ex%26%2E", "t=.x%26.&&&&"},
      {"tt=%2E&%74=%2E&t", "tt=%2E&%74=%2E&t"},  // not its name
      {"t=%2", "t=%2"},
      {"t=", "t="},
      {"", ""},
  };
  for (const auto& [given, wanted] : table) EXPECT_EQ(decoded(given), wanted) << given;
}

TEST(Body, chunks_are_taken_apart_in_place_however_they_are_cut) {
  const std::string encoded =
      "5;a=b\r\nhello\r\n1\r\n,\r\n6\r\n world\r\n0\r\nTrailer: x\r\n\r\nGET /next";
  for (size_t cut = 0; cut <= encoded.size(); ++cut) {
    std::string head_bytes = with("Transfer-Encoding: chunked\r\n");
    RequestHead head;
    Parser parser;
    ASSERT_EQ(parser.parse_request({head_bytes.data(), head_bytes.size()}, head), Rule::none);
    std::string body;
    std::string left = encoded.substr(0, cut);
    std::string rest = encoded.substr(cut);
    size_t consumed = 0;
    for (std::string* part : {&left, &rest}) {
      const BodyPiece piece = parser.take_body(*part, part->data());
      ASSERT_EQ(piece.rule, Rule::none) << cut;
      body.append(*part, 0, piece.produced);
      consumed += piece.consumed;
      if (piece.complete) break;
    }
    EXPECT_EQ(body, "hello, world") << cut;
    EXPECT_EQ(consumed, encoded.size() - 9) << cut;
  }
}

TEST(Body, bad_chunks_are_refused) {
  const std::vector<std::pair<std::string, Rule>> table = {
      {"g\r\n", Rule::chunk_size},
      {"\r\n", Rule::chunk_size},
      {"-1\r\n", Rule::chunk_size},
      {"5 \r\nhello", Rule::chunk_size},
      {"0x5\r\nhello", Rule::chunk_size},
      {"5\nhello", Rule::chunk_size},
      {"5\r\nhelloX\r\n", Rule::chunk_size},
      {"11111111111111111\r\n", Rule::chunk_size},
      {"1;" + std::string(300, 'a') + "\r\n", Rule::chunk_extension},
      {"1; " + std::string(300, ' ') + "a\r\n", Rule::chunk_extension},
      {"1;a=\"" + std::string(300, ';') + "\"\r\n", Rule::chunk_extension},
      {"1;a=\"b\r\n", Rule::chunk_size},
      {"1;a b\r\n", Rule::chunk_size},
      {"1;a=b c\r\n", Rule::chunk_size},
      {"1;\r\n", Rule::chunk_size},
      {"1;a \r\n", Rule::chunk_size},
      {" 1\r\n", Rule::chunk_size},
      {"0\r\nA : b\r\n\r\n", Rule::trailer},
      {"0\r\nA: " + std::string(9000, 'b') + "\r\n\r\n", Rule::trailer},
  };
  for (auto [encoded, rule] : table) {
    std::string head_bytes = with("Transfer-Encoding: chunked\r\n");
    RequestHead head;
    Parser parser;
    ASSERT_EQ(parser.parse_request({head_bytes.data(), head_bytes.size()}, head), Rule::none);
    EXPECT_EQ(reason_code(parser.take_body(encoded, encoded.data()).rule), reason_code(rule))
        << encoded.substr(0, 20);
  }
}

TEST(Body, blanks_of_the_grammar_are_taken_from_everybody) {
  for (const char* line : {"2; a=b", "2 ;a=b", "2;a = b", "2\t; a\t=\t\"b;\\\"\" ;c"}) {
    std::string head_bytes = with("Transfer-Encoding: chunked\t\r\n");
    RequestHead head;
    Parser parser;
    ASSERT_EQ(parser.parse_request({head_bytes.data(), head_bytes.size()}, head), Rule::none);
    std::string encoded = std::string{line} + "\r\nok\r\n0\r\n\r\n";
    const BodyPiece piece = parser.take_body(encoded, encoded.data());
    EXPECT_TRUE(piece.complete) << line << ": " << reason_code(piece.rule);
    EXPECT_EQ(encoded.substr(0, piece.produced), "ok") << line;
    EXPECT_EQ(parser.repairs(), 0U) << line;
  }
}

TEST(Body, blanks_that_endpoints_send_are_passed_over_and_counted) {
  std::string head_bytes =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\nX-A \t: b\r\nX-B: c\r\n\r\n";
  ResponseHead head;
  Parser parser;
  ASSERT_EQ(parser.parse_response({head_bytes.data(), head_bytes.size()}, Method::get, head),
            Rule::none);
  EXPECT_EQ(head.framing, Framing::chunked);
  ASSERT_EQ(head.fields.size(), 3U);
  EXPECT_EQ(head.fields.name(head.fields[1]), "X-A");
  EXPECT_EQ(head.fields.value(head.fields[1]), "b");
  std::string trailers(core::limits::trailer_memory_bytes, '\0');
  parser.keep_trailers(trailers);
  std::string encoded = " 2 \r\nok\r\n0 \r\nX-Sum : 1\r\nContent-Length: 5\r\n\r\n";
  const BodyPiece piece = parser.take_body(encoded, encoded.data());
  EXPECT_TRUE(piece.complete) << reason_code(piece.rule);
  EXPECT_EQ(encoded.substr(0, piece.produced), "ok");
  EXPECT_EQ(parser.trailers(), "X-Sum: 1\r\n");
  EXPECT_EQ(parser.repairs(), 6U);
}

TEST(Response, framing_follows_the_request_and_the_status) {
  const auto framing = [](const std::string& text, Method method) {
    std::string bytes = text;
    ResponseHead head;
    Parser parser;
    if (parser.parse_response({bytes.data(), bytes.size()}, method, head) != Rule::none)
      return std::string{"refused"};
    switch (head.framing) {
      case Framing::none: return std::string{"none"};
      case Framing::length: return std::string{"length"};
      case Framing::chunked: return std::string{"chunked"};
      case Framing::until_close: return std::string{"close"};
    }
    return std::string{};
  };
  EXPECT_EQ(framing("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Method::get), "length");
  EXPECT_EQ(framing("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Method::head), "none");
  EXPECT_EQ(framing("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", Method::get), "none");
  EXPECT_EQ(framing("HTTP/1.1 204 No Content\r\n\r\n", Method::get), "none");
  EXPECT_EQ(framing("HTTP/1.1 200 OK\r\n\r\n", Method::get), "close");
  EXPECT_EQ(framing("HTTP/1.0 200 OK\r\n\r\n", Method::get), "close");
  EXPECT_EQ(framing("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Method::get),
            "chunked");
  EXPECT_EQ(framing("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", Method::get), "refused");
  EXPECT_EQ(framing("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
                    Method::get),
            "refused");
  EXPECT_EQ(
      framing("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", Method::get),
      "refused");
  EXPECT_EQ(check_status_line("HTTP/1.1 200 OK"), Rule::none);
  EXPECT_EQ(check_status_line("HTTP/1.1 099 OK"), Rule::status_line);
  EXPECT_EQ(check_status_line("HTTP/2 200 OK"), Rule::status_line);
  EXPECT_EQ(check_status_line("HTTP/1.1  200 OK"), Rule::status_line);
}

TEST(Hygiene, what_is_for_this_hop_or_ours_to_set_is_dropped) {
  std::string bytes = with(
      "Connection: close, X-Named, Host, Authorization\r\nX-Named: 1\r\nKeep-Alive: "
      "5\r\nProxy-Connection: x\r\nTE: trailers\r\nUpgrade: "
      "h2c\r\n"
      "Proxy-Authorization: x\r\nAuthorization: Bearer t\r\nX-Forwarded-For: "
      "6.6.6.6\r\nx-forwarded-host: evil\r\nForwarded: for=x\r\n"
      "X_Forwarded_For: 1\r\nX-Real-IP: 1\r\nX-Request-Id: 1\r\nAccept: */*\r\naccept: "
      "text/html\r\n");
  RequestHead head;
  Parser parser;
  ASSERT_EQ(parser.parse_request({bytes.data(), bytes.size()}, head), Rule::none);
  EXPECT_EQ(drop_request_fields(head, {}), 1U);
  const auto kept = [&] {
    std::string names;
    for (Field& field : head.fields) {
      if (field.disposition == Disposition::keep)
        names += std::string{head.fields.name(field)} + ";";
      field.disposition = Disposition::keep;
    }
    return names;
  };
  EXPECT_EQ(kept(), "Authorization;Accept;accept;");
  // What is known by another spelling is dropped even where '_' may pass.
  EXPECT_EQ(drop_request_fields(head, {.underscores = Underscores::pass}), 1U);
  EXPECT_EQ(kept(), "Authorization;Accept;accept;");
  EXPECT_EQ(drop_request_fields(head, {.trust = Trust::peer}), 1U);
  EXPECT_EQ(kept(), "Authorization;Forwarded;X-Real-IP;Accept;accept;");
}

TEST(Serializer, request_is_built_anew) {
  std::string bytes =
      "POST http://api.test/a/../b?c HTTP/1.1\r\nHost: other\r\nContent-Length: 5\r\nX-A: b "
      "\r\n\r\n";
  RequestHead head;
  Parser parser;
  ASSERT_EQ(parser.parse_request({bytes.data(), bytes.size()}, head), Rule::none);
  EXPECT_EQ(drop_request_fields(head, {}), 0U);
  std::array<std::byte, 1024> memory;
  Writer writer{memory};
  write_request_head(writer, head,
                     {.forwarding = {.peer = "10.0.0.1"},
                      .default_host = "unused",
                      .request_id = "id",
                      .traceparent = "tp"});
  const auto written = writer.written();
  EXPECT_EQ((std::string{reinterpret_cast<const char*>(written.data()), written.size()}),
            "POST /b?c HTTP/1.1\r\nHost: api.test\r\nX-A: b\r\nX-Forwarded-For: "
            "10.0.0.1\r\nX-Forwarded-Proto: http\r\n"
            "X-Forwarded-Host: api.test\r\nX-Forwarded-Port: 80\r\nX-Request-Id: "
            "id\r\ntraceparent: tp\r\nContent-Length: "
            "5\r\n\r\n");
}

TEST(Forwarding, what_a_trusted_peer_says_is_taken_if_it_is_well_formed) {
  const auto written = [](const std::string& fields, Forwarding ours) {
    std::string bytes = with(fields);
    RequestHead head;
    Parser parser;
    if (parser.parse_request({bytes.data(), bytes.size()}, head) != Rule::none)
      return std::string{"refused"};
    std::array<std::byte, 4096> memory;
    Writer writer{memory};
    ours.peer = "10.0.0.1";
    ours.host = "api.test:8000";
    write_forwarding(writer, head.fields, read_forwarding(head.fields, ours));
    return std::string{reinterpret_cast<const char*>(memory.data()), writer.size()};
  };
  const std::string said =
      "X-Forwarded-Proto: https, http\r\nX-Forwarded-Host: shop.test\r\nX-Forwarded-For: "
      "192.0.2.1\r\n"
      "X-Forwarded-Prefix: /outer/\r\nForwarded: for=192.0.2.1\r\n";
  EXPECT_EQ(written(said, {.trust = Trust::peer, .prefix = "/shop"}),
            "X-Forwarded-For: 192.0.2.1, 10.0.0.1\r\nX-Forwarded-Proto: https\r\n"
            "X-Forwarded-Host: shop.test\r\nX-Forwarded-Port: 443\r\nX-Forwarded-Prefix: "
            "/outer/shop\r\n");
  EXPECT_EQ(
      written(said, {.prefix = "/shop"}),
      "X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: http\r\n"
      "X-Forwarded-Host: api.test:8000\r\nX-Forwarded-Port: 8000\r\nX-Forwarded-Prefix: /shop\r\n");
  EXPECT_EQ(written(said, {.form = ForwardedForm::rfc7239, .trust = Trust::peer}),
            "Forwarded: for=192.0.2.1, for=10.0.0.1;proto=https;host=\"shop.test\"\r\n");
  EXPECT_EQ(written(said, {.form = ForwardedForm::rfc7239}),
            "Forwarded: for=10.0.0.1;proto=http;host=\"api.test:8000\"\r\n");
  const std::string ours = written("", {.trust = Trust::peer});
  for (const char* bad :
       {"X-Forwarded-Proto: ftp\r\n", "X-Forwarded-Host: a b\r\n", "X-Forwarded-Host: a@b\r\n",
        "X-Forwarded-Port: 0\r\n", "X-Forwarded-Port: 65536\r\n", "X-Forwarded-Port: -1\r\n",
        "X-Forwarded-Prefix: //evil.test\r\n", "X-Forwarded-Prefix: /a/../b\r\n",
        "X-Forwarded-Prefix: x\r\n"})
    EXPECT_EQ(written(bad, {.trust = Trust::peer}), ours) << bad;
}

TEST(Serializer, chunk_is_framed_where_it_lies) {
  std::string memory = "..........hello,......";
  const auto chunk = frame_chunk(memory.data() + 10, 5, ChunkEnd::last);
  EXPECT_EQ((std::string{reinterpret_cast<const char*>(chunk.data()), chunk.size()}),
            "5\r\nhello\r\n0\r\n\r\n");
}

}  // namespace
}  // namespace sluice::http
