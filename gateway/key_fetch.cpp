#include "gateway/key_fetch.h"

#include <curl/curl.h>

#include <charconv>
#include <memory>

#include "core/address.h"
#include "http/field.h"

namespace sluice::gateway {

namespace {

constexpr long redirects_max = 3;
constexpr long connect_timeout_ms = 3000;
constexpr long timeout_ms = 5000;

size_t take_body(char* data, size_t, size_t size, void* into) {
  auto& body = static_cast<Fetched*>(into)->body;
  if (body.size() + size > key_set_bytes_max) return 0;  // ends the transfer
  body.append(data, size);
  return size;
}

size_t take_field(char* data, size_t, size_t size, void* into) {
  auto& fetched = *static_cast<Fetched*>(into);
  const std::string_view line{data, size};
  if (line.starts_with("HTTP/")) fetched.max_age.reset();  // of a redirect
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos ||
      !http::equals_ignoring_case(line.substr(0, colon), "cache-control"))
    return size;
  const size_t at = line.find("max-age=");
  unsigned seconds = 0;
  if (at == std::string_view::npos ||
      std::from_chars(line.data() + at + 8, line.data() + line.size(), seconds).ec != std::errc{})
    return size;
  fetched.max_age = std::chrono::seconds{seconds};
  return size;
}

}  // namespace

void prepare_fetching() {
  static const CURLcode prepared = curl_global_init(CURL_GLOBAL_DEFAULT);
  static_cast<void>(prepared);
}

Fetched fetch_keys(const FetchRequest& request) {
  const std::string& url = request.url;
  Fetched fetched;
  const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> handle{curl_easy_init(),
                                                                   curl_easy_cleanup};
  char why[CURL_ERROR_SIZE] = {};
  CURL* curl = handle.get();
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR,
                   url.starts_with("http://") ? "http,https" : "https");
  curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR,
                   url.starts_with("http://") ? "http,https" : "https");
  if (!request.authorities.empty())
    curl_easy_setopt(curl, CURLOPT_CAINFO, request.authorities.c_str());
  if (!request.bearer.empty()) {
    curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
    curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, request.bearer.c_str());
  }
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(curl, CURLOPT_MAXREDIRS, redirects_max);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, connect_timeout_ms);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, timeout_ms);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "sluice/" SLUICE_VERSION);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &fetched);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_field);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &fetched);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
  const CURLcode result = curl_easy_perform(curl);
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  if (result == CURLE_WRITE_ERROR) {
    fetched.complaint = "the answer is larger than 1 MiB";
  } else if (result != CURLE_OK) {
    fetched.complaint = why[0] != 0 ? why : curl_easy_strerror(result);
  } else if (status != 200) {
    fetched.complaint = "the answer is " + std::to_string(status);
  }
  return fetched;
}

}  // namespace sluice::gateway
