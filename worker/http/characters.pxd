# Owns which bytes may stand in names, values and hosts (RFC 9110 5.1 and 5.5, RFC 9112 3.2). Runs in Python workers.
# Pure, and never reads behind the length that it is given.

from libc.stdint cimport uint8_t


cdef inline uint8_t lower_token(uint8_t c) noexcept nogil:
    """The lower case of a byte that may stand in a token (a method, a header's name); 0: it may not."""
    if c'a' <= c <= c'z' or c'0' <= c <= c'9' or c == c'-':
        return c
    if c'A' <= c <= c'Z':
        return c | 0x20
    if c in b"!#$%&'*+.^_`|~" and c != 0:
        return c
    return 0


cdef inline bint is_field_value(const uint8_t *value, Py_ssize_t length) noexcept nogil:
    """Whether a value has no control character but tabs."""
    cdef Py_ssize_t i
    for i in range(length):
        if value[i] < 0x20 and value[i] != c'\t' or value[i] == 0x7f:
            return False
    return True


cdef inline bint equals_lower(const uint8_t *text, Py_ssize_t length, const char *lower) noexcept nogil:
    """Whether a text is `lower`, of `length` bytes and in lower case, whatever the case of the text."""
    cdef Py_ssize_t i
    for i in range(length):
        if lower_token(text[i]) != <uint8_t>lower[i]:
            return False
    return True


cdef inline bint is_digit(uint8_t c) noexcept nogil:
    return c'0' <= c <= c'9'


cdef inline bint is_port(const uint8_t *text, Py_ssize_t length) noexcept nogil:
    """Whether nothing, or a colon and digits, stands behind a host."""
    cdef Py_ssize_t i
    if length == 0:
        return True
    if text[0] != c':':
        return False
    for i in range(1, length):
        if not is_digit(text[i]):
            return False
    return True


cdef inline bint is_in_literal(uint8_t c) noexcept nogil:
    """Whether a byte may stand in an IPv6 address, with its zone."""
    return is_digit(c) or c'a' <= (c | 0x20) <= c'z' or c == c':' or c == c'.' or c == c'%'


cdef inline bint is_in_name(uint8_t c) noexcept nogil:
    """Whether a byte may stand in a registered name or an IPv4 address (RFC 3986 3.2.2)."""
    return is_digit(c) or c'a' <= (c | 0x20) <= c'z' or (c != 0 and c in b"._~!$&'()*+;=%-")


cdef inline bint is_host(const uint8_t *text, Py_ssize_t length) noexcept nogil:
    """Whether a text may be the value of a Host header: a host, perhaps a port; or nothing."""
    cdef Py_ssize_t end = 0
    if length and text[0] == c'[':
        end = 1
        while end < length and is_in_literal(text[end]):
            end += 1
        return 1 < end < length and text[end] == c']' and is_port(text + end + 1, length - end - 1)
    while end < length and is_in_name(text[end]):
        end += 1
    return is_port(text + end, length - end)
