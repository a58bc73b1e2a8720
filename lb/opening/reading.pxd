# Owns what becomes of an opening: a connection that is accepted, and to which something must come before the hand-over:
# a PROXY header, or, while a worker has been held up not long ago, for a moment its client's first word.
# Peeks at its first bytes, takes a PROXY header off, lets it wait for the rest, closes it when that is wrong or late.
# Runs in the dispatcher process; never waits, and is never called where nothing must come first.

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from fastlb.lb.connection cimport ConnectionRecord
from fastlb.lb.descriptors cimport descriptor_close
from fastlb.lb.epoll cimport WATCHED_OPENING, watch_begin, watch_end, watched_data
from fastlb.lb.held cimport held_push
from fastlb.lb.opening.networks cimport is_in_networks
from fastlb.lb.opening.proxy_protocol cimport (
    PROXY_HEADER_BYTES, PROXY_MALFORMED, PROXY_UNFINISHED, PROXY_WHOLE, ProxyHeader, ProxyVerdict, parse_proxy_header,
)
from fastlb.lb.opening.table cimport (
    MAX_OPENINGS, Opening, opening_add, opening_next, opening_remove, opening_soonest,
)
from fastlb.lb.posix cimport (
    EAGAIN, EPOLLERR, EPOLLET, EPOLLHUP, EPOLLIN, EPOLLRDHUP, MSG_DONTWAIT, MSG_PEEK, errno, recv,
)
from fastlb.lb.state cimport Dispatcher, NEVER_NS, count


cdef enum:
    FIRST_WORD_NS = 5_000_000  # how long a connection waits for the first word of its client, at most


cdef inline ProxyVerdict take_proxy_header(int fd, ConnectionRecord *record) noexcept nogil:
    """Take the PROXY header off a connection when it is whole; the client that it names becomes the record's peer."""
    cdef uint8_t data[PROXY_HEADER_BYTES]
    cdef ProxyHeader header
    cdef ProxyVerdict verdict
    cdef ssize_t length = recv(fd, data, PROXY_HEADER_BYTES, MSG_PEEK | MSG_DONTWAIT)
    if length <= 0:  # 0: the sender has left
        return PROXY_UNFINISHED if length < 0 and errno == EAGAIN else PROXY_MALFORMED
    verdict = parse_proxy_header(data, length, &header)
    if verdict != PROXY_WHOLE:
        return verdict
    if recv(fd, data, header.length, MSG_DONTWAIT) != <ssize_t>header.length:
        return PROXY_MALFORMED
    if header.has_client:
        record.family, record.port, record.scope_id = header.family, header.port, 0
        memcpy(record.address, header.address, sizeof(header.address))
    return PROXY_WHOLE


cdef inline void refuse(int *fd, uint64_t *counter) noexcept nogil:
    """Close a connection that we own at `fd`, and count it."""
    descriptor_close(fd)
    count(counter, 1)


cdef inline void opening_forget(Dispatcher *d, uint32_t index) noexcept nogil:
    opening_remove(&d.openings, index)
    d.held.reserved -= 1


cdef inline void opening_refuse(Dispatcher *d, uint32_t index, uint64_t *counter) noexcept nogil:
    """Close the connection of an opening, and count it."""
    refuse(&d.openings.table[index].connection.fd, counter)
    opening_forget(d, index)


cdef inline void opening_hand_over(Dispatcher *d, uint32_t index) noexcept nogil:
    """Hold the connection of an opening for a worker."""
    watch_end(d.epoll_fd, d.openings.table[index].connection.fd)
    held_push(&d.held)[0] = d.openings.table[index].connection
    opening_forget(d, index)


cdef inline void opening_give_up(Dispatcher *d, uint32_t index) noexcept nogil:
    """Wait no longer for what is to come to an opening: one whose client is silent goes to a worker all the same."""
    if d.openings.table[index].is_silent:
        opening_hand_over(d, index)
    else:
        opening_refuse(d, index, &d.page.proxy_late)


cdef inline bint has_spoken(Dispatcher *d, int fd, const ConnectionRecord *record) noexcept nogil:
    """Whether the client of a new connection has sent something, or left; if not, the connection waits for that."""
    cdef Opening opening
    cdef uint8_t byte
    if recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 or errno != EAGAIN:
        return True
    opening.connection.fd = fd
    opening.connection.record, opening.connection.rescued = record[0], False
    opening.deadline_ns = d.now_ns + min(d.handover_timeout_ns, <int64_t>FIRST_WORD_NS)
    opening.is_silent = True
    opening_wait(d, &opening)
    return False


cdef inline void opening_wait(Dispatcher *d, Opening *opening) noexcept nogil:
    """Let an opening wait for what is missing; when the table is full, the one that waits longest makes room."""
    cdef uint32_t index
    if d.openings.count == MAX_OPENINGS:
        opening_give_up(d, opening_soonest(&d.openings))
    index = opening_add(&d.openings, opening)
    d.held.reserved += 1
    if watch_begin(
        d.epoll_fd, opening.connection.fd, EPOLLIN | EPOLLRDHUP | EPOLLET, watched_data(WATCHED_OPENING, index)
    ) < 0:
        opening_give_up(d, index)


cdef inline bint opening_begin(Dispatcher *d, int fd, ConnectionRecord *record) noexcept nogil:
    """Look at a connection that was accepted now; return whether it is to be handed over at once, as `record` says.

    If not, it has another owner now: it waits, or is closed.
    """
    cdef Opening opening
    cdef ProxyVerdict verdict
    opening.connection.fd = fd
    if not is_in_networks(&d.openings.proxies, record):
        refuse(&opening.connection.fd, &d.page.proxy_untrusted)
        return False
    verdict = take_proxy_header(fd, record)
    if verdict == PROXY_WHOLE:
        return True
    if verdict == PROXY_MALFORMED:
        refuse(&opening.connection.fd, &d.page.proxy_malformed)
        return False
    opening.connection.record, opening.connection.rescued = record[0], False
    opening.deadline_ns = d.now_ns + d.openings.proxy_timeout_ns
    opening.is_silent = False
    opening_wait(d, &opening)
    return False


cdef inline void on_opening_event(Dispatcher *d, uint32_t index, uint32_t events) noexcept nogil:
    """Look again at an opening of which epoll says that something has come, or that its sender has left."""
    cdef Opening *opening = &d.openings.table[index]
    cdef ProxyVerdict verdict
    if opening.is_silent:
        opening_hand_over(d, index)
        return
    verdict = take_proxy_header(opening.connection.fd, &opening.connection.record)
    if verdict == PROXY_WHOLE:
        opening_hand_over(d, index)
    elif verdict == PROXY_MALFORMED or events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR):
        opening_refuse(d, index, &d.page.proxy_malformed)


cdef inline void openings_expire(Dispatcher *d) noexcept nogil:
    """Close those whose time is over."""
    cdef uint32_t index = opening_next(&d.openings, 0)
    while index < MAX_OPENINGS:
        if d.openings.table[index].deadline_ns <= d.now_ns:
            opening_give_up(d, index)
        index = opening_next(&d.openings, index + 1)


cdef inline int64_t next_opening_deadline_ns(const Dispatcher *d) noexcept nogil:
    """Return when the time of the first is over; NEVER_NS when none waits."""
    if d.openings.count == 0:
        return NEVER_NS
    return d.openings.table[opening_soonest(&d.openings)].deadline_ns


cdef inline void openings_drop(Dispatcher *d) noexcept nogil:
    """Close all, at the end of this process."""
    cdef uint32_t index = opening_next(&d.openings, 0)
    while index < MAX_OPENINGS:
        opening_refuse(d, index, &d.page.dropped)
        index = opening_next(&d.openings, index + 1)
