// The code and the status of each rule.
#include "http/rule.h"

#include "core/assert.h"

namespace sluice::http {

std::string_view reason_code(Rule rule) {
  switch (rule) {
    case Rule::none: return "-";
    case Rule::leading_bytes: return "http.leading_bytes";
    case Rule::request_line: return "http.request_line";
    case Rule::status_line: return "http.status_line";
    case Rule::method: return "http.method";
    case Rule::version: return "http.version";
    case Rule::target: return "http.target";
    case Rule::target_encoding: return "http.target_encoding";
    case Rule::dot_segments: return "http.dot_segments";
    case Rule::encoded_separator: return "http.encoded_separator";
    case Rule::path_parameters: return "http.path_parameters";
    case Rule::target_too_long: return "http.target_too_long";
    case Rule::head_too_large: return "http.head_too_large";
    case Rule::too_many_fields: return "http.too_many_fields";
    case Rule::field_name: return "http.field_name";
    case Rule::underscore: return "http.underscore";
    case Rule::max_forwards: return "http.max_forwards";
    case Rule::obs_fold: return "http.obs_fold";
    case Rule::bare_cr: return "http.bare_cr";
    case Rule::bare_lf: return "http.bare_lf";
    case Rule::control_byte: return "http.control_byte";
    case Rule::list_options: return "http.list_options";
    case Rule::host_missing: return "http.host_missing";
    case Rule::host_duplicate: return "http.host_duplicate";
    case Rule::host_invalid: return "http.host_invalid";
    case Rule::content_length: return "http.content_length";
    case Rule::length_and_encoding: return "http.length_and_encoding";
    case Rule::transfer_encoding: return "http.transfer_encoding";
    case Rule::chunk_size: return "http.chunk_size";
    case Rule::chunk_extension: return "http.chunk_extension";
    case Rule::trailer: return "http.trailer";
    case Rule::expectation: return "http.expectation";
    case Rule::body_too_large: return "http.body_too_large";
    case Rule::pseudo_field: return "http.pseudo_field";
    case Rule::connection_field: return "http.connection_field";
    case Rule::field_value: return "http.field_value";
    case Rule::host_differs: return "http.host_differs";
  }
  SLUICE_UNREACHABLE();
}

uint16_t status_of(Rule rule) {
  switch (rule) {
    case Rule::method: return 501;
    case Rule::version: return 505;
    case Rule::target_too_long: return 414;
    case Rule::head_too_large:
    case Rule::too_many_fields: return 431;
    case Rule::body_too_large: return 413;
    case Rule::expectation: return 417;
    default: return 400;
  }
}

}  // namespace sluice::http
