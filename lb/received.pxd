# Owns the receiving of a message with descriptors (SCM_RIGHTS). Runs in the dispatcher process (commands, take-back)
# and in workers (connections). All descriptors that came along are collected, however many the sender put in; what
# they mean is the caller's business, and so is closing them.

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy, memset

from fastlb.lb.descriptors cimport descriptor_adopted, descriptor_close
from fastlb.lb.posix cimport (
    CMSG_DATA, CMSG_FIRSTHDR, CMSG_LEN, CMSG_NXTHDR, EINTR, MSG_CMSG_CLOEXEC, MSG_DONTWAIT, SCM_RIGHTS, SOL_SOCKET,
    cmsghdr, errno, iovec, msghdr, recvmsg,
)

cdef enum:
    MAX_RIGHTS = 253        # SCM_MAX_FD: more descriptors the kernel does not pass in one message
    MAX_RIGHTS_WORDS = 129  # CMSG_SPACE(MAX_RIGHTS descriptors) in 8-byte words, so that it is aligned

# A received message with the descriptors that came along; the caller of receive() owns them.
cdef struct Received:
    ssize_t length        # -errno when nothing was received
    int flags
    uint32_t fd_count
    int fds[MAX_RIGHTS]


cdef inline void collect_rights(msghdr *message, Received *received) noexcept nogil:
    """Note all descriptors of a message that was received."""
    cdef cmsghdr *header = CMSG_FIRSTHDR(message)
    cdef size_t length
    while header != NULL:
        if header.cmsg_level == SOL_SOCKET and header.cmsg_type == SCM_RIGHTS:
            length = min(header.cmsg_len - CMSG_LEN(0), sizeof(int) * (MAX_RIGHTS - received.fd_count))
            memcpy(&received.fds[received.fd_count], CMSG_DATA(header), length)
            received.fd_count += length // sizeof(int)
        header = CMSG_NXTHDR(message, header)
    for i in range(received.fd_count):
        descriptor_adopted(received.fds[i])


cdef inline void receive(int fd, void *buffer, size_t size, Received *received) noexcept nogil:
    """Receive one message of at most `size` bytes and all its descriptors, however many."""
    cdef uint64_t control[MAX_RIGHTS_WORDS]
    cdef msghdr message
    cdef iovec data
    received.length = -EINTR
    received.fd_count = 0
    while received.length == -EINTR:
        data.iov_base = buffer
        data.iov_len = size
        memset(&message, 0, sizeof(message))
        message.msg_iov = &data
        message.msg_iovlen = 1
        message.msg_control = control
        message.msg_controllen = sizeof(control)
        received.length = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC)
        if received.length < 0:
            received.length = -errno
    received.flags = message.msg_flags
    if received.length >= 0:
        collect_rights(&message, received)


cdef inline void close_rights(Received *received) noexcept nogil:
    """Close the descriptors that came along and were not taken over (those are -1, or `fd_count` is 0)."""
    for i in range(received.fd_count):
        descriptor_close(&received.fds[i])
