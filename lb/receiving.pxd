# Owns the system calls of a connection channel's worker end that fastlb.lb.posix does not have. No logic.

from libc.stdint cimport uint8_t, uint16_t, uint32_t


cdef extern from "<sys/socket.h>" nogil:
    ctypedef unsigned int socklen_t
    struct iovec:
        void *iov_base
        size_t iov_len
    struct msghdr:
        iovec *msg_iov
        size_t msg_iovlen
        void *msg_control
        size_t msg_controllen
        int msg_flags
    struct cmsghdr:
        size_t cmsg_len
        int cmsg_level
        int cmsg_type
    struct sockaddr:
        uint16_t sa_family
    struct sockaddr_storage:
        uint16_t ss_family
    cmsghdr *CMSG_FIRSTHDR(msghdr *message)
    cmsghdr *CMSG_NXTHDR(msghdr *message, cmsghdr *previous)
    uint8_t *CMSG_DATA(cmsghdr *header)
    size_t CMSG_LEN(size_t length)
    ssize_t recvmsg(int fd, msghdr *message, int flags)
    ssize_t recv(int fd, void *buffer, size_t length, int flags)
    int getsockname(int fd, sockaddr *address, socklen_t *length)
    int AF_INET, AF_INET6, AF_UNIX, SOCK_STREAM, SOL_SOCKET, SCM_RIGHTS
    int MSG_DONTWAIT, MSG_CMSG_CLOEXEC, MSG_CTRUNC, MSG_TRUNC, MSG_PEEK


cdef extern from "<sys/un.h>" nogil:
    struct sockaddr_un:
        char sun_path[108]


cdef extern from "<netinet/in.h>" nogil:
    struct sockaddr_in:
        uint16_t sin_port
        uint32_t sin_addr  # struct in_addr; only its address is taken
    struct sockaddr_in6:
        uint16_t sin6_port
        uint8_t sin6_addr[16]
        uint32_t sin6_scope_id


cdef extern from "<arpa/inet.h>" nogil:
    const char *inet_ntop(int family, const void *address, char *text, socklen_t size)
    uint16_t ntohs(uint16_t value)


cdef extern from "<net/if.h>" nogil:
    char *if_indextoname(unsigned int index, char *name)


cdef extern from "<sys/resource.h>" nogil:
    struct rlimit:
        unsigned long rlim_cur
    int getrlimit(int resource, rlimit *limit)
    int RLIMIT_NOFILE


cdef extern from "<fcntl.h>" nogil:
    int open(const char *path, int flags)
    int O_PATH, O_CLOEXEC, O_DIRECTORY
