# Owns what follows for a worker's channel after sendmsg(2) with descriptors failed: one pure function from errno to a
# verdict. Runs in the dispatcher process. No verdict loses a connection.

from fastlb.lb.posix cimport EAGAIN, EINTR, ENOBUFS, ENOMEM, ETOOMANYREFS

cdef enum SendVerdict:
    SEND_RETRY = 0   # at once
    SEND_FULL = 1    # this channel takes no more until its worker moves: try another worker
    SEND_PAUSE = 2   # no channel will take any: wait 10 ms
    SEND_BROKEN = 3  # this channel will never take any: the worker is out


cdef inline SendVerdict classify_send_error(int error) noexcept nogil:
    """Return what to do after sendmsg with descriptors failed with errno `error`."""
    if error == EINTR:
        return SEND_RETRY
    if error == EAGAIN:  # the channel's buffer is full
        return SEND_FULL
    # RLIMIT_NOFILE descriptors of this user are in flight (unix(7)); no readiness will be reported for it
    if error == ETOOMANYREFS:
        return SEND_PAUSE
    if error == ENOBUFS or error == ENOMEM:  # the kernel's memory
        return SEND_PAUSE
    # EPIPE, ECONNRESET, ENOTCONN: the worker has shut its end; EMSGSIZE: a buffer below one message;
    # anything else: not a channel of ours. None of them heals.
    return SEND_BROKEN
