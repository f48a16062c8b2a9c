// Raw requests, what each is answered with, and what an origin that records gets to see of it:
// exactly the intended requests and not a byte more, however the bytes are cut. Each rule has a
// neighbour that is accepted.
#include <gtest/gtest.h>

#include "tests/conformance/rig.h"

namespace sluice::conformance {
namespace {

using simulation::Reading;

struct Case {
  const char* why;  // with the RFC's section, or the weakness (CWE, CVE) that made others stumble
  std::string bytes;
  std::string answers;
  std::string arrives;
};

std::string get(const std::string& target, const std::string& fields = "") {
  return "GET " + target + " HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n";
}
std::string post(const std::string& fields, const std::string& body) {
  return "POST /p HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n" + body;
}
std::string chunked(const std::string& body, const std::string& fields = "") {
  return post("Transfer-Encoding: chunked\r\n" + fields, body);
}

const std::string next = get("/next");
const std::string smuggled = get("/admin");

// Where the message ends, and who might think otherwise.
const std::vector<Case>& framing() {
  static const std::vector<Case> table = {
      {"a plain request (RFC 9112 2.1)", get("/a"), "200", "GET /a"},
      {"two in a row (RFC 9112 9.3.2)", get("/a") + next, "200, 200", "GET /a | GET /next"},
      {"a body by length (RFC 9112 6.2)", post("Content-Length: 5\r\n", "hello") + next, "200, 200",
       "POST /p hello | GET /next"},
      {"a body of no bytes", post("Content-Length: 0\r\n", "") + next, "200, 200",
       "POST /p | GET /next"},
      {"leading zeros in a length", post("Content-Length: 005\r\n", "hello") + next, "200, 200",
       "POST /p hello | GET /next"},
      {"a GET with a body", get("/g", "Content-Length: 3\r\n") + "abc" + next, "200, 200",
       "GET /g abc | GET /next"},
      {"chunks (RFC 9112 7.1)", chunked("5\r\nhello\r\n0\r\n\r\n") + next, "200, 200",
       "POST /p hello | GET /next"},
      {"chunks in upper case hex", chunked("A\r\n0123456789\r\n0\r\n\r\n") + next, "200, 200",
       "POST /p 0123456789 | GET /next"},
      {"a large body by length",
       post("Content-Length: 100000\r\n", std::string(100'000, 'x')) + next, "200, 200",
       "POST /p " + std::string(100'000, 'x') + " | GET /next"},
      {"a body that is a request (CWE-444)",
       post("Content-Length: " + std::to_string(smuggled.size()) + "\r\n", smuggled) + next,
       "200, 200", "POST /p " + smuggled + " | GET /next"},
      {"CL.TE (RFC 9112 6.1, CWE-444)",
       post("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n") + smuggled,
       "400 http.length_and_encoding, closed", ""},
      {"TE.CL (CWE-444)",
       post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "5c\r\n" + smuggled),
       "400 http.length_and_encoding, closed", ""},
      {"TE.TE with an unknown coding (CWE-444)",
       post("Transfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\n", "0\r\n\r\n") + smuggled,
       "400 http.transfer_encoding, closed", ""},
      {"Transfer-Encoding: xchunked", post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
       "400 http.transfer_encoding, closed", ""},
      {"Transfer-Encoding: \"chunked\" quoted",
       post("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"),
       "400 http.transfer_encoding, closed", ""},
      {"Transfer-Encoding: chunked, identity (CVE-2019-20372's kind)",
       post("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"),
       "400 http.transfer_encoding, closed", ""},
      {"Transfer-Encoding: identity, chunked",
       post("Transfer-Encoding: identity, chunked\r\n", "0\r\n\r\n"),
       "400 http.transfer_encoding, closed", ""},
      {"Transfer-Encoding: gzip, chunked (RFC 9112 6.1)",
       post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"),
       "400 http.transfer_encoding, closed", ""},
      {"Transfer-Encoding: chunked;q=1", post("Transfer-Encoding: chunked;q=1\r\n", "0\r\n\r\n"),
       "400 http.transfer_encoding, closed", ""},
      {"Transfer-Encoding: ,chunked (an empty element)",
       post("Transfer-Encoding: ,chunked\r\n", "0\r\n\r\n"), "400 http.transfer_encoding, closed",
       ""},
      {"an empty Transfer-Encoding", post("Transfer-Encoding:\r\n", ""),
       "400 http.transfer_encoding, closed", ""},
      {"Transfer_Encoding is no framing, and goes no further",
       post("Transfer_Encoding: chunked\r\nContent-Length: 5\r\n", "hello") + next, "200, 200",
       "POST /p hello | GET /next"},
      {"Transfer-Encoding in HTTP/1.0 (RFC 9112 6.1)",
       "POST /p HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       "400 http.transfer_encoding, closed", ""},
      {"two lengths that agree (RFC 9110 8.6)",
       post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"),
       "400 http.content_length, closed", ""},
      {"two lengths that don't (CWE-444)",
       post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello"),
       "400 http.content_length, closed", ""},
      {"a list of lengths", post("Content-Length: 5, 5\r\n", "hello"),
       "400 http.content_length, closed", ""},
      {"a signed length (CVE-2018-7068's kind)", post("Content-Length: +5\r\n", "hello"),
       "400 http.content_length, closed", ""},
      {"a negative length", post("Content-Length: -1\r\n", "hello"),
       "400 http.content_length, closed", ""},
      {"a hexadecimal length", post("Content-Length: 0x5\r\n", "hello"),
       "400 http.content_length, closed", ""},
      {"a length with a fraction", post("Content-Length: 5.0\r\n", "hello"),
       "400 http.content_length, closed", ""},
      {"a length with a blank inside", post("Content-Length: 1 0\r\n", "hello"),
       "400 http.content_length, closed", ""},
      {"a length of 2^64 + 5 (CVE-2021-40346's kind)",
       post("Content-Length: 18446744073709551621\r\n", "hello"), "400 http.content_length, closed",
       ""},
      {"a length above the bound of a body", post("Content-Length: 16777217\r\n", ""),
       "413 http.body_too_large, closed", ""},
      {"a body that stops short", post("Content-Length: 6\r\n", "hello"), "", "(incomplete)"},
      {"a chunk without its size (RFC 9112 7.1)", chunked("\r\n"), "400 http.chunk_size, closed",
       ""},
      {"a chunk-size with 0x (CVE-2024-52304's kind)", chunked("0x5\r\nhello\r\n0\r\n\r\n"),
       "400 http.chunk_size, closed", ""},
      {"a signed chunk-size", chunked("+5\r\nhello\r\n0\r\n\r\n"), "400 http.chunk_size, closed",
       ""},
      {"tabs behind what frames (RFC 9110 5.5)", post("Content-Length:\t5 \t\r\n", "hello") + next,
       "200, 200", "POST /p hello | GET /next"},
      {"a tab inside a length", post("Content-Length: 5\t5\r\n", "hello"),
       "400 http.content_length, closed", ""},
      {"a tab behind chunked",
       post("Transfer-Encoding: chunked\t\r\n", "5\r\nhello\r\n0\r\n\r\n") + next, "200, 200",
       "POST /p hello | GET /next"},
      {"blanks in a chunk extension (RFC 9112 7.1.1)",
       chunked("5 ; a = \"b\" ;c\r\nhello\r\n0\r\n\r\n") + next, "200, 200",
       "POST /p hello | GET /next"},
      {"a chunk-size with an underscore", chunked("0_5\r\nhello\r\n0\r\n\r\n"),
       "400 http.chunk_size, closed", ""},
      {"a blank before the chunk-size", chunked(" 5\r\nhello\r\n0\r\n\r\n"),
       "400 http.chunk_size, closed", ""},
      {"a blank behind the chunk-size", chunked("5 \r\nhello\r\n0\r\n\r\n"),
       "400 http.chunk_size, closed", ""},
      {"a chunk-size of 17 digits", chunked("10000000000000005\r\nhello\r\n0\r\n\r\n"),
       "400 http.chunk_size, closed", ""},
      {"a chunk-size line that never ends",
       chunked(std::string(1100, '0') + "5\r\nhello\r\n0\r\n\r\n"), "400 http.chunk_size, closed",
       ""},
      {"many leading zeros, and yet within bounds",
       chunked(std::string(900, '0') + "5\r\nhello\r\n0\r\n\r\n") + next, "200, 200",
       "POST /p hello | GET /next"},
      {"a chunk that is longer than its size (CWE-444)", chunked("4\r\nhello\r\n0\r\n\r\n"),
       "400 http.chunk_size, closed", "(incomplete)"},
      {"a chunk that is shorter than its size", chunked("6\r\nhello\r\n0\r\n\r\n"),
       "400 http.chunk_size, closed", "(incomplete)"},
      {"LF behind a chunk-size (CWE-444)", chunked("5\nhello\r\n0\r\n\r\n"),
       "400 http.chunk_size, closed", ""},
      {"LF behind a chunk", chunked("5\r\nhello\n0\r\n\r\n"), "400 http.chunk_size, closed",
       "(incomplete)"},
      {"CR alone behind a chunk-size", chunked("5\rhello\r\n0\r\n\r\n"),
       "400 http.chunk_size, closed", ""},
      {"two CR behind a chunk-size", chunked("5\r\r\nhello\r\n0\r\n\r\n"),
       "400 http.chunk_size, closed", ""},
      {"LF at the end of the last chunk", chunked("0\n\r\n"), "400 http.chunk_size, closed", ""},
      {"a chunk extension (RFC 9112 7.1.1) is read and dropped",
       chunked("5;a=b;c=\"d e\"\r\nhello\r\n0;z\r\n\r\n") + next, "200, 200",
       "POST /p hello | GET /next"},
      {"a LF in a chunk extension (CVE-2023-26049's kind)", chunked("5;a\nhello\r\n0\r\n\r\n"),
       "400 http.chunk_size, closed", ""},
      {"a CR in a chunk extension", chunked("5;a\rb\r\nhello\r\n0\r\n\r\n"),
       "400 http.chunk_size, closed", ""},
      {"a control byte in a chunk extension", chunked("5;a\x01\r\nhello\r\n0\r\n\r\n"),
       "400 http.chunk_size, closed", ""},
      {"257 bytes of chunk extensions",
       chunked("5;" + std::string(257, 'a') + "\r\nhello\r\n0\r\n\r\n"),
       "400 http.chunk_extension, closed", ""},
      {"256 bytes of chunk extensions",
       chunked("5;" + std::string(256, 'a') + "\r\nhello\r\n0\r\n\r\n") + next, "200, 200",
       "POST /p hello | GET /next"},
      {"small extensions that add up (CVE-2023-39326's kind)",
       chunked("1;" + std::string(200, 'a') + "\r\nx\r\n1;" + std::string(57, 'b') +
               "\r\ny\r\n0\r\n\r\n"),
       "400 http.chunk_extension, closed", "(incomplete)"},
      {"what comes behind the last chunk is the next request", chunked("0\r\n\r\n") + smuggled,
       "200, 200", "POST /p | GET /admin"},
      {"a trailer", chunked("1\r\nx\r\n0\r\nA: b\r\n\r\n") + next, "200, 200",
       "POST /p x | GET /next"},
      {"a trailer with a blank before its colon", chunked("1\r\nx\r\n0\r\nA : b\r\n\r\n"),
       "400 http.trailer, closed", "(incomplete)"},
      {"a folded trailer", chunked("1\r\nx\r\n0\r\nA: b\r\n c\r\n\r\n"), "400 http.trailer, closed",
       "(incomplete)"},
      {"a trailer with a control byte", chunked("1\r\nx\r\n0\r\nA: \x01\r\n\r\n"),
       "400 http.trailer, closed", "(incomplete)"},
      {"a trailer that ends in LF", chunked("1\r\nx\r\n0\r\nA: b\n\r\n"),
       "400 http.trailer, closed", "(incomplete)"},
      {"Content-Length as a trailer (RFC 9110 6.5.1)",
       chunked("1\r\nx\r\n0\r\nContent-Length: 9\r\n\r\n") + next, "200, 200",
       "POST /p x | GET /next"},
      {"Transfer-Encoding as a trailer",
       chunked("1\r\nx\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n") + next, "200, 200",
       "POST /p x | GET /next"},
      {"8 KiB of trailers",
       chunked("1\r\nx\r\n0\r\nA: " + std::string(8185, 'b') + "\r\n\r\n") + next, "200, 200",
       "POST /p x | GET /next"},
      {"more than 8 KiB of trailers",
       chunked("1\r\nx\r\n0\r\nA: " + std::string(8186, 'b') + "\r\n\r\n"),
       "400 http.trailer, closed", "(incomplete)"},
      {"a trailer of blanks without end",
       chunked("1\r\nx\r\n0\r\nA: " + std::string(9000, ' ') + "b\r\n\r\n"),
       "400 http.trailer, closed", "(incomplete)"},
      {"101 trailers",
       chunked("1\r\nx\r\n0\r\n" +
               [] {
                 std::string all;
                 for (int i = 0; i < 101; ++i) all += "A: b\r\n";
                 return all;
               }() +
               "\r\n"),
       "400 http.trailer, closed", "(incomplete)"},
      {"a wrong request behind a right one",
       get("/a") + "GET /b HTTP/1.1\nHost: a\r\n\r\n" + smuggled, "200, 400 http.bare_lf, closed",
       "GET /a"},
      {"a wrong body in the middle of a pipeline", get("/a") + chunked("Z\r\n") + smuggled,
       "200, 400 http.chunk_size, closed", "GET /a"},
      {"Connection: close ends the pipeline (RFC 9112 9.6)",
       get("/a", "Connection: close\r\n") + smuggled, "200, closed", "GET /a"},
  };
  return table;
}

// The request line, and what the target means.
const std::vector<Case>& start_lines() {
  static const std::vector<Case> table = {
      {"one blank line before a request (RFC 9112 2.2)", "\r\n" + get("/a"), "200", "GET /a"},
      {"two of them", "\r\n\r\n" + get("/a"), "400 http.leading_bytes, closed", ""},
      {"a LF before a request", "\n" + get("/a"), "400 http.bare_lf, closed", ""},
      {"HTTP/0.9", "GET /a\r\n\r\n", "505 http.version, closed", ""},
      {"HTTP/1.0", "GET /a HTTP/1.0\r\n\r\n", "200, closed", "GET /a"},
      {"HTTP/1.2", "GET /a HTTP/1.2\r\nHost: a\r\n\r\n", "505 http.version, closed", ""},
      {"HTTP/2.0", "GET /a HTTP/2.0\r\nHost: a\r\n\r\n", "505 http.version, closed", ""},
      {"the preface of HTTP/2 (RFC 9113 3.4)", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
       "505 http.version, closed", ""},
      {"http/1.1", "GET /a http/1.1\r\nHost: a\r\n\r\n", "400 http.request_line, closed", ""},
      {"HTTP/01.1", "GET /a HTTP/01.1\r\nHost: a\r\n\r\n", "400 http.request_line, closed", ""},
      {"HTTP/1.1 with something behind it", "GET /a HTTP/1.1x\r\nHost: a\r\n\r\n",
       "400 http.request_line, closed", ""},
      {"a blank at the end of the line", "GET /a HTTP/1.1 \r\nHost: a\r\n\r\n",
       "400 http.request_line, closed", ""},
      {"RTSP", "SETUP /a RTSP/1.0\r\nHost: a\r\n\r\n", "400 http.request_line, closed", ""},
      {"ICE", "SOURCE /a ICE/1.0\r\nHost: a\r\n\r\n", "400 http.request_line, closed", ""},
      {"two blanks (RFC 9112 3)", "GET  /a HTTP/1.1\r\nHost: a\r\n\r\n",
       "400 http.request_line, closed", ""},
      {"a tab", "GET\t/a HTTP/1.1\r\nHost: a\r\n\r\n", "400 http.request_line, closed", ""},
      {"a vertical tab", "GET\x0b/a HTTP/1.1\r\nHost: a\r\n\r\n", "400 http.control_byte, closed",
       ""},
      {"a CR in the line (RFC 9112 2.2)", "GET /a\rb HTTP/1.1\r\nHost: a\r\n\r\n",
       "400 http.bare_cr, closed", ""},
      {"a NUL in the line", std::string{"GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n", 30},
       "400 http.control_byte, closed", ""},
      {"an unknown method (RFC 9110 9.1)", "BREW /a HTTP/1.1\r\nHost: a\r\n\r\n",
       "501 http.method, closed", ""},
      {"a method in lower case", "get /a HTTP/1.1\r\nHost: a\r\n\r\n", "501 http.method, closed",
       ""},
      {"CONNECT (RFC 9110 9.3.6)", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
       "405 http.method", ""},
      {"TRACE (RFC 9110 9.3.8)", "TRACE /a HTTP/1.1\r\nHost: a\r\n\r\n", "405 http.method", ""},
      {"a less usual method", "PURGE /a HTTP/1.1\r\nHost: a\r\n\r\n", "200", "PURGE /a"},
      {"absolute-form (RFC 9112 3.2.2)", "GET http://b:81/c?d HTTP/1.1\r\nHost: b:81\r\n\r\n",
       "200", "GET /c?d"},
      {"absolute-form with a fragment", "GET http://b/#c HTTP/1.1\r\nHost: b\r\n\r\n",
       "400 http.target, closed", ""},
      {"absolute-form with userinfo (RFC 9110 4.2.4)",
       "GET http://u@b/ HTTP/1.1\r\nHost: b\r\n\r\n", "400 http.host_invalid, closed", ""},
      {"absolute-form with a bad port", "GET http://b:x/ HTTP/1.1\r\nHost: b\r\n\r\n",
       "400 http.host_invalid, closed", ""},
      {"another scheme", "GET gopher://b/ HTTP/1.1\r\nHost: b\r\n\r\n", "400 http.target, closed",
       ""},
      {"authority-form for GET (RFC 9112 3.2.3)", "GET b:80 HTTP/1.1\r\nHost: b\r\n\r\n",
       "400 http.target, closed", ""},
      {"asterisk-form for OPTIONS (RFC 9112 3.2.4)", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "200",
       "OPTIONS *"},
      {"asterisk-form for GET", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", "400 http.target, closed", ""},
      {"dot segments (RFC 3986 5.2.4)", get("/a/./b/../c"), "200", "GET /a/c"},
      {"dot segments beyond the root (CWE-22)", get("/../../etc/passwd"),
       "400 http.dot_segments, closed", ""},
      {"dot segments in disguise (CWE-22)", get("/a/%2e%2e/b"), "200", "GET /b"},
      {"an encoded slash (CWE-22)", get("/a%2fb"), "400 http.encoded_separator, closed", ""},
      {"dots between encoded slashes", get("/a%2f..%2fb"), "400 http.encoded_separator, closed",
       ""},
      {"dots with parameters (Tomcat)", get("/a/..;/b"), "400 http.dot_segments, closed", ""},
      {"parameters", get("/a;v=1/b"), "200", "GET /a;v=1/b"},
      {"overlong UTF-8 (CVE-2008-2938's kind)", get("/a/%c0%ae%c0%ae/b"),
       "400 http.target_encoding, closed", ""},
      {"an encoded backslash", get("/a%5cb"), "400 http.encoded_separator, closed", ""},
      {"a backslash", get("/a\\b"), "400 http.target, closed", ""},
      {"runs of slashes are one", get("//a///b/?c=//"), "200", "GET /a/b/?c=//"},
      {"unreserved characters are decoded (RFC 3986 6.2.2.2)", get("/%61%2D%7e"), "200",
       "GET /a-~"},
      {"a double encoding stays one", get("/%252e%252e/a"), "200", "GET /%252e%252e/a"},
      {"%00 (CWE-158)", get("/a%00b"), "400 http.target_encoding, closed", ""},
      {"half a percent-encoding", get("/a%2"), "400 http.target_encoding, closed", ""},
      {"a percent-encoding that is none", get("/a%zz"), "400 http.target_encoding, closed", ""},
      {"a fragment (RFC 9112 3.2)", get("/a#b"), "400 http.target, closed", ""},
      {"bytes above 0x7f", get("/\xc3\xa9"), "400 http.target, closed", ""},
      {"what browsers send in a query", get("/a?b=[c]|{d}^\"`"), "200", "GET /a?b=[c]|{d}^\"`"},
      {"8 KiB of target", get("/" + std::string(8191, 'a')), "200",
       "GET /" + std::string(8191, 'a')},
      {"more than 8 KiB of target", get("/" + std::string(8192, 'a')),
       "414 http.target_too_long, closed", ""},
      {"a line without end", "GET /" + std::string(40'000, 'a'), "414 http.target_too_long, closed",
       ""},
  };
  return table;
}

// Field lines.
const std::vector<Case>& fields() {
  static const std::vector<Case> table = {
      {"no Host in HTTP/1.1 (RFC 9112 3.2)", "GET /a HTTP/1.1\r\n\r\n",
       "400 http.host_missing, closed", ""},
      {"two Hosts", get("/a", "Host: b\r\n"), "400 http.host_duplicate, closed", ""},
      {"two Hosts of one value", get("/a", "Host: a\r\n"), "400 http.host_duplicate, closed", ""},
      {"an empty Host", "GET /a HTTP/1.1\r\nHost: \r\n\r\n", "400 http.host_invalid, closed", ""},
      {"a Host with userinfo", "GET /a HTTP/1.1\r\nHost: a@b\r\n\r\n",
       "400 http.host_invalid, closed", ""},
      {"a Host with a path", "GET /a HTTP/1.1\r\nHost: b/c\r\n\r\n",
       "400 http.host_invalid, closed", ""},
      {"a Host with a comma", "GET /a HTTP/1.1\r\nHost: a, b\r\n\r\n",
       "400 http.host_invalid, closed", ""},
      {"a Host with port 65535", "GET /a HTTP/1.1\r\nHost: a:65535\r\n\r\n", "200", "GET /a"},
      {"a Host with port 65536", "GET /a HTTP/1.1\r\nHost: a:65536\r\n\r\n",
       "400 http.host_invalid, closed", ""},
      {"an IPv6 Host", "GET /a HTTP/1.1\r\nHost: [::1]:8000\r\n\r\n", "200", "GET /a"},
      {"half an IPv6 Host", "GET /a HTTP/1.1\r\nHost: [::1\r\n\r\n",
       "400 http.host_invalid, closed", ""},
      {"a blank before the colon (RFC 9112 5.1, CVE-2019-16276)",
       get("/a", "Content-Length : 5\r\n"), "400 http.field_name, closed", ""},
      {"an IPv6 Host that is none", "GET /a HTTP/1.1\r\nHost: [:::::]\r\n\r\n",
       "400 http.host_invalid, closed", ""},
      {"an IPv4 Host in brackets", "GET /a HTTP/1.1\r\nHost: [1.2.3.4]\r\n\r\n",
       "400 http.host_invalid, closed", ""},
      {"a Host with the root's dot", "GET /a HTTP/1.1\r\nHost: a.:80\r\n\r\n", "200", "GET /a"},
      {"a Host with an empty label", "GET /a HTTP/1.1\r\nHost: a..b\r\n\r\n",
       "400 http.host_invalid, closed", ""},
      {"32 options of Connection",
       get("/a",
           [] {
             std::string all = "Connection: a";
             for (int i = 0; i < 31; ++i) all += ", b";
             return all + "\r\n";
           }()),
       "200", "GET /a"},
      {"33 of them, in two fields",
       get("/a",
           [] {
             std::string all = "Connection: a\r\nConnection: a";
             for (int i = 0; i < 31; ++i) all += ",";
             return all + "\r\n";
           }()),
       "400 http.list_options, closed", ""},
      {"14,000 of TE", get("/a", "TE: " + std::string(14'000, ',') + "\r\n"),
       "400 http.list_options, closed", ""},
      {"a tab before the colon", get("/a", "A\t: b\r\n"), "400 http.field_name, closed", ""},
      {"a blank before the first field (RFC 9112 2.2)", "GET /a HTTP/1.1\r\n Host: a\r\n\r\n",
       "400 http.obs_fold, closed", ""},
      {"a folded value (RFC 9112 5.2)", get("/a", "A: b\r\n c\r\n"), "400 http.obs_fold, closed",
       ""},
      {"a value folded by a tab", get("/a", "A: b\r\n\tc\r\n"), "400 http.obs_fold, closed", ""},
      {"a name with a blank", get("/a", "A b: c\r\n"), "400 http.field_name, closed", ""},
      {"a name with a parenthesis", get("/a", "A(: c\r\n"), "400 http.field_name, closed", ""},
      {"every byte that a name may have (RFC 9110 5.6.2)", get("/a", "!#$%&'*+-.^`|~09azAZ: c\r\n"),
       "200", "GET /a"},
      {"no name", get("/a", ": c\r\n"), "400 http.field_name, closed", ""},
      {"no colon", get("/a", "Abc\r\n"), "400 http.field_name, closed", ""},
      {"a name above 0x7f", get("/a", "\xff: c\r\n"), "400 http.field_name, closed", ""},
      {"values above 0x7f (RFC 9110 5.5)", get("/a", "A: \x80\xff\r\n"), "200", "GET /a"},
      {"a tab in a value", get("/a", "A: b\tc\r\n"), "200", "GET /a"},
      {"NUL in a value (RFC 9110 5.5)", get("/a", std::string{"A: b\0c\r\n", 8}),
       "400 http.control_byte, closed", ""},
      {"ESC in a value", get("/a", "A: \x1b[0m\r\n"), "400 http.control_byte, closed", ""},
      {"DEL in a value", get("/a", "A: \x7f\r\n"), "400 http.control_byte, closed", ""},
      {"a bare CR in a value (RFC 9112 2.2)", get("/a", "A: b\rc: d\r\n"),
       "400 http.bare_cr, closed", ""},
      {"a bare LF in a value (CWE-444)", get("/a", "A: b\nTransfer-Encoding: chunked\r\n"),
       "400 http.bare_lf, closed", ""},
      {"a head that ends in LF", "GET /a HTTP/1.1\r\nHost: a\r\n\n", "400 http.bare_lf, closed",
       ""},
      {"a head that ends in LF LF", "GET /a HTTP/1.1\nHost: a\n\n", "400 http.bare_lf, closed", ""},
      {"100 fields",
       get("/a",
           [] {
             std::string all;
             for (int i = 0; i < 99; ++i) all += "A: b\r\n";
             return all;
           }()),
       "200", "GET /a"},
      {"101 fields",
       get("/a",
           [] {
             std::string all;
             for (int i = 0; i < 100; ++i) all += "A: b\r\n";
             return all;
           }()),
       "431 http.too_many_fields, closed", ""},
      {"32 KiB of head and a byte", get("/a", "A: " + std::string(32 * 1024, 'b') + "\r\n"),
       "431 http.head_too_large, closed", ""},
      {"an Expect that nobody can meet (RFC 9110 10.1.1)", get("/a", "Expect: wonders\r\n"),
       "417 http.expectation, closed", ""},
      {"an Expect in HTTP/1.0 means nothing", "GET /a HTTP/1.0\r\nExpect: wonders\r\n\r\n",
       "200, closed", "GET /a"},
      {"a Range is the origin's business", get("/a", "Range: bytes=0-0,0-0\r\n"), "200", "GET /a"},
      {"Upgrade: h2c is not made (RFC 9113 3.1)",
       get("/a",
           "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"),
       "200", "GET /a"},
      {"Upgrade without Connection says nothing (RFC 9110 7.8)",
       get("/a", "Upgrade: websocket\r\n"), "200", "GET /a"},
      {"Upgrade in HTTP/1.0 neither",
       "GET /a HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "200, closed",
       "GET /a"},
  };
  return table;
}

class Requests : public ::testing::Test {
 protected:
  explicit Requests(uint32_t pipes = 64) : config_(simulation::complete_config(pipes)) {}
  // `bytes`, cut at `cut`, on a connection of their own.
  std::pair<std::string, std::string> exchange(const std::string& bytes, size_t cut) {
    origin_.forget();
    std::string answers;
    {
      RawClient client{world_};
      gateway_.run_for(std::chrono::milliseconds{50});
      client.send(std::string_view{bytes}.substr(0, cut));
      gateway_.run_for(std::chrono::milliseconds{50});
      client.send(std::string_view{bytes}.substr(cut));
      gateway_.run_for(
          std::chrono::milliseconds{400 + bytes.size() / 20});  // a small window takes its time
      answers = client.answers();
    }
    const std::string arrived = origin_.arrived();
    gateway_.run_for(std::chrono::seconds{5});
    return {answers, arrived};
  }
  // Of a body that breaks off, what came before may be on its way or not.
  static std::string whole(const std::string& arrived) {
    if (!arrived.ends_with("(incomplete)")) return arrived;
    const auto last = arrived.rfind(" | ");
    return last == std::string::npos ? "" : arrived.substr(0, last);
  }
  void judge(const std::vector<Case>& table) {
    for (const Case& entry : table) {
      const auto [answers, arrived] = exchange(entry.bytes, entry.bytes.size());
      EXPECT_EQ(answers, entry.answers) << entry.why;
      EXPECT_EQ(whole(arrived), whole(entry.arrives)) << entry.why;
      // At every place in what is short, at some in what is long.
      const size_t step = entry.bytes.size() / 400 + 1;
      for (size_t cut = 1; cut < entry.bytes.size(); cut += step) {
        auto [cut_answers, cut_arrived] = exchange(entry.bytes, cut);
        // What is said to a connection that has ended in order is answered by a reset.
        if (cut_answers == "200, reset" && entry.answers == "200, closed")
          cut_answers = entry.answers;
        ASSERT_EQ(cut_answers, entry.answers) << entry.why << ", cut at " << cut;
        ASSERT_EQ(whole(cut_arrived), whole(entry.arrives)) << entry.why << ", cut at " << cut;
      }
      ASSERT_EQ(world_.violated(), "") << entry.why;
    }
  }

  World world_{7, {}};
  RecordingOrigin origin_{world_};
  config::Config config_;
  simulation::OneWorker gateway_{world_, config_};
};

// The same without pipes.
class CopiedRequests : public Requests {
 protected:
  CopiedRequests() : Requests(0) {}
};

TEST_F(Requests, end_where_everybody_thinks_they_end) {
  judge(framing());
  EXPECT_GT(gateway_.worker().counters().spliced_bytes.get(), 0U);
}
TEST_F(CopiedRequests, end_where_everybody_thinks_they_end) {
  judge(framing());
  EXPECT_EQ(gateway_.worker().counters().spliced_bytes.get(), 0U);
}
TEST_F(Requests, have_one_target_and_one_meaning) { judge(start_lines()); }
TEST_F(Requests, have_fields_that_nobody_can_read_otherwise) { judge(fields()); }

}  // namespace
}  // namespace sluice::conformance
