# Owns every `cdef extern` of the system that fastlb.lb uses: sockets, epoll, memfd, clock. No logic.
# Only the fields and constants in use are named; the compiler takes the rest from the headers.

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t


cdef extern from "<errno.h>" nogil:
    int errno
    int EAGAIN, EBADF, ECONNABORTED, EINTR, EINVAL, EIO, EMFILE, EMSGSIZE, ENFILE, ENOBUFS, ENOENT
    int ENOMEM, ENOSPC, EPERM, EPIPE, EPROTO, ETOOMANYREFS, ECONNRESET, ENOTCONN, EEXIST, EACCES


cdef extern from "<unistd.h>" nogil:
    int close(int fd)
    int dup(int fd)
    int ftruncate(int fd, int64_t length)
    ssize_t read(int fd, void *buffer, size_t count)
    ssize_t write(int fd, const void *buffer, size_t count)


cdef extern from "<fcntl.h>" nogil:
    int fcntl(int fd, int command, ...)
    int F_ADD_SEALS, F_GET_SEALS, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_SEAL
    int F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC, FD_CLOEXEC, O_NONBLOCK


cdef extern from "<sys/mman.h>" nogil:
    void *mmap(void *address, size_t length, int protection, int flags, int fd, int64_t offset)
    int munmap(void *address, size_t length)
    int memfd_create(const char *name, unsigned int flags)
    int PROT_READ, PROT_WRITE, MAP_SHARED
    void *MAP_FAILED
    unsigned int MFD_CLOEXEC, MFD_ALLOW_SEALING


cdef extern from "<sys/stat.h>" nogil:
    struct stat:
        int64_t st_size
    int fstat(int fd, stat *status)


cdef extern from "<time.h>" nogil:
    struct timespec:
        int64_t tv_sec
        long tv_nsec
    int clock_gettime(int clock, timespec *time)
    int CLOCK_MONOTONIC


cdef inline int64_t monotonic_ns() noexcept nogil:
    """CLOCK_MONOTONIC in nanoseconds: the clock of every timestamp in pages and messages."""
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return now.tv_sec * 1_000_000_000 + now.tv_nsec
