# Owns the watching of descriptors by epoll: what is watched, and the user data by which an event says of which kind its
# descriptor is and which one of that kind. Runs in the dispatcher process. Never waits: the loop does (dispatcher.pyx).

from libc.stdint cimport uint32_t, uint64_t

from fastlb.lb.posix cimport EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, epoll_ctl, epoll_event, errno

cdef enum WatchedKind:
    WATCHED_CONTROL = 0
    WATCHED_WAKEUP = 1    # index: the worker's slot
    WATCHED_LISTENER = 2  # index: listener id
    WATCHED_PIDFD = 3     # index: the worker's slot
    WATCHED_TIMER = 4
    WATCHED_NODE = 5      # a Node worker's channel; index: its slot
    WATCHED_OPENING = 6   # a connection to which something must come; index: its place (opening/table.pxd)


cdef inline uint64_t watched_data(WatchedKind kind, uint32_t index) noexcept nogil:
    """Return the user data of a watched descriptor; `index` is 0 where its kind has only one."""
    return <uint64_t>kind << 32 | index


cdef inline uint32_t watched_kind(const epoll_event *event) noexcept nogil:
    return <uint32_t>(event.data.u64 >> 32)


cdef inline uint32_t watched_index(const epoll_event *event) noexcept nogil:
    return <uint32_t>event.data.u64


cdef inline int watch_begin(int epoll_fd, int fd, uint32_t events, uint64_t data) noexcept nogil:
    """Watch a descriptor for `events` (EPOLL...) from now on; `data` is its watched_data. Returns 0 or -errno."""
    cdef epoll_event event
    event.events, event.data.u64 = events, data
    return 0 if epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0 else -errno


cdef inline int watch_change(int epoll_fd, int fd, uint32_t events, uint64_t data) noexcept nogil:
    """Watch a descriptor that is watched already for other `events`, with the same `data`. Returns 0 or -errno."""
    cdef epoll_event event
    event.events, event.data.u64 = events, data
    return 0 if epoll_ctl(epoll_fd, EPOLL_CTL_MOD, fd, &event) == 0 else -errno


cdef inline void watch_end(int epoll_fd, int fd) noexcept nogil:
    """Watch a descriptor no more. Before its close, if a duplicate stays open: epoll would go on reporting the file."""
    epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL)
