# Owns the count of a Node worker's open connections, without any code of ours in the worker: the size of /proc/PID/fd
# is the number of its open descriptors (Linux 6.2 and newer, proc(5)). On older kernels only what is not answered yet
# counts. Runs in the dispatcher process. Nothing wakes it when a connection is closed, so it looks every LOOK_AGAIN_NS
# while clients wait for that.

from libc.stdint cimport uint32_t, uint64_t

from fastlb.lb.atomics cimport store_u64
from fastlb.lb.node.channel cimport NodeChannel, node_taken
from fastlb.lb.policy cimport POLICY_LEAST_CONNECTIONS
from fastlb.lb.posix cimport fstat, stat
from fastlb.lb.slots cimport WorkerSlot, slot_open
from fastlb.lb.state cimport Dispatcher

cdef enum:
    LOOK_AGAIN_NS = 10_000_000  # while clients wait for a connection to be closed


cdef inline uint64_t node_descriptors(const NodeChannel *node) noexcept nogil:
    """Return how many descriptors a worker has open; 0: the kernel does not tell."""
    cdef stat status
    if fstat(node.descriptors_fd, &status) < 0 or status.st_size < 0:
        return 0
    return <uint64_t>status.st_size


cdef inline uint64_t node_open(const NodeChannel *node) noexcept nogil:
    """Return how many connections a worker has open, as far as the kernel tells."""
    cdef uint64_t descriptors = node_descriptors(node)
    return descriptors - node.baseline if descriptors > node.baseline else 0


cdef inline void node_begin_counting(WorkerSlot *slot, uint32_t baseline) noexcept nogil:
    """Begin to count a worker's connections: but for `baseline` of its open descriptors all are some already."""
    slot.node.baseline = baseline
    slot.node.accepted = node_open(slot.node)


cdef inline void node_look(WorkerSlot *slot, bint wanted) noexcept nogil:
    """Store in a worker's page how many connections are open; unless `wanted`, accepted ones count as closed."""
    cdef NodeChannel *node = slot.node
    cdef uint64_t taken = node_taken(node)
    cdef uint64_t open = max(node_open(node) if wanted else 0, node.received_count)
    store_u64(&node.page.taken, taken)
    store_u64(&node.page.closed, taken - min(open, taken))


cdef inline void look_at_nodes(Dispatcher *d) noexcept nogil:
    """Look at the admitted Node workers, once a turn: connections that they are given in between are counted by us."""
    cdef WorkerSlot *slot
    if d.node_workers == 0:
        return
    for i in range(d.table.count):
        slot = &d.slots[d.table.candidates[i].slot]
        if slot.node != NULL:
            node_look(slot, d.policy == POLICY_LEAST_CONNECTIONS or slot.max_connections > 0)


cdef inline bint waits_for_closed_connections(const Dispatcher *d) noexcept nogil:
    """Whether some Node worker gets nothing because of its open connections."""
    cdef const WorkerSlot *slot
    if d.node_workers == 0:
        return False
    for i in range(d.table.count):
        slot = &d.slots[d.table.candidates[i].slot]
        if slot.node != NULL and slot.max_connections and slot_open(slot) >= slot.max_connections:
            return True
    return False
