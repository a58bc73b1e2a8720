# Owns the declarations of llhttp (vendor/llhttp), as far as the request reader uses them. Runs in Python workers.
# Callbacks may raise: llhttp then ends, and its caller looks for the exception.

from libc.stdint cimport uint8_t, uint16_t, uint64_t


cdef extern from "llhttp.h":
    ctypedef struct llhttp_t:
        void *data
        uint64_t content_length
        uint8_t method
        uint8_t http_major
        uint8_t http_minor
        uint8_t upgrade
        uint16_t flags

    ctypedef int (*llhttp_data_cb)(llhttp_t *, const char *, size_t) except? -1
    ctypedef int (*llhttp_cb)(llhttp_t *) except? -1

    ctypedef struct llhttp_settings_t:
        llhttp_cb on_message_begin
        llhttp_data_cb on_protocol
        llhttp_data_cb on_url
        llhttp_data_cb on_header_field
        llhttp_data_cb on_header_value
        llhttp_cb on_header_value_complete
        llhttp_data_cb on_chunk_extension_name
        llhttp_data_cb on_chunk_extension_value
        llhttp_cb on_headers_complete
        llhttp_data_cb on_body
        llhttp_cb on_message_complete

    ctypedef enum llhttp_errno_t:
        HPE_OK
        HPE_PAUSED
        HPE_PAUSED_UPGRADE
        HPE_USER

    enum:
        HTTP_REQUEST
        HTTP_GET
        HTTP_HEAD
        HTTP_CONNECT
        HTTP_OPTIONS
        F_CHUNKED

    void llhttp_init(llhttp_t *parser, int kind, const llhttp_settings_t *settings) nogil
    void llhttp_settings_init(llhttp_settings_t *settings) nogil
    llhttp_errno_t llhttp_execute(llhttp_t *parser, const char *data, size_t length) except *
    const char *llhttp_get_error_pos(const llhttp_t *parser) nogil
    const char *llhttp_get_error_reason(const llhttp_t *parser) nogil
    void llhttp_resume(llhttp_t *parser) nogil
    int llhttp_should_keep_alive(const llhttp_t *parser) nogil
    const char *llhttp_method_name(int method) nogil
