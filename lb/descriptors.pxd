# Owns the rules for descriptors in the dispatcher process: each has one owner, each is closed exactly once, and none
# is received into a table without room for it. The debug build counts them. A worker's inbox receives through
# received.pxd and so by the same rules.
#
# A function that makes a descriptor ours calls descriptor_adopted(); descriptor_close() ends that, and no other .pxd
# file calls close(2). -1 means "none" everywhere.

from libc.stdint cimport int64_t, uint64_t

from fastlb.lb.posix cimport (
    F_DUPFD_CLOEXEC, O_CLOEXEC, O_DIRECTORY, O_PATH, RLIMIT_NOFILE, close, fcntl, fstat, getrlimit, open, rlimit, stat,
)


cdef extern from *:
    """
    #include <stdio.h>
    #include <stdlib.h>
    #ifdef FASTLB_DEBUG
    static int64_t fastlb_owned_descriptors __attribute__((unused));
    #define fastlb_count_descriptors(change) ((void)(fastlb_owned_descriptors += (change)))
    #define fastlb_descriptor_count() (fastlb_owned_descriptors)
    #define fastlb_invariant(condition)                                          \
        do {                                                                     \
            if (!(condition)) {                                                  \
                fprintf(stderr, "fastlb: broken invariant: %s\\n", #condition);  \
                abort();                                                         \
            }                                                                    \
        } while (0)
    #else
    #define fastlb_count_descriptors(change) ((void)0)
    #define fastlb_descriptor_count() ((int64_t)0)
    #define fastlb_invariant(condition) ((void)0)
    #endif
    """
    void count_descriptors "fastlb_count_descriptors"(int change) noexcept nogil
    int64_t descriptor_count "fastlb_descriptor_count"() noexcept nogil
    # Debug build: abort with the condition's text when it does not hold. Otherwise nothing.
    void invariant "fastlb_invariant"(bint condition) noexcept nogil


cdef enum:
    # These stay free when a message is taken back: so that a command can be received when descriptors run out.
    SPARE_DESCRIPTORS = 8
    PROBED_DESCRIPTORS = 64


cdef inline int descriptor_adopted(int fd) noexcept nogil:
    """Note that `fd` is ours to close from now on; return it."""
    count_descriptors(1)
    return fd


cdef inline void descriptor_close(int *fd) noexcept nogil:
    """Close the descriptor that we own at `fd`, if any, and forget its number."""
    if fd[0] < 0:
        return
    close(fd[0])  # on Linux the descriptor is gone whatever close returns: never try again
    count_descriptors(-1)
    fd[0] = -1


cdef inline int descriptor_table_open() noexcept nogil:
    """Open the directory whose size is our number of descriptors; -1 without /proc, which is fine too."""
    return open(b"/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC)


cdef inline bint descriptors_probe(int some_fd, int wanted) noexcept nogil:
    """Whether `wanted` descriptors are free, found out by taking them (any kernel; one system call each)."""
    cdef int probes[PROBED_DESCRIPTORS]
    cdef int taken = 0
    if wanted > PROBED_DESCRIPTORS:
        wanted = PROBED_DESCRIPTORS
    while taken < wanted:
        probes[taken] = fcntl(some_fd, F_DUPFD_CLOEXEC, 0)
        if probes[taken] < 0:
            break
        taken += 1
    for i in range(taken):
        close(probes[i])
    return taken == wanted


cdef inline bint descriptors_free(int table_fd, int some_fd, int wanted) noexcept nogil:
    """Whether `wanted` more descriptors fit below RLIMIT_NOFILE, which may change while we run (prlimit(2)).

    Since Linux 6.2 st_size of /proc/self/fd is the number of open descriptors (proc(5)); before, it is 0.
    """
    cdef stat status
    cdef rlimit limit
    if table_fd < 0 or fstat(table_fd, &status) < 0 or status.st_size <= 0:
        return descriptors_probe(some_fd, wanted)
    if getrlimit(RLIMIT_NOFILE, &limit) < 0:
        return False
    return <uint64_t>status.st_size + wanted <= limit.rlim_cur
