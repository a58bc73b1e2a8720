# Owns the memory order of the shared pages: compiler builtins, named by what they are for. Runs in dispatcher,
# supervisor and workers. Every field of a page has one writer, so a load/store pair is enough and no
# read-modify-write is needed.

from libc.stdint cimport int64_t, uint32_t, uint64_t


cdef extern from *:
    """
    #include <stdint.h>
    #define fastlb_load_acquire(p)     __atomic_load_n((p), __ATOMIC_ACQUIRE)
    #define fastlb_store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
    #define fastlb_full_fence()        __atomic_thread_fence(__ATOMIC_SEQ_CST)
    """
    uint64_t load_u64 "fastlb_load_acquire"(const uint64_t *field) noexcept nogil
    uint32_t load_u32 "fastlb_load_acquire"(const uint32_t *field) noexcept nogil
    int64_t load_i64 "fastlb_load_acquire"(const int64_t *field) noexcept nogil
    void store_u64 "fastlb_store_release"(uint64_t *field, uint64_t value) noexcept nogil
    void store_u32 "fastlb_store_release"(uint32_t *field, uint32_t value) noexcept nogil
    void store_i64 "fastlb_store_release"(int64_t *field, int64_t value) noexcept nogil
    # Between "I have published a counter" and "does the other side sleep?" (and the reverse): without it
    # on both sides wake-ups are lost, on x86 too.
    void full_fence "fastlb_full_fence"() noexcept nogil
