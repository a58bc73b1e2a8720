# Owns what a listener does after accept4(2) failed: one pure function from errno to a verdict. Runs in the dispatcher
# process. No verdict closes a client's connection.

from fastlb.lb.posix cimport (
    EAGAIN, EBADF, ECONNABORTED, EFAULT, EHOSTDOWN, EHOSTUNREACH, EINTR, EINVAL, EMFILE, ENETDOWN, ENETUNREACH,
    ENFILE, ENOBUFS, ENOMEM, ENONET, ENOPROTOOPT, ENOTSOCK, EOPNOTSUPP, EPERM, EPROTO, ETIMEDOUT,
)

cdef enum AcceptVerdict:
    ACCEPT_AGAIN = 0   # no connection waits: go back to sleep
    ACCEPT_RETRY = 1   # that one connection is gone: take the next
    ACCEPT_PAUSE = 2   # no resources: leave the backlog alone for 10 to 100 ms
    ACCEPT_BROKEN = 3  # this is no listener: never poll it again


cdef inline AcceptVerdict classify_accept_error(int error) noexcept nogil:
    """Return what to do after accept4 failed with errno `error`."""
    if error == EAGAIN:  # the backlog is empty
        return ACCEPT_AGAIN
    if error == EINTR or error == ECONNABORTED:  # a signal; the client went away while it waited
        return ACCEPT_RETRY
    # accept(2): Linux passes pending network errors of the new socket as errors of accept
    if error in (ENETDOWN, EPROTO, ENOPROTOOPT, EHOSTDOWN, ENONET, EHOSTUNREACH, ENETUNREACH, ETIMEDOUT):
        return ACCEPT_RETRY
    if error == EMFILE or error == ENFILE:  # the process's or the system's descriptors are used up
        return ACCEPT_PAUSE
    if error == ENOBUFS or error == ENOMEM:  # the kernel's memory
        return ACCEPT_PAUSE
    if error == EPERM:  # a firewall or security module forbids it, for now
        return ACCEPT_PAUSE
    # closed, not a socket, not listening, not a stream socket, our own bug: trying again cannot help
    if error in (EBADF, ENOTSOCK, EINVAL, EOPNOTSUPP, EFAULT):
        return ACCEPT_BROKEN
    return ACCEPT_PAUSE  # unknown to us: neither spin nor give up
