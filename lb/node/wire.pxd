# Owns the text of Node's cluster protocol as far as the dispatcher speaks it: what a line of a worker is, and how a
# connection is announced. Runs in the dispatcher process. Pure: no system call, no state. A line that is not known here
# is the supervisor's business.
#
# Sources: lib/internal/child_process.js (NODE_HANDLE, its ACK and NACK), lib/internal/cluster/child.js and
# round_robin_handle.js (newconn, accepted) of Node. The answers below are the same to the byte in 14.21 to 26.10.

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, strlen

cdef enum NodeLine:
    NODE_LINE_OTHER = 0     # for the supervisor
    NODE_LINE_RECEIVED = 1  # the oldest handle that is not answered for has arrived
    NODE_LINE_MISSED = 2    # that handle's message came without it: the worker has no descriptors left
    NODE_LINE_ACCEPTED = 3  # the app has taken the connection of this number
    NODE_LINE_REFUSED = 4   # the app has not taken it, and the worker has closed its copy
    NODE_LINE_HANDLE = 5    # the app sends a handle: until it is answered the worker keeps back everything else

cdef enum:
    ANNOUNCEMENT_BYTES = 160  # of a connection, at most
    MOST_NUMBER_DIGITS = 16   # of numbers that JavaScript holds exactly: below 2**53

cdef extern from *:
    """
    #define FASTLB_NODE_RECEIVED "{\\"cmd\\":\\"NODE_HANDLE_ACK\\"}"
    #define FASTLB_NODE_MISSED "{\\"cmd\\":\\"NODE_HANDLE_NACK\\"}"
    #define FASTLB_NODE_HANDLE "{\\"cmd\\":\\"NODE_HANDLE\\""
    #define FASTLB_NODE_INTERNAL "{\\"cmd\\":\\"NODE_"
    #define FASTLB_NODE_READY "\\"ready\\""
    #define FASTLB_NODE_VERDICT "{\\"cmd\\":\\"NODE_CLUSTER\\",\\"ack\\":"
    #define FASTLB_NODE_ACCEPTED ",\\"accepted\\":true"
    #define FASTLB_NODE_REFUSED ",\\"accepted\\":false"
    #define FASTLB_NODE_PROBE "{\\"cmd\\":\\"NODE_HANDLE\\"}\\n"
    #define FASTLB_NODE_RECEIVED_LINE FASTLB_NODE_RECEIVED "\\n"
    #define FASTLB_NODE_DISCONNECT "{\\"cmd\\":\\"NODE_CLUSTER\\",\\"act\\":\\"disconnect\\"}\\n"
    #define FASTLB_NODE_CONNECTION \\
        "{\\"cmd\\":\\"NODE_HANDLE\\",\\"type\\":\\"net.Native\\",\\"msg\\":{\\"cmd\\":\\"NODE_CLUSTER\\",\\"act\\":\\"newconn\\",\\"key\\":\\""
    """
    const char *RECEIVED "FASTLB_NODE_RECEIVED"
    const char *MISSED "FASTLB_NODE_MISSED"
    const char *HANDLE "FASTLB_NODE_HANDLE"
    const char *INTERNAL "FASTLB_NODE_INTERNAL"
    const char *READY "FASTLB_NODE_READY"
    const char *VERDICT "FASTLB_NODE_VERDICT"
    const char *ACCEPTED "FASTLB_NODE_ACCEPTED"
    const char *REFUSED "FASTLB_NODE_REFUSED"
    const char *CONNECTION "FASTLB_NODE_CONNECTION"
    # Whole lines, with their newline
    # A handle message without a handle: answered by NODE_HANDLE_NACK from the event loop, no other effect
    const char *PROBE_LINE "FASTLB_NODE_PROBE"
    const char *RECEIVED_LINE "FASTLB_NODE_RECEIVED_LINE"
    const char *DISCONNECT_LINE "FASTLB_NODE_DISCONNECT"


cdef inline bint starts_with(const char *line, size_t length, const char *prefix, size_t prefix_length) noexcept nogil:
    return length >= prefix_length and memcmp(line, prefix, prefix_length) == 0


cdef inline bint has_prefix(const char *line, size_t length, const char *prefix) noexcept nogil:
    return starts_with(line, length, prefix, strlen(prefix))


cdef inline bint is_line(const char *line, size_t length, const char *whole) noexcept nogil:
    return length == strlen(whole) and has_prefix(line, length, whole)


cdef inline bint is_internal(const char *line, size_t length) noexcept nogil:
    """Whether a worker's life depends on a line: Node itself speaks, or the app says that it is ready."""
    return has_prefix(line, length, INTERNAL) or is_line(line, length, READY)


cdef inline size_t read_number(const char *text, size_t length, uint64_t *number) noexcept nogil:
    """Read the digits at the begin of `text`; return how many there are, 0 when these are no number of ours."""
    cdef size_t digits = 0
    number[0] = 0
    while digits < length and 48 <= text[digits] <= 57:  # '0' to '9'
        if digits == MOST_NUMBER_DIGITS:
            return 0
        number[0] = number[0] * 10 + <uint64_t>(text[digits] - 48)
        digits += 1
    return digits


cdef inline bint has_word(const char *text, size_t length, const char *word) noexcept nogil:
    """Whether `text` begins with this property's value and not with something longer: `,` or `}` follows."""
    cdef size_t end = strlen(word)
    return length > end and has_prefix(text, length, word) and (text[end] == 44 or text[end] == 125)


cdef inline NodeLine classify_verdict(const char *rest, size_t length, uint64_t *number) noexcept nogil:
    """Return what an acknowledgement says; `rest` stands behind `"ack":`. Only those of connections have `accepted`."""
    cdef size_t digits = read_number(rest, length, number)
    if digits == 0:
        return NODE_LINE_OTHER
    if has_word(rest + digits, length - digits, ACCEPTED):
        return NODE_LINE_ACCEPTED
    if has_word(rest + digits, length - digits, REFUSED):
        return NODE_LINE_REFUSED
    return NODE_LINE_OTHER


cdef inline NodeLine classify_node_line(const char *line, size_t length, uint64_t *number) noexcept nogil:
    """Return what a worker's line (without its newline) is; `number`: of the connection that it accepts or refuses."""
    cdef size_t skipped = strlen(VERDICT)
    number[0] = 0
    if is_line(line, length, RECEIVED):
        return NODE_LINE_RECEIVED
    if has_prefix(line, length, VERDICT):
        return classify_verdict(line + skipped, length - skipped, number)
    if is_line(line, length, MISSED):
        return NODE_LINE_MISSED
    if has_prefix(line, length, HANDLE):
        return NODE_LINE_HANDLE
    return NODE_LINE_OTHER


cdef inline size_t append(char *text, size_t length, const char *part) noexcept nogil:
    cdef size_t added = strlen(part)
    memcpy(text + length, part, added)
    return length + added


cdef inline size_t append_number(char *text, size_t length, uint64_t number) noexcept nogil:
    cdef char digits[20]
    cdef size_t count = 0, i
    while True:
        digits[count] = <char>(48 + number % 10)
        count += 1
        number //= 10
        if number == 0:
            break
    for i in range(count):
        text[length + i] = digits[count - 1 - i]
    return length + count


cdef inline uint64_t announced_number(const char *line, size_t length) noexcept nogil:
    """Return the number of the connection that a line of announce_connection is about; 0: it is none."""
    cdef size_t begin = length - 3 if length > 3 else 0, end = begin
    cdef uint64_t number
    if not has_prefix(line, length, CONNECTION) or memcmp(line + end, b"}}\n", 3) != 0:
        return 0
    while begin and 48 <= line[begin - 1] <= 57:
        begin -= 1
    return number if read_number(line + begin, end - begin, &number) else 0


cdef inline size_t announce_connection(char *text, uint32_t key, uint64_t number) noexcept nogil:
    """Write the line that goes with a connection's descriptor into `text`, of ANNOUNCEMENT_BYTES; return its length.

    `key` names the server in the worker, as the supervisor answered its queryServer.
    """
    cdef size_t length = append(text, 0, CONNECTION)
    length = append_number(text, length, key)
    length = append(text, length, b'","seq":')
    length = append_number(text, length, number)
    return append(text, length, b"}}\n")
