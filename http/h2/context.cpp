// The options and callbacks that all sessions of a core share.
#include "http/h2/context.h"

#include <new>

#include "http/h2/session.h"

namespace sluice::http::h2 {

// nghttp2's events. They only note what came; nobody outside the session hears of it before
// next_event().
struct SessionCallbacks {
  static Session& self(void* user) { return *static_cast<Session*>(user); }
  static std::string_view text(nghttp2_rcbuf* buffer) {
    const nghttp2_vec bytes = nghttp2_rcbuf_get_buf(buffer);
    return {reinterpret_cast<const char*>(bytes.base), bytes.len};
  }

  static int begin_frame(nghttp2_session*, const nghttp2_frame_hd* head, void* user) {
    return self(user).on_begin_frame(*head);
  }
  static int begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    return self(user).on_begin_headers(*frame);
  }
  static int header(nghttp2_session*, const nghttp2_frame* frame, nghttp2_rcbuf* name,
                    nghttp2_rcbuf* value, uint8_t, void* user) {
    return self(user).on_header(*frame, text(name), text(value));
  }
  static int frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    return self(user).on_frame(*frame);
  }
  static int data(nghttp2_session*, uint8_t, int32_t id, const uint8_t* bytes, size_t size,
                  void* user) {
    return self(user).on_data(id, std::as_bytes(std::span{bytes, size}));
  }
  static int close(nghttp2_session*, int32_t id, uint32_t code, void* user) {
    return self(user).on_close(id, code);
  }
  static int frame_sent(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    return self(user).on_frame_sent(*frame);
  }
  static int send_data(nghttp2_session*, nghttp2_frame*, const uint8_t* head, size_t size,
                       nghttp2_data_source* source, void* user) {
    return self(user).on_send(*static_cast<Stream*>(source->ptr), head, size);
  }
};

namespace {

void* take(size_t size, void* memory) {
  return static_cast<Memory*>(memory)->allocate(size, Use::protocol);
}
void give_back(void* block, void* memory) { static_cast<Memory*>(memory)->give_back(block); }
void* take_zeroed(size_t count, size_t size, void* memory) {
  return static_cast<Memory*>(memory)->allocate_zeroed(count, size, Use::protocol);
}
void* resize(void* block, size_t size, void* memory) {
  return static_cast<Memory*>(memory)->resize(block, size, Use::protocol);
}

}  // namespace

Context::Context(size_t memory_bytes)
    : memory_(memory_bytes), functions_{&memory_, take, give_back, take_zeroed, resize} {
  if (nghttp2_session_callbacks_new(&callbacks_) != 0) throw std::bad_alloc{};
  if (nghttp2_option_new(&options_) != 0) {
    nghttp2_session_callbacks_del(callbacks_);
    throw std::bad_alloc{};
  }
  nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks_, SessionCallbacks::begin_frame);
  nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks_,
                                                          SessionCallbacks::begin_headers);
  nghttp2_session_callbacks_set_on_header_callback2(callbacks_, SessionCallbacks::header);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks_, SessionCallbacks::frame);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks_, SessionCallbacks::data);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks_, SessionCallbacks::close);
  nghttp2_session_callbacks_set_on_frame_send_callback(callbacks_, SessionCallbacks::frame_sent);
  nghttp2_session_callbacks_set_send_data_callback(callbacks_, SessionCallbacks::send_data);

  nghttp2_option_set_no_auto_window_update(options_, 1);
  // Its refusals have no reason, and differ from version to version.
  nghttp2_option_set_no_http_messaging(options_, 1);
  nghttp2_option_set_no_closed_streams(options_, 1);
  nghttp2_option_set_max_reserved_remote_streams(options_, 0);
  nghttp2_option_set_builtin_recv_extension_type(options_, NGHTTP2_PRIORITY_UPDATE);
  nghttp2_option_set_max_deflate_dynamic_table_size(options_, hpack_table_bytes);
  nghttp2_option_set_max_settings(options_, settings_entries_max);
  nghttp2_option_set_max_outbound_ack(options_, acknowledgements_max);
  nghttp2_option_set_max_send_header_block_length(options_, size_t{4} * header_list_bytes_max);
  // It would read a clock; abuse.h counts resets.
  nghttp2_option_set_stream_reset_rate_limit(options_, UINT64_MAX / 2, 0);
}

Context::~Context() {
  nghttp2_option_del(options_);
  nghttp2_session_callbacks_del(callbacks_);
}

}  // namespace sluice::http::h2
