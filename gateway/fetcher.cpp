// Fetches from key servers with libcurl, several at once.
#include "gateway/fetcher.h"

#include <curl/curl.h>

#include <charconv>

#include "http/field.h"

namespace sluice::gateway {

namespace {

constexpr long key_redirects_max = 3;
constexpr std::chrono::milliseconds key_connect_timeout{3000};
constexpr std::chrono::milliseconds key_timeout{5000};

std::string size_in_words(size_t bytes) {
  return bytes % (1 << 20) == 0 ? std::to_string(bytes >> 20) + " MiB"
                                : std::to_string(bytes >> 10) + " KiB";
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

struct Fetcher::Multi {
  CURLM* handle = ::curl_multi_init();
  ~Multi() { ::curl_multi_cleanup(handle); }
};

struct Fetcher::Asked {
  CURL* easy = ::curl_easy_init();
  curl_slist* to = nullptr;
  curl_slist* fields = nullptr;
  uint64_t ticket = 0;
  size_t body_max = 0;
  Fetched fetched;
  char why[CURL_ERROR_SIZE] = {};
  ~Asked() {
    ::curl_easy_cleanup(easy);
    ::curl_slist_free_all(to);
    ::curl_slist_free_all(fields);
  }
  static size_t take_body(char* data, size_t, size_t size, void* into) {
    auto& asked = *static_cast<Asked*>(into);
    if (asked.fetched.body.size() + size > asked.body_max) return 0;  // ends the transfer
    asked.fetched.body.append(data, size);
    return size;
  }
};

void prepare_fetching() {
  static const CURLcode prepared = curl_global_init(CURL_GLOBAL_DEFAULT);
  static_cast<void>(prepared);
}

Question key_set_question(const std::string& url, const std::string& authorities) {
  return {.url = url,
          .authorities = authorities,
          .user_agent = "sluice/" SLUICE_VERSION,
          .connect_timeout = key_connect_timeout,
          .timeout = key_timeout,
          .redirects_max = key_redirects_max,
          .body_max = key_set_bytes_max};
}

Fetcher::Fetcher() {
  prepare_fetching();
  multi_ = std::make_unique<Multi>();
}

Fetcher::~Fetcher() {
  for (const auto& [easy, asked] : asked_) ::curl_multi_remove_handle(multi_->handle, asked->easy);
}

void Fetcher::begin(uint64_t ticket, const Question& question) {
  auto asked = std::make_unique<Asked>();
  asked->ticket = ticket;
  asked->body_max = question.body_max;
  CURL* easy = asked->easy;
  const auto set = [easy](CURLoption option, auto value) {
    if (easy != nullptr) ::curl_easy_setopt(easy, option, value);
  };
  const char* protocols = question.url.starts_with("http://") ? "http,https" : "https";
  set(CURLOPT_URL, question.url.c_str());
  set(CURLOPT_PROTOCOLS_STR, protocols);
  set(CURLOPT_REDIR_PROTOCOLS_STR, protocols);
  if (!question.authorities.empty()) set(CURLOPT_CAINFO, question.authorities.c_str());
  if (!question.certificate.empty()) {
    set(CURLOPT_SSLCERT, question.certificate.c_str());
    set(CURLOPT_SSLKEY, question.key.c_str());
  }
  if (question.believes_anybody) {
    set(CURLOPT_SSL_VERIFYPEER, 0L);
    set(CURLOPT_SSL_VERIFYHOST, 0L);
  }
  if (!question.host.empty()) {
    asked->fields = ::curl_slist_append(nullptr, ("Host: " + question.host).c_str());
    set(CURLOPT_HTTPHEADER, asked->fields);
  }
  if (!question.bearer.empty()) {
    set(CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
    set(CURLOPT_XOAUTH2_BEARER, question.bearer.c_str());
  }
  if (!question.unix_path.empty()) {
    const bool is_abstract = question.unix_path.front() == '@';
    set(is_abstract ? CURLOPT_ABSTRACT_UNIX_SOCKET : CURLOPT_UNIX_SOCKET_PATH,
        question.unix_path.c_str() + (is_abstract ? 1 : 0));
  } else if (!question.address.empty()) {
    asked->to = ::curl_slist_append(nullptr, ("::" + question.address).c_str());
    set(CURLOPT_CONNECT_TO, asked->to);
  }
  if (!question.address.empty() || !question.unix_path.empty()) set(CURLOPT_PROXY, "");
  set(CURLOPT_FOLLOWLOCATION, question.redirects_max > 0 ? 1L : 0L);
  set(CURLOPT_MAXREDIRS, question.redirects_max);
  if (question.connect_timeout.count() > 0)
    set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(question.connect_timeout.count()));
  set(CURLOPT_TIMEOUT_MS, static_cast<long>(question.timeout.count()));
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_QUICK_EXIT, 1L);  // a name that does not resolve keeps nobody waiting
  set(CURLOPT_FRESH_CONNECT, 1L);
  set(CURLOPT_FORBID_REUSE, 1L);
  set(CURLOPT_USERAGENT, question.user_agent.c_str());
  set(CURLOPT_WRITEFUNCTION, Asked::take_body);
  set(CURLOPT_WRITEDATA, asked.get());
  set(CURLOPT_HEADERFUNCTION, take_field);
  set(CURLOPT_HEADERDATA, &asked->fetched);
  set(CURLOPT_ERRORBUFFER, asked->why);
  if (easy == nullptr || ::curl_multi_add_handle(multi_->handle, easy) != CURLM_OK) {
    failed_.emplace_back(ticket, Fetched{.complaint = "there is no memory to ask"});
    return;
  }
  asked_[easy] = std::move(asked);
}

Fetcher::Answers Fetcher::take(std::chrono::milliseconds wait) {
  Answers answers = std::exchange(failed_, {});
  if (asked_.empty()) return answers;
  int running = 0;
  if (::curl_multi_perform(multi_->handle, &running) != CURLM_OK) return answers;
  if (answers.empty() && running == static_cast<int>(asked_.size()) && wait.count() > 0) {
    ::curl_multi_poll(multi_->handle, nullptr, 0, static_cast<int>(wait.count()), nullptr);
    ::curl_multi_perform(multi_->handle, &running);
  }
  int left = 0;
  while (const CURLMsg* message = ::curl_multi_info_read(multi_->handle, &left)) {
    const auto found = asked_.find(message->easy_handle);
    if (found == asked_.end()) continue;
    const CURLcode result = message->data.result;
    Asked& asked = *found->second;
    ::curl_easy_getinfo(asked.easy, CURLINFO_RESPONSE_CODE, &asked.fetched.status);
    if (result == CURLE_WRITE_ERROR)
      asked.fetched.complaint = "the answer is larger than " + size_in_words(asked.body_max);
    else if (result != CURLE_OK)
      asked.fetched.complaint = asked.why[0] != 0 ? asked.why : ::curl_easy_strerror(result);
    answers.emplace_back(asked.ticket, std::move(asked.fetched));
    ::curl_multi_remove_handle(multi_->handle, asked.easy);
    asked_.erase(found);
  }
  return answers;
}

}  // namespace sluice::gateway
