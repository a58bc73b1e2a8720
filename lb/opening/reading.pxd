# Owns what becomes of an opening: a connection that is accepted, and to which something must come before a worker:
# a PROXY header, or the head of a request.
# Peeks at its first bytes, takes a PROXY header off, lets it wait for the rest, closes it when that is wrong or late.
# Says by what a client is known under `sticky`, anew each time that a worker is chosen.
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
from fastlb.lb.opening.request_head cimport HEAD_BYTES, HeadRules, is_head_whole, key_in_head
from fastlb.lb.opening.table cimport (
    MAX_OPENINGS, Opening, opening_add, opening_next, opening_remove, opening_soonest,
)
from fastlb.lb.policy cimport address_hash
from fastlb.lb.posix cimport (
    AF_UNIX, EAGAIN, EPOLLERR, EPOLLET, EPOLLHUP, EPOLLIN, EPOLLRDHUP, MSG_DONTWAIT, MSG_PEEK, errno, recv,
)
from fastlb.lb.state cimport Dispatcher, NEVER_NS, count


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


cdef inline bint awaits_head(const Dispatcher *d, const ConnectionRecord *record) noexcept nogil:
    """Whether the head of a client's first request says which worker is the client's."""
    if d.openings.head_timeout_ns == 0:
        return False
    return d.openings.head_rules.cookie_bytes > 0 or is_in_networks(&d.openings.proxies, record)


cdef inline bint head_has_come(int fd) noexcept nogil:
    """Whether as much of a request's head is there as will be looked at, or nothing more comes."""
    cdef uint8_t data[HEAD_BYTES]
    cdef ssize_t length = recv(fd, data, HEAD_BYTES, MSG_PEEK | MSG_DONTWAIT)
    if length <= 0:
        return length == 0 or errno != EAGAIN
    return is_head_whole(data, length)


cdef inline uint64_t client_key(const Dispatcher *d, int fd, const ConnectionRecord *record) noexcept nogil:
    """Return what a client is known by under `sticky`: a cookie, or the address behind our proxies; 0: it is not known.

    The bytes stay where they are until a worker reads them, so the answer is the same when a connection is taken back.
    """
    cdef uint8_t data[HEAD_BYTES]
    cdef HeadRules rules = d.openings.head_rules
    cdef ssize_t length = 0
    cdef uint64_t key = 0
    rules.believes_forwarded = is_in_networks(&d.openings.proxies, record)
    if rules.believes_forwarded or rules.cookie_bytes:
        length = recv(fd, data, HEAD_BYTES, MSG_PEEK | MSG_DONTWAIT)
    if length > 0:
        key = key_in_head(data, length, &rules, &d.openings.proxies)
    if key or rules.believes_forwarded or record.family == AF_UNIX:
        return key
    return address_hash(record) | 1


cdef inline ProxyVerdict opening_look(Dispatcher *d, Opening *opening) noexcept nogil:
    """Look at what has come to a connection: whether to hand it over, to wait for more, or to close it."""
    cdef ProxyVerdict verdict
    cdef int fd = opening.connection.fd
    if d.openings.proxy_timeout_ns and not opening.awaits_head:
        verdict = take_proxy_header(fd, &opening.connection.record)
        if verdict != PROXY_WHOLE:
            return verdict
    if not awaits_head(d, &opening.connection.record) or head_has_come(fd):
        return PROXY_WHOLE
    if not opening.awaits_head:
        opening.awaits_head = True
        opening.deadline_ns = d.now_ns + d.openings.head_timeout_ns
    return PROXY_UNFINISHED


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


cdef inline void opening_hold(Dispatcher *d, uint32_t index) noexcept nogil:
    """Have the connection of an opening handed over, as soon as a worker has room."""
    watch_end(d.epoll_fd, d.openings.table[index].connection.fd)
    held_push(&d.held)[0] = d.openings.table[index].connection
    opening_forget(d, index)


cdef inline void opening_end(Dispatcher *d, uint32_t index) noexcept nogil:
    """Let an opening wait no more: without a PROXY header it is closed, without a head any worker may have it."""
    if d.openings.table[index].awaits_head:
        opening_hold(d, index)
    else:
        opening_refuse(d, index, &d.page.proxy_late)


cdef inline void opening_wait(Dispatcher *d, const Opening *opening) noexcept nogil:
    """Let an opening wait for what is missing; when the table is full, the one whose time is over first makes room."""
    cdef uint32_t index
    if d.openings.count == MAX_OPENINGS:
        opening_end(d, opening_soonest(&d.openings))
    index = opening_add(&d.openings, opening)
    d.held.reserved += 1
    if watch_begin(
        d.epoll_fd, opening.connection.fd, EPOLLIN | EPOLLRDHUP | EPOLLET, watched_data(WATCHED_OPENING, index)
    ) < 0:
        opening_end(d, index)


cdef inline bint opening_begin(Dispatcher *d, int fd, ConnectionRecord *record) noexcept nogil:
    """Look at a connection that was accepted now; return whether it is to be handed over at once, as `record` says.

    If not, it has another owner now: it waits, or is closed.
    """
    cdef Opening opening
    cdef ProxyVerdict verdict
    opening.connection.fd = fd
    if d.openings.proxy_timeout_ns and not is_in_networks(&d.openings.proxies, record):
        refuse(&opening.connection.fd, &d.page.proxy_untrusted)
        return False
    opening.connection.record, opening.connection.rescued = record[0], False
    opening.awaits_head = False
    opening.deadline_ns = d.now_ns + d.openings.proxy_timeout_ns
    verdict = opening_look(d, &opening)
    record[0] = opening.connection.record
    if verdict == PROXY_UNFINISHED:
        opening_wait(d, &opening)
    elif verdict == PROXY_MALFORMED:
        refuse(&opening.connection.fd, &d.page.proxy_malformed)
    return verdict == PROXY_WHOLE


cdef inline void on_opening_event(Dispatcher *d, uint32_t index, uint32_t events) noexcept nogil:
    """Look again at an opening of which epoll says that something has come, or that its sender has left."""
    cdef Opening *opening = &d.openings.table[index]
    cdef ProxyVerdict verdict = opening_look(d, opening)
    if verdict == PROXY_UNFINISHED and events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR):
        verdict = PROXY_WHOLE if opening.awaits_head else PROXY_MALFORMED
    if verdict == PROXY_WHOLE:
        opening_hold(d, index)
    elif verdict == PROXY_MALFORMED:
        opening_refuse(d, index, &d.page.proxy_malformed)


cdef inline void openings_expire(Dispatcher *d) noexcept nogil:
    """End those whose time is over."""
    cdef uint32_t index = opening_next(&d.openings, 0)
    while index < MAX_OPENINGS:
        if d.openings.table[index].deadline_ns <= d.now_ns:
            opening_end(d, index)
        index = opening_next(&d.openings, index + 1)


cdef inline int64_t next_opening_deadline_ns(const Dispatcher *d) noexcept nogil:
    """Return when the time of the first is over; NEVER_NS when none waits."""
    if d.openings.count == 0:
        return NEVER_NS
    return d.openings.table[opening_soonest(&d.openings)].deadline_ns


cdef inline void openings_drop_of(Dispatcher *d, uint32_t listener_id) noexcept nogil:
    """Close those of a listener that no worker serves any more: another one may get its number."""
    cdef uint32_t index = opening_next(&d.openings, 0)
    while index < MAX_OPENINGS:
        if d.openings.table[index].connection.record.listener_id == listener_id:
            opening_refuse(d, index, &d.page.dropped)
        index = opening_next(&d.openings, index + 1)
