// A head as the HTTP/1.1 serializer wrote it -> the fields of an HTTP/2 header block. What leaves
// by HTTP/2 is thereby what would have left by HTTP/1.1, less what is for one connection only.
#pragma once

#include <nghttp2/nghttp2.h>

#include <array>
#include <cstddef>
#include <string_view>

#include "core/limits.h"

namespace sluice::http::h2 {

class FieldSection {
 public:
  // The views of all of them point into `text` and `scheme`.
  void take_response(std::string_view text);
  void take_request(std::string_view text, std::string_view scheme);
  // Lines of "name: value\r\n".
  void take_trailers(std::string_view lines);

  [[nodiscard]] const nghttp2_nv* data() const { return fields_.data(); }
  [[nodiscard]] size_t size() const { return size_; }

 private:
  // What a rewritten head has at most beside the fields that came, and the pseudo-fields.
  static constexpr size_t added_max = 100;

  void take_lines(std::string_view lines);
  void add(std::string_view name, std::string_view value);

  std::array<nghttp2_nv, core::limits::head_fields_max + added_max> fields_;
  size_t size_ = 0;
  size_t authority_ = SIZE_MAX;  // where a Host field goes
};

}  // namespace sluice::http::h2
