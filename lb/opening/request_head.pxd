# Owns the search for what a client is known by under `sticky`, in the head of its first request: a cookie, or the
# address that proxies before us have written down. Pure functions over bytes that were peeked at; workers parse the
# request, this only looks for three header lines. Runs in the dispatcher process; request_head.pyx lets tests call it.

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy, memset

from fastlb.lb.connection cimport ConnectionRecord
from fastlb.lb.opening.networks cimport NetworkList, is_in_networks
from fastlb.lb.policy cimport address_hash, hash_bytes
from fastlb.lb.posix cimport AF_INET, AF_INET6, inet_pton, memmem, strncasecmp

cdef enum:
    HEAD_BYTES = 8192          # of a request that are looked at
    LINES_KEPT = 8             # of X-Forwarded-For or Forwarded: the last ones, which the nearest proxies wrote
    COOKIE_NAME_BYTES = 64
    LONGEST_ADDRESS = 46       # INET6_ADDRSTRLEN

# Bytes within a head.
cdef struct Text:
    const uint8_t *first
    const uint8_t *end

# What is looked for.
cdef struct HeadRules:
    bint believes_forwarded    # the peer is a proxy that is believed
    uint32_t cookie_bytes      # 0: no cookie is looked for
    char cookie[COOKIE_NAME_BYTES]

cdef struct ForwardedLines:
    uint32_t count             # of all; the last LINES_KEPT are here, line i at i % LINES_KEPT
    Text lines[LINES_KEPT]


cdef inline bint is_head_whole(const uint8_t *data, size_t length) noexcept nogil:
    """Whether nothing more is to come that could be looked at: the head has ended, is too long, or is none of HTTP."""
    if length == HEAD_BYTES or not 65 <= data[0] <= 90:  # a method begins with A to Z
        return True
    return memmem(data, length, b"\r\n\r\n", 4) != NULL


cdef inline bint is_blank(uint8_t byte) noexcept nogil:
    return byte == 32 or byte == 9 or byte == 13


cdef inline Text trimmed(const uint8_t *first, const uint8_t *end) noexcept nogil:
    """Return what is left without blanks at both ends."""
    cdef Text text
    while first < end and is_blank(first[0]):
        first += 1
    while end > first and is_blank((end - 1)[0]):
        end -= 1
    text.first, text.end = first, end
    return text


cdef inline bint is_named(const uint8_t *line, const uint8_t *colon, const char *name, size_t length) noexcept nogil:
    return <size_t>(colon - line) == length and strncasecmp(<const char *>line, name, length) == 0


cdef inline void keep_line(ForwardedLines *kept, Text value) noexcept nogil:
    kept.lines[kept.count % LINES_KEPT] = value
    kept.count += 1


cdef inline uint64_t key_in_cookies(Text cookies, const HeadRules *rules) noexcept nogil:
    """Return the key that the named cookie is in the value of a Cookie line; 0: it is not there, or is empty."""
    cdef const uint8_t *at = cookies.first
    cdef const uint8_t *end
    cdef const uint8_t *equals
    cdef Text pair
    while at < cookies.end:
        end = <const uint8_t *>memchr(at, 59, cookies.end - at)  # ;
        pair = trimmed(at, end if end != NULL else cookies.end)
        equals = <const uint8_t *>memchr(pair.first, 61, pair.end - pair.first)  # =
        if equals != NULL and equals + 1 < pair.end and equals - pair.first == <ssize_t>rules.cookie_bytes:
            if memcmp(pair.first, rules.cookie, rules.cookie_bytes) == 0:
                return hash_bytes(equals + 1, <int>(pair.end - equals - 1)) | 1
        if end == NULL:
            return 0
        at = end + 1
    return 0


cdef inline Text for_parameter(Text element) noexcept nogil:
    """Return the value of `for=` in an element of Forwarded (RFC 7239), without quotes; empty: there is none."""
    cdef const uint8_t *at = element.first
    cdef const uint8_t *end
    cdef Text pair
    while at < element.end:
        end = <const uint8_t *>memchr(at, 59, element.end - at)  # ;
        pair = trimmed(at, end if end != NULL else element.end)
        if pair.end - pair.first > 4 and strncasecmp(<const char *>pair.first, b"for=", 4) == 0:
            pair.first += 4
            if pair.first[0] == 34 and pair.end - pair.first >= 2 and (pair.end - 1)[0] == 34:
                pair.first, pair.end = pair.first + 1, pair.end - 1
            return pair
        if end == NULL:
            break
        at = end + 1
    element.first = element.end
    return element


cdef inline Text without_port(Text hop) noexcept nogil:
    """Return the address of 1.2.3.4:5, [::1]:5 or [::1], or what was given."""
    cdef const uint8_t *colon = <const uint8_t *>memchr(hop.first, 58, hop.end - hop.first)
    cdef const uint8_t *bracket
    if hop.first < hop.end and hop.first[0] == 91:  # [
        bracket = <const uint8_t *>memchr(hop.first, 93, hop.end - hop.first)
        if bracket != NULL:
            hop.first, hop.end = hop.first + 1, bracket
    elif colon != NULL and memchr(colon + 1, 58, hop.end - colon - 1) == NULL:
        hop.end = colon
    return hop


cdef inline bint parse_hop(Text hop, ConnectionRecord *record) noexcept nogil:
    """Write the address of a hop into a record, as if it were the peer; return whether it is one."""
    cdef char word[LONGEST_ADDRESS]
    cdef size_t length
    memset(record, 0, sizeof(record[0]))
    hop = without_port(hop)
    length = hop.end - hop.first
    if length == 0 or length >= LONGEST_ADDRESS or memchr(hop.first, 0, length) != NULL:
        return False
    memcpy(word, hop.first, length)
    word[length] = 0
    record.family = AF_INET6 if memchr(word, 58, length) != NULL else AF_INET
    return inet_pton(record.family, word, record.address) == 1


cdef inline uint64_t key_in_line(
    Text line, bint is_rfc7239, bint is_first, const NetworkList *proxies
) noexcept nogil:
    """Return the key of the nearest hop in a line that is no proxy of ours; of the farthest in the first line."""
    cdef ConnectionRecord record
    cdef const uint8_t *begin
    cdef const uint8_t *end = line.end
    cdef Text hop
    while True:
        begin = end
        while begin > line.first and (begin - 1)[0] != 44:  # ,
            begin -= 1
        hop = trimmed(begin, end)
        if is_rfc7239:
            hop = for_parameter(hop)
        if hop.first < hop.end:
            if not parse_hop(hop, &record):
                return hash_bytes(hop.first, <int>(hop.end - hop.first)) | 1
            if not is_in_networks(proxies, &record) or (is_first and begin == line.first):
                return address_hash(&record) | 1
        if begin == line.first:
            return 0
        end = begin - 1


cdef inline uint64_t key_in_lines(
    const ForwardedLines *kept, bint is_rfc7239, const NetworkList *proxies
) noexcept nogil:
    """Return the key of the nearest hop that is no proxy of ours, looking from the last line on; 0: there is none."""
    cdef uint32_t left = min(kept.count, <uint32_t>LINES_KEPT)
    cdef uint32_t number = kept.count
    cdef uint64_t key = 0
    while left and key == 0:
        left -= 1
        number -= 1
        key = key_in_line(kept.lines[number % LINES_KEPT], is_rfc7239, left == 0, proxies)
    return key


cdef inline uint64_t key_in_head(
    const uint8_t *data, size_t length, const HeadRules *rules, const NetworkList *proxies
) noexcept nogil:
    """Return what the client of a request is known by: its cookie, else its address as proxies have it; 0: neither.

    Only whole lines are looked at, up to the end of the head.
    """
    cdef ForwardedLines x_forwarded_for, forwarded
    cdef const uint8_t *line = data
    cdef const uint8_t *end = <const uint8_t *>memchr(data, 10, length)
    cdef const uint8_t *colon
    cdef Text value
    cdef uint64_t key
    x_forwarded_for.count = forwarded.count = 0
    while end != NULL:
        colon = <const uint8_t *>memchr(line, 58, end - line)
        if line != data and (end == line or line[0] == 13):
            break
        if line != data and colon != NULL:
            value = trimmed(colon + 1, end)
            if rules.cookie_bytes and is_named(line, colon, b"cookie", 6):
                key = key_in_cookies(value, rules)
                if key:
                    return key
            elif is_named(line, colon, b"x-forwarded-for", 15):
                keep_line(&x_forwarded_for, value)
            elif is_named(line, colon, b"forwarded", 9):
                keep_line(&forwarded, value)
        line = end + 1
        end = <const uint8_t *>memchr(line, 10, data + length - line)
    if not rules.believes_forwarded:
        return 0
    key = key_in_lines(&x_forwarded_for, False, proxies)
    return key if key else key_in_lines(&forwarded, True, proxies)
