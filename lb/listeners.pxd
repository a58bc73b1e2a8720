# Owns the listening sockets in the dispatcher process: when they are polled, the sweep that accepts, and pauses after
# errors. A connection is accepted only when some worker may take it at once; until then it waits in the kernel's
# backlog, where the death of any of our processes cannot hurt it.

from libc.stdint cimport uint32_t
from libc.string cimport memcpy, memset

from fastlb.lb.accept cimport (
    ACCEPT_AGAIN, ACCEPT_BROKEN, ACCEPT_PAUSE, ACCEPT_RETRY, AcceptVerdict, classify_accept_error,
)
from fastlb.lb.atomics cimport store_i64
from fastlb.lb.command cimport ListenerFields
from fastlb.lb.connection cimport ConnectionRecord
from fastlb.lb.descriptors cimport descriptor_adopted, descriptor_close
from fastlb.lb.epoll cimport WATCHED_LISTENER, watch_begin, watch_change, watch_end, watched_data
from fastlb.lb.events cimport report_listener_error
from fastlb.lb.handover cimport choose_for, dispatch_held, flush_stages, has_staged, has_taker, stage_connection
from fastlb.lb.held cimport Connection, held_drop_first, held_first, held_push
from fastlb.lb.opening.reading cimport opening_begin, openings_drop_of
from fastlb.lb.posix cimport (
    AF_INET, AF_INET6, EINVAL, EPOLLIN, SO_LINGER, SOCK_CLOEXEC, SOCK_NONBLOCK, SOL_SOCKET, accept4, errno, linger,
    ntohs, setsockopt, sockaddr, sockaddr_in, sockaddr_in6, sockaddr_storage,
)
from fastlb.lb.state cimport ACCEPTS_PER_TURN, Dispatcher, Listener, count

cdef enum:
    FIRST_PAUSE_NS = 10_000_000
    LONGEST_PAUSE_NS = 100_000_000


cdef inline void record_peer(ConnectionRecord *record, const sockaddr_storage *peer) noexcept nogil:
    """Write the peer's address, as accept4 gave it, into the record that goes to the worker."""
    cdef const sockaddr_in *ipv4 = <const sockaddr_in *>peer
    cdef const sockaddr_in6 *ipv6 = <const sockaddr_in6 *>peer
    record.family = peer.ss_family
    if peer.ss_family == AF_INET:
        record.port = ntohs(ipv4.sin_port)
        memcpy(record.address, &ipv4.sin_addr, 4)
    elif peer.ss_family == AF_INET6:
        record.port = ntohs(ipv6.sin6_port)
        record.scope_id = ipv6.sin6_scope_id
        memcpy(record.address, &ipv6.sin6_addr, 16)


cdef inline int accept_connection(Dispatcher *d, uint32_t index, ConnectionRecord *record) noexcept nogil:
    """Accept one connection and describe it; return a descriptor that is ours, or -errno.

    TCP_NODELAY is inherited from the listener.
    """
    cdef sockaddr_storage peer
    cdef unsigned int length = sizeof(peer)
    cdef int fd = accept4(d.listeners[index].fd, <sockaddr *>&peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC)
    if fd < 0:
        return -errno
    memset(record, 0, sizeof(record[0]))
    record.accepted_at_ns = d.now_ns
    record.listener_id = index
    record_peer(record, &peer)
    return descriptor_adopted(fd)


cdef inline void listener_pause(Dispatcher *d, uint32_t index, int error) noexcept nogil:
    """Leave a listener's backlog alone after errno `error`: for 10 ms, and twice as long each time in a row."""
    cdef Listener *listener = &d.listeners[index]
    listener.pause_ns = min(max(2 * listener.pause_ns, FIRST_PAUSE_NS), LONGEST_PAUSE_NS)
    listener.paused_until_ns = d.now_ns + listener.pause_ns
    count(&d.page.listeners[index].pauses, 1)
    count(&d.page.listeners[index].errors, 1)
    store_i64(&d.page.listeners[index].last_error, error)
    report_listener_error(d, listener, error)


cdef inline void listener_break(Dispatcher *d, uint32_t index) noexcept nogil:
    """Poll a listener never again: epoll reports EPOLLHUP of a shut one even when it is asked for nothing."""
    d.listeners[index].broken = True
    d.listeners[index].polled = False
    watch_end(d.epoll_fd, d.listeners[index].fd)


cdef inline void on_listener_event(Dispatcher *d, uint32_t index) noexcept nogil:
    """Deal with an event of a listener: a connection waits, or, when we did not poll it, it has been shut."""
    if d.listeners[index].polled:
        d.listeners[index].ready = True
    else:
        listener_break(d, index)
        report_listener_error(d, &d.listeners[index], EINVAL)


cdef inline bint accept_failed(Dispatcher *d, uint32_t index, int error) noexcept nogil:
    """Do what follows after accept4 failed with errno `error`; return whether to try the listener's next connection."""
    cdef AcceptVerdict verdict = classify_accept_error(error)
    cdef Listener *listener = &d.listeners[index]
    if verdict == ACCEPT_RETRY:
        return True
    if verdict == ACCEPT_AGAIN:
        listener.ready = False
        return False
    # What has been accepted holds descriptors only until it is sent: send it, and look again.
    if verdict == ACCEPT_PAUSE and has_staged(d):
        flush_stages(d)
        return True
    listener_pause(d, index, error)
    if verdict == ACCEPT_BROKEN:
        listener_break(d, index)
    return False


cdef inline void accept_sweep(Dispatcher *d, uint32_t index) noexcept nogil:
    """Accept from one listener while some worker may take, and hand over all of it before returning."""
    cdef ConnectionRecord record
    cdef Listener *listener = &d.listeners[index]
    cdef int fd
    while listener.budget and has_taker(d, index) and d.held.count == d.held_passed:
        listener.budget -= 1
        fd = accept_connection(d, index, &record)
        if fd < 0:
            if accept_failed(d, index, -fd):
                continue
            break
        listener.pause_ns = 0
        count(&d.page.accepted, 1)
        count(&d.page.listeners[index].accepted, 1)
        if d.openings.wanted and not opening_begin(d, fd, &record):
            continue
        stage_connection(d, choose_for(d, fd, &record), fd, &record)
    flush_stages(d)
    dispatch_held(d)  # what a channel refused is held now, and another worker may take it


cdef inline void reset(int *fd) noexcept nogil:
    """Close a connection that we own at `fd`; its client sees it at once, whatever it has sent."""
    cdef linger at_once
    at_once.l_onoff, at_once.l_linger = 1, 0
    setsockopt(fd[0], SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once))
    descriptor_close(fd)


cdef inline void refusing_sweep(Dispatcher *d, uint32_t index) noexcept nogil:
    """Reset those who wait at a listener that refuses."""
    cdef ConnectionRecord record
    cdef Listener *listener = &d.listeners[index]
    cdef int fd
    while listener.budget:
        listener.budget -= 1
        fd = accept_connection(d, index, &record)
        if fd < 0:
            if accept_failed(d, index, -fd):
                continue
            break
        d.listeners[index].pause_ns = 0
        count(&d.page.accepted, 1)
        count(&d.page.listeners[index].accepted, 1)
        count(&d.page.dropped, 1)
        reset(&fd)


cdef inline bint is_accepting(const Dispatcher *d) noexcept nogil:
    """Whether the dispatcher accepts at all: not between PAUSE and RESUME, and not after QUIT."""
    return not d.paused and not d.finishing


cdef inline bint listener_may_accept(const Dispatcher *d, const Listener *listener) noexcept nogil:
    return listener.fd >= 0 and not listener.broken and listener.paused_until_ns <= d.now_ns


cdef inline void accept_from_all(Dispatcher *d) noexcept nogil:
    """Sweep every listener where a connection may wait; each time another one is the first."""
    cdef uint32_t i, index
    if not is_accepting(d):
        return
    for i in range(d.listeners_end):
        index = (d.first_listener + i) % d.listeners_end
        d.listeners[index].budget = ACCEPTS_PER_TURN
        if not d.listeners[index].ready or not listener_may_accept(d, &d.listeners[index]):
            continue
        if d.listeners[index].refuses:
            refusing_sweep(d, index)
        else:
            accept_sweep(d, index)
    d.first_listener += 1


cdef inline void listeners_poll(Dispatcher *d, bint wanted) noexcept nogil:
    """Poll those listeners that may accept, if connections are `wanted`; leave the others to the kernel.

    One that refuses needs no worker.
    """
    cdef Listener *listener
    cdef bint poll
    for index in range(d.listeners_end):
        listener = &d.listeners[index]
        if listener.fd < 0:
            continue
        poll = wanted and listener_may_accept(d, listener) and has_taker(d, index)
        if listener.refuses:
            poll = is_accepting(d) and listener_may_accept(d, listener)
        if poll == listener.polled:
            continue
        listener.polled = poll
        listener.ready |= not poll  # epoll will not tell: look when it is possible again
        watch_change(d.epoll_fd, listener.fd, EPOLLIN if poll else 0, watched_data(WATCHED_LISTENER, index))


cdef inline int listener_adopt(Dispatcher *d, const ListenerFields *wanted, int fd) noexcept nogil:
    """Take over a listening socket, which the caller has checked; 0 or -errno (then the caller still owns it)."""
    cdef uint32_t index = wanted.listener_id
    cdef Listener *listener = &d.listeners[index]
    cdef int result
    memset(listener, 0, sizeof(listener[0]))
    listener.fd = fd
    listener.key = wanted.key
    listener.refuses = wanted.refuses != 0
    listener.ready = True
    listener.reported_at_ns = -LONGEST_PAUSE_NS * 10
    result = watch_begin(d.epoll_fd, fd, 0, watched_data(WATCHED_LISTENER, index))
    if result < 0:
        listener.fd = -1
        return result
    d.listeners_end = max(d.listeners_end, index + 1)
    return 0


cdef inline void drop_held_of(Dispatcher *d, uint32_t index) noexcept nogil:
    """Close the held connections of a listener that no worker serves any more: so their clients are told."""
    cdef Connection connection
    for _ in range(d.held.count):
        connection = held_first(&d.held)[0]
        held_drop_first(&d.held)
        if connection.record.listener_id != index:
            held_push(&d.held)[0] = connection
            continue
        descriptor_close(&connection.fd)
        count(&d.page.dropped, 1)
    d.held_passed = min(d.held_passed, d.held.count)
    d.held_unserved = min(d.held_unserved, d.held.count)


cdef inline void drop_held_of_removed(Dispatcher *d) noexcept nogil:
    """Close held connections of removed listeners when there is no worker: no one will ever take them."""
    if d.admitted or d.held.count == 0:
        return
    for index in range(d.listeners_end):
        if d.listeners[index].removed:
            drop_held_of(d, index)


cdef inline void listener_close(Dispatcher *d, uint32_t index) noexcept nogil:
    """Stop accepting from a listener; what waits in its backlog is left to the other processes that hold it."""
    cdef Listener *listener = &d.listeners[index]
    if listener.fd < 0:
        return
    # The supervisor's duplicate keeps the file alive, and epoll would go on reporting it after our close.
    watch_end(d.epoll_fd, listener.fd)
    descriptor_close(&listener.fd)
    d.outbox.listener_reports -= listener.error_pending
    listener.error_pending = False


cdef inline void listener_remove(Dispatcher *d, uint32_t index) noexcept nogil:
    """Forget a listener: no worker is given connections of it any more."""
    listener_close(d, index)
    d.listeners[index].removed = True
    openings_drop_of(d, index)
    drop_held_of(d, index)
