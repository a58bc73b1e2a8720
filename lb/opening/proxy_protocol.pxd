# Owns the understanding of a PROXY header, versions 1 and 2: the protocol's text is doc/proxy-protocol.txt of HAProxy.
# Pure functions over bytes that were peeked at, no system call. Runs in the dispatcher process; reading.pyx lets tests
# call the same code. Only what is exactly such a header passes.

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memchr, memcmp, memcpy, memset

from fastlb.lb.posix cimport AF_INET, AF_INET6, inet_pton

cdef enum:
    # Of a whole header of version 2 with its TLVs, of which nothing but the length is looked at: more than any sender
    # has to say (certificate names, a unique id), and no more than one peek on the stack.
    PROXY_HEADER_BYTES = 4096
    PROXY_LINE_BYTES = 107        # of a whole header of version 1, with its end
    PROXY_HEAD_BYTES = 16         # of version 2, before the addresses
    PROXY_SIGNATURE_BYTES = 12
    PROXY_WORD_BYTES = 6          # "PROXY "
    PROXY_IPV4_BYTES = 12
    PROXY_IPV6_BYTES = 36
    ADDRESS_TEXT_BYTES = 46       # INET6_ADDRSTRLEN
    SPACE = 32
    CARRIAGE_RETURN = 13
    LINE_FEED = 10

cdef enum ProxyVerdict:
    PROXY_UNFINISHED = 0  # so far it could be one: more must come
    PROXY_WHOLE = 1
    PROXY_MALFORMED = 2   # it is none, or too long

cdef struct ProxyHeader:
    uint32_t length    # bytes of the header
    bint has_client    # False: the sender speaks for itself (LOCAL), or does not know (UNKNOWN, UNSPEC)
    uint16_t family    # of the client: AF_INET or AF_INET6
    uint16_t port      # host byte order
    uint8_t address[16]

cdef extern from *:
    """
    #define FASTLB_PROXY_SIGNATURE "\\r\\n\\r\\n\\0\\r\\nQUIT\\n"
    """
    const char *PROXY_SIGNATURE "FASTLB_PROXY_SIGNATURE"


cdef inline ProxyVerdict parse_proxy_header(const uint8_t *data, size_t length, ProxyHeader *header) noexcept nogil:
    """Understand the header that a connection's first bytes are; `header` counts when it is PROXY_WHOLE."""
    memset(header, 0, sizeof(header[0]))
    if length == 0:
        return PROXY_UNFINISHED
    if data[0] == CARRIAGE_RETURN:
        return parse_version_2(data, length, header)
    return parse_version_1(data, length, header)


cdef inline uint16_t big_endian(const uint8_t *data) noexcept nogil:
    return <uint16_t>(data[0] << 8 | data[1])


cdef inline ProxyVerdict parse_version_2(const uint8_t *data, size_t length, ProxyHeader *header) noexcept nogil:
    if memcmp(data, PROXY_SIGNATURE, min(length, <size_t>PROXY_SIGNATURE_BYTES)) != 0:
        return PROXY_MALFORMED
    if length > 12 and (data[12] >> 4 != 2 or data[12] & 15 > 1):  # its version; LOCAL or PROXY
        return PROXY_MALFORMED
    if length < PROXY_HEAD_BYTES:
        return PROXY_UNFINISHED
    header.length = PROXY_HEAD_BYTES + big_endian(data + 14)
    if header.length > PROXY_HEADER_BYTES:
        return PROXY_MALFORMED
    if length < header.length:
        return PROXY_UNFINISHED
    if data[12] & 15 == 0:  # LOCAL: whatever family it names
        return PROXY_WHOLE
    if data[13] >> 4 > 3 or data[13] & 15 > 2:
        return PROXY_MALFORMED
    return take_binary_client(data, header)


cdef inline ProxyVerdict take_binary_client(const uint8_t *data, ProxyHeader *header) noexcept nogil:
    """Take the client out of a whole header of version 2. What is no TCP connection leaves the real address."""
    cdef const uint8_t *addresses = data + PROXY_HEAD_BYTES
    cdef uint32_t given = header.length - PROXY_HEAD_BYTES
    if data[13] == 0x11:
        if given < PROXY_IPV4_BYTES:
            return PROXY_MALFORMED
        header.family, header.port = AF_INET, big_endian(addresses + 8)
        memcpy(header.address, addresses, 4)
    elif data[13] == 0x21:
        if given < PROXY_IPV6_BYTES:
            return PROXY_MALFORMED
        header.family, header.port = AF_INET6, big_endian(addresses + 32)
        memcpy(header.address, addresses, 16)
    else:
        return PROXY_WHOLE
    header.has_client = True
    return PROXY_WHOLE


cdef inline ProxyVerdict parse_version_1(const uint8_t *data, size_t length, ProxyHeader *header) noexcept nogil:
    cdef size_t looked_at = min(length, <size_t>PROXY_LINE_BYTES)
    cdef const uint8_t *end
    if memcmp(data, b"PROXY ", min(length, <size_t>PROXY_WORD_BYTES)) != 0:
        return PROXY_MALFORMED
    end = <const uint8_t *>memchr(data, CARRIAGE_RETURN, looked_at)
    if end == NULL:
        if looked_at == PROXY_LINE_BYTES or memchr(data, LINE_FEED, looked_at) != NULL:
            return PROXY_MALFORMED
        return PROXY_UNFINISHED
    if end + 1 == data + looked_at:  # what follows has not come, or would be too much
        return PROXY_UNFINISHED if looked_at < PROXY_LINE_BYTES else PROXY_MALFORMED
    if end[1] != LINE_FEED:
        return PROXY_MALFORMED
    header.length = <uint32_t>(end - data) + 2
    return take_text_client(data + PROXY_WORD_BYTES, end, header)


cdef inline ProxyVerdict take_text_client(const uint8_t *text, const uint8_t *end, ProxyHeader *header) noexcept nogil:
    """Take the client out of what stands between "PROXY " and the end of the line."""
    cdef uint8_t address[16]
    cdef uint16_t port = 0
    cdef size_t length = end - text
    if length >= 7 and memcmp(text, b"UNKNOWN", 7) == 0:
        return PROXY_WHOLE if length == 7 or text[7] == SPACE else PROXY_MALFORMED
    if length < 5 or (memcmp(text, b"TCP4 ", 5) != 0 and memcmp(text, b"TCP6 ", 5) != 0):
        return PROXY_MALFORMED
    header.family = AF_INET if text[3] == 52 else AF_INET6  # "4"
    text += 5
    text = take_address(text, end, header.family, header.address)
    text = take_address(text, end, header.family, address)
    text = take_port(text, end, False, &header.port)
    text = take_port(text, end, True, &port)
    header.has_client = text != NULL
    return PROXY_WHOLE if text != NULL else PROXY_MALFORMED


cdef inline const uint8_t *take_address(
    const uint8_t *text, const uint8_t *end, uint16_t family, uint8_t *address
) noexcept nogil:
    """Read an address and the space behind it; return what follows, NULL when it is none (or `text` was NULL)."""
    cdef char word[ADDRESS_TEXT_BYTES]
    cdef const uint8_t *space
    if text == NULL:
        return NULL
    space = <const uint8_t *>memchr(text, SPACE, end - text)
    if space == NULL or space - text >= ADDRESS_TEXT_BYTES:
        return NULL
    memcpy(word, text, space - text)
    word[space - text] = 0
    if memchr(word, 0, space - text) != NULL or inet_pton(family, word, address) != 1:
        return NULL
    return space + 1


cdef inline const uint8_t *take_port(
    const uint8_t *text, const uint8_t *end, bint is_last, uint16_t *port
) noexcept nogil:
    """Read a decimal port, and the space behind it or (`is_last`) the end; return what follows, NULL: it is none."""
    cdef const uint8_t *first = text
    cdef uint32_t value = 0
    if text == NULL:
        return NULL
    while text < end and 48 <= text[0] <= 57 and text - first < 5:
        value = 10 * value + text[0] - 48
        text += 1
    if text == first or value > 65535 or (first[0] == 48 and text - first > 1):
        return NULL
    port[0] = <uint16_t>value
    if is_last:
        return text if text == end else NULL
    return text + 1 if text < end and text[0] == SPACE else NULL
