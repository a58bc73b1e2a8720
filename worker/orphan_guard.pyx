"""Owns the end of a worker whose supervisor is gone, even when its interpreter is blocked.

Runs in workers: one C thread that needs neither the interpreter nor its lock, sleeps in poll(2), and is never
woken as long as the supervisor lives. A worker that serves drains by itself when the supervisor goes; this is for the
one that cannot, and for one that does not serve yet, which has nothing to finish. Declared here of the system is what
lb/posix.pxd, which the dispatcher shares, has no use for: threads.
"""

from libc.stdint cimport int64_t

from fastlb.lb.atomics cimport load_i64, store_i64
from fastlb.lb.errors cimport check
from fastlb.lb.posix cimport (
    F_DUPFD_CLOEXEC, POLLHUP, POLLRDHUP, SIGKILL, close, errno, fcntl, poll, pollfd, timespec,
)


cdef extern from "<poll.h>" nogil:
    short POLLERR, POLLNVAL


cdef extern from "<pthread.h>" nogil:
    ctypedef unsigned long pthread_t
    ctypedef struct pthread_attr_t:
        pass
    int pthread_attr_init(pthread_attr_t *attributes)
    int pthread_attr_setstacksize(pthread_attr_t *attributes, size_t size)
    int pthread_attr_setdetachstate(pthread_attr_t *attributes, int state)
    int pthread_attr_destroy(pthread_attr_t *attributes)
    int pthread_create(pthread_t *thread, pthread_attr_t *how, void *(*run)(void *) noexcept nogil, void *arg)
    int PTHREAD_CREATE_DETACHED


cdef extern from "<signal.h>" nogil:
    ctypedef struct sigset_t:
        pass
    int sigfillset(sigset_t *signals)
    int pthread_sigmask(int how, const sigset_t *new, sigset_t *old)
    int kill(int pid, int signal_number)
    int SIG_SETMASK


cdef extern from "<unistd.h>" nogil:
    int getpid()
    int getpgrp()
    void _exit(int status)


cdef extern from "<time.h>" nogil:
    int nanosleep(const timespec *length, timespec *rest)


cdef enum:
    STACK_BYTES = 65536
    EXIT_ORPHANED = 70  # EX_SOFTWARE of sysexits.h
    NS = 1_000_000_000


cdef int watched_fd = -1  # the guard's duplicate, for children that inherit it
cdef int64_t grace_ns = 0  # 0: there is nothing to finish


cdef void end_group() noexcept nogil:
    if getpgrp() == getpid():
        kill(0, SIGKILL)
    _exit(EXIT_ORPHANED)


cdef void *guard_run(void *argument) noexcept nogil:
    cdef timespec grace
    cdef int64_t length_ns
    cdef pollfd watched
    watched.fd = watched_fd
    watched.events = POLLRDHUP
    watched.revents = 0
    while not watched.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL):
        poll(&watched, 1, -1)
    length_ns = load_i64(&grace_ns)
    grace.tv_sec, grace.tv_nsec = length_ns // NS, length_ns % NS
    while nanosleep(&grace, &grace) != 0:
        pass
    end_group()
    return NULL


cdef int guard_start() noexcept nogil:
    """Start the thread with every signal blocked, because signals are the interpreter's. 0 or -errno."""
    cdef pthread_t thread
    cdef pthread_attr_t attributes
    cdef sigset_t every, before
    cdef int error
    pthread_attr_init(&attributes)
    pthread_attr_setstacksize(&attributes, STACK_BYTES)
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED)
    sigfillset(&every)
    pthread_sigmask(SIG_SETMASK, &every, &before)
    error = pthread_create(&thread, &attributes, guard_run, NULL)
    pthread_sigmask(SIG_SETMASK, &before, NULL)
    pthread_attr_destroy(&attributes)
    return -error


def start_orphan_guard(lifeline_fd):
    """Kill this process, and its group when it leads one, at the end of `lifeline_fd`: until it has time to finish.

    `lifeline_fd` is borrowed (a duplicate is watched until the process ends). Once a process. Raises OSError.
    """
    global watched_fd
    watched_fd = fcntl(lifeline_fd, F_DUPFD_CLOEXEC, 0)
    cdef int result = -errno if watched_fd < 0 else guard_start()
    if result < 0 and watched_fd >= 0:
        close(watched_fd)
        watched_fd = -1
    check(result, "watch the supervisor")


def give_time_to_finish(double grace):
    """Kill this process only `grace` seconds after the end of the lifeline from now on: it is about to serve."""
    store_i64(&grace_ns, <int64_t>(grace * NS))


def orphan_guard_fd():
    """Return the descriptor that the guard watches, -1 without one. It stays the guard's."""
    return watched_fd


def end_process_group():
    """Kill this process and its group, when it leads one: the last act of a worker that nobody cleans up."""
    end_group()
