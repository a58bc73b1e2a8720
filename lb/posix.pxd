# Owns the declarations of the system's C headers for lb: sockets, epoll, memfd, clock. Runs in dispatcher, supervisor
# and workers. Only the fields and constants in use are named; the compiler takes the rest from the headers. (What is
# the standard C library's comes from Cython's libc; worker/ declares what only it uses.)

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t


cdef extern from "<errno.h>" nogil:
    int errno
    int EAGAIN, EBADF, ECONNABORTED, EINTR, EINVAL, EIO, EMFILE, EMSGSIZE, ENFILE, ENOBUFS, ENOENT
    int ENOMEM, ENOSPC, EPERM, EPIPE, EPROTO, ETOOMANYREFS, ECONNRESET, ENOTCONN, EEXIST, EACCES
    int EBUSY, ECONNREFUSED, EFAULT, EHOSTDOWN, EHOSTUNREACH, ENETDOWN, ENETUNREACH, ENONET, ENOPROTOOPT
    int ENOTSOCK, EOPNOTSUPP, ESTALE, ESRCH, ETIMEDOUT


cdef extern from "<unistd.h>" nogil:
    int close(int fd)
    int dup(int fd)
    int ftruncate(int fd, int64_t length)
    ssize_t pread(int fd, void *buffer, size_t count, int64_t offset)
    ssize_t read(int fd, void *buffer, size_t count)
    ssize_t write(int fd, const void *buffer, size_t count)


cdef extern from *:
    # <string.h> declares it with _GNU_SOURCE only, which Python's headers may set too late.
    """
    extern void *memmem(const void *, size_t, const void *, size_t);
    """
    void *memmem(const void *data, size_t length, const void *wanted, size_t wanted_length) noexcept nogil


cdef extern from "<strings.h>" nogil:
    int strncasecmp(const char *one, const char *other, size_t length)


cdef extern from "<fcntl.h>" nogil:
    int fcntl(int fd, int command, ...)
    int F_ADD_SEALS, F_GET_SEALS, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_SEAL
    int F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC, FD_CLOEXEC, O_NONBLOCK
    int open(const char *path, int flags)
    int O_DIRECTORY, O_PATH, O_CLOEXEC


cdef extern from "<sys/mman.h>" nogil:
    void *mmap(void *address, size_t length, int protection, int flags, int fd, int64_t offset)
    int munmap(void *address, size_t length)
    int memfd_create(const char *name, unsigned int flags)
    int PROT_READ, PROT_WRITE, MAP_SHARED, MAP_PRIVATE, MAP_ANONYMOUS, MAP_FIXED
    void *MAP_FAILED
    unsigned int MFD_CLOEXEC, MFD_ALLOW_SEALING


cdef extern from "<sys/stat.h>" nogil:
    struct stat:
        int64_t st_size
    int fstat(int fd, stat *status)


cdef extern from "<sys/uio.h>" nogil:
    struct iovec:
        void *iov_base
        size_t iov_len


cdef extern from "<sys/socket.h>" nogil:
    ctypedef unsigned int socklen_t
    struct sockaddr:
        uint16_t sa_family
    struct sockaddr_storage:
        uint16_t ss_family
    struct msghdr:
        iovec *msg_iov
        size_t msg_iovlen
        void *msg_control
        size_t msg_controllen
        int msg_flags
    struct linger:
        int l_onoff
        int l_linger
    struct cmsghdr:
        size_t cmsg_len
        int cmsg_level
        int cmsg_type
    cmsghdr *CMSG_FIRSTHDR(msghdr *message)
    cmsghdr *CMSG_NXTHDR(msghdr *message, cmsghdr *header)
    unsigned char *CMSG_DATA(cmsghdr *header)
    size_t CMSG_LEN(size_t length)
    int accept4(int fd, sockaddr *address, unsigned int *length, int flags)
    int getsockname(int fd, sockaddr *address, socklen_t *length)
    int getsockopt(int fd, int level, int option, void *value, unsigned int *length)
    int setsockopt(int fd, int level, int option, const void *value, unsigned int length)
    ssize_t recv(int fd, void *buffer, size_t length, int flags)
    ssize_t recvmsg(int fd, msghdr *message, int flags)
    ssize_t send(int fd, const void *buffer, size_t length, int flags)
    ssize_t sendmsg(int fd, const msghdr *message, int flags)
    int shutdown(int fd, int how)
    int AF_INET, AF_INET6, AF_UNIX, SOCK_SEQPACKET, SOCK_STREAM, SOCK_NONBLOCK, SOCK_CLOEXEC, SHUT_RD, SHUT_WR
    int SOL_SOCKET, SO_ACCEPTCONN, SO_DOMAIN, SO_LINGER, SO_TYPE, SCM_RIGHTS
    int MSG_CMSG_CLOEXEC, MSG_CTRUNC, MSG_DONTWAIT, MSG_NOSIGNAL, MSG_PEEK, MSG_TRUNC


cdef extern from "<netinet/in.h>" nogil:
    struct in_addr:
        uint32_t s_addr
    struct in6_addr:
        uint8_t s6_addr[16]
    struct sockaddr_in:
        uint16_t sin_port
        in_addr sin_addr
    struct sockaddr_in6:
        uint16_t sin6_port
        in6_addr sin6_addr
        uint32_t sin6_scope_id
    uint16_t ntohs(uint16_t value)


cdef extern from "<sys/un.h>" nogil:
    struct sockaddr_un:
        char sun_path[108]


cdef extern from "<arpa/inet.h>" nogil:
    const char *inet_ntop(int family, const void *address, char *text, socklen_t size)
    int inet_pton(int family, const char *text, void *address)


cdef extern from "<net/if.h>" nogil:
    char *if_indextoname(unsigned int index, char *name)


cdef extern from "<sys/ioctl.h>" nogil:
    int ioctl(int fd, unsigned long request, ...)
    unsigned long FIONREAD


cdef extern from "<poll.h>" nogil:
    struct pollfd:
        int fd
        short events
        short revents
    int poll(pollfd *fds, unsigned long count, int timeout_ms)
    int POLLIN, POLLHUP, POLLRDHUP


cdef extern from "<sys/epoll.h>" nogil:
    # u64 names the whole user data of an event (a union in C)
    ctypedef union epoll_data_t:
        uint64_t u64
    struct epoll_event:
        uint32_t events
        epoll_data_t data
    int epoll_create1(int flags)
    int epoll_ctl(int epoll_fd, int operation, int fd, epoll_event *event)
    int epoll_wait(int epoll_fd, epoll_event *events, int capacity, int timeout_ms)
    int EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL
    uint32_t EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP, EPOLLRDHUP, EPOLLET


cdef extern from "<pthread.h>" nogil:
    ctypedef void (*fork_handler_t)() noexcept nogil
    int pthread_atfork(fork_handler_t before, fork_handler_t in_parent, fork_handler_t in_child)


cdef extern from "<sys/resource.h>" nogil:
    struct rlimit:
        uint64_t rlim_cur
    int getrlimit(int resource, rlimit *limit)
    int RLIMIT_NOFILE


cdef extern from "<signal.h>" nogil:
    ctypedef void (*sighandler_t)(int)
    sighandler_t signal(int number, sighandler_t handler)
    sighandler_t SIG_IGN
    int SIGHUP, SIGINT, SIGKILL, SIGPIPE, SIGQUIT, SIGTERM


cdef extern from "<sys/syscall.h>" nogil:
    long syscall(long number, ...)
    long SYS_pidfd_send_signal


cdef extern from "<time.h>" nogil:
    struct timespec:
        int64_t tv_sec
        long tv_nsec
    int clock_gettime(int clock, timespec *time)
    int CLOCK_MONOTONIC
    struct itimerspec:
        timespec it_interval
        timespec it_value


cdef extern from "<sys/timerfd.h>" nogil:
    int timerfd_create(int clock, int flags)
    int timerfd_settime(int fd, int flags, const itimerspec *time, itimerspec *previous)
    int TFD_CLOEXEC, TFD_NONBLOCK, TFD_TIMER_ABSTIME


cdef inline void pidfd_signal(int pidfd, int number) noexcept nogil:
    """Send signal `number` to the process that `pidfd` stands for; nothing happens when the process has ended."""
    syscall(SYS_pidfd_send_signal, pidfd, number, NULL, 0)  # glibc has a wrapper only from 2.36 on


cdef inline int64_t monotonic_ns() noexcept nogil:
    """Return CLOCK_MONOTONIC in nanoseconds: the clock of every timestamp in pages and messages."""
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return now.tv_sec * 1_000_000_000 + now.tv_nsec
