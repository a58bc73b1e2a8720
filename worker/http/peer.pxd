# Owns what the kernel is asked, and told, about the other end of a connection. Runs in Python workers, on the event
# loop's thread. Never waits, and never reads or sends what belongs to the connection's two directions but send_head().

from fastlb.lb.posix cimport (
    EINTR, MSG_DONTWAIT, MSG_NOSIGNAL, POLLHUP, POLLRDHUP, SO_LINGER, SOL_SOCKET, errno, ioctl, linger, poll, pollfd,
    send, setsockopt,
)

cdef extern from "<poll.h>" nogil:
    int POLLERR

cdef extern from "<sys/socket.h>" nogil:
    int MSG_MORE, SO_KEEPALIVE

cdef extern from "<netinet/tcp.h>" nogil:
    int IPPROTO_TCP, TCP_KEEPIDLE, TCP_KEEPINTVL

cdef extern from "<linux/sockios.h>" nogil:
    unsigned long SIOCOUTQ


cdef enum ClientEnd:
    CLIENT_OPEN
    CLIENT_SENDS_NO_MORE
    CLIENT_GONE


cdef inline void reset_at_close(int fd) noexcept nogil:
    """Let the close of `fd` be a reset; nothing happens when it cannot be."""
    cdef linger at_once
    at_once.l_onoff, at_once.l_linger = 1, 0
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once))


cdef inline int unacknowledged_bytes(int fd) noexcept nogil:
    """Of what the kernel was given to send, the bytes that the other end's has not confirmed; 0 when nobody knows."""
    cdef int count = 0
    return count if ioctl(fd, SIOCOUTQ, &count) == 0 else 0


cdef inline ClientEnd client_end(int fd) noexcept nogil:
    """What the kernel knows of the client's end. TCP shows one that closed like one that only sends no more."""
    cdef pollfd question
    question.fd, question.events, question.revents = fd, <short>POLLRDHUP, 0
    if poll(&question, 1, 0) <= 0:
        return CLIENT_OPEN
    if question.revents & (POLLHUP | POLLERR):
        return CLIENT_GONE
    return CLIENT_SENDS_NO_MORE if question.revents & POLLRDHUP else CLIENT_OPEN


cdef inline void probe_client(int fd, int seconds) noexcept nogil:
    """Ask the client's kernel every `seconds` whether it still knows the connection; without, CLIENT_GONE shows late.

    A kernel forgets a connection that its program has closed after a minute (tcp_fin_timeout), and then says so.
    """
    cdef int on = 1
    if setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof(seconds)) == 0:
        setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof(seconds))
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on))


cdef inline ssize_t send_head(int fd, const char *head, size_t length) noexcept nogil:
    """Send what a file follows at once; return how many bytes were taken, 0 when none could be."""
    cdef ssize_t sent = send(fd, head, length, MSG_DONTWAIT | MSG_NOSIGNAL | MSG_MORE)
    while sent < 0 and errno == EINTR:
        sent = send(fd, head, length, MSG_DONTWAIT | MSG_NOSIGNAL | MSG_MORE)
    return sent if sent > 0 else 0
