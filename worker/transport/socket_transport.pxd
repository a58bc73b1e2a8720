# Owns what the engine sees of the transport of a plain connection. Runs in ASGI workers, on the event loop's thread.

from libc.stdint cimport uint32_t

cdef enum:
    READ_BYTES = 65536   # of one client in a turn of the loop
    EVENTS = 64          # that are looked for at a time
    PIECES = 16          # that are sent in one system call


cdef class SocketPoller:
    cdef readonly object loop
    cdef object factory
    cdef int epoll_fd
    cdef dict watched             # descriptor -> SocketTransport
    cdef list ended               # SocketTransports whose protocols are still to be told
    cdef bint end_is_called       # soon, by the loop
    cdef char[READ_BYTES] buffer

    cdef int end_turn(self) except -1
    cdef int add_ended(self, SocketTransport transport) except -1


cdef class SocketTransport:
    cdef SocketPoller poller
    cdef object handed            # HandedSocket, whose descriptor this closes unless it is detached
    cdef object protocol
    cdef int fd
    cdef uint32_t watched         # events (EPOLL...); 0: it is not watched
    cdef bint in_call             # its protocol is being called by the poller
    cdef bint settled             # it may be watched: what the client had sent at first is worked off
    cdef bint reading
    cdef bint at_end              # the client sends no more
    cdef bint closing             # ... when what is held is sent
    cdef bint ended
    cdef bint eof_due             # our direction ends when what is held is sent
    cdef bint writing_paused
    cdef object pending           # a deque of bytes that the kernel did not take; None: there were never any
    cdef Py_ssize_t sent_bytes    # of the first of them
    cdef Py_ssize_t pending_bytes  # of all
    cdef object error             # why it ended

    cdef int put(self, bytes data) except -1
    cdef int begin(self) except -1
    cdef int on_events(self, uint32_t events) except -1
    cdef bytes detach(self)
    # inside
    cdef int read(self) except -1
    cdef int on_eof(self) except -1
    cdef int hold(self, bytes data, Py_ssize_t sent) except -1
    cdef int flush(self) except -1
    cdef int drop_sent(self, Py_ssize_t sent) except -1
    cdef int rewatch(self) except -1
    cdef int unwatch(self) except -1
    cdef int fail(self, int error) except -1
    cdef int fail_with(self, error) except -1
    cdef int end(self) except -1
    cdef int tell_end(self) except -1
