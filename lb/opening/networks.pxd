# Owns the lists of networks whose connections are believed: what they say of the client before its request. Pure. Runs
# in the dispatcher process, once per connection where such a list is asked for; reading.pyx lets tests call it.

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcmp, memcpy, memset

from fastlb.lb.connection cimport ConnectionRecord
from fastlb.lb.posix cimport AF_INET, AF_INET6

cdef enum:
    MAX_NETWORKS = 256  # of a list

# A network of IPv6; one of IPv4 is below ::ffff:0:0/96. The supervisor sends it in this form.
cdef struct Network:
    uint8_t address[16]
    uint32_t bits            # of its prefix, 0 to 128

cdef struct NetworkList:
    uint32_t count
    bint unix_peers          # connections on unix sockets belong to it
    Network networks[MAX_NETWORKS]


cdef inline void address_as_ipv6(const ConnectionRecord *record, uint8_t *address) noexcept nogil:
    """Write a TCP peer's address as 16 bytes, IPv4 as ::ffff:a.b.c.d."""
    memset(address, 0, 16)
    if record.family == AF_INET:
        address[10] = address[11] = 0xFF
        memcpy(address + 12, record.address, 4)
    else:
        memcpy(address, record.address, 16)


cdef inline bint network_has(const Network *network, const uint8_t *address) noexcept nogil:
    cdef uint32_t whole = network.bits >> 3, rest = network.bits & 7
    if memcmp(network.address, address, whole) != 0:
        return False
    return rest == 0 or (network.address[whole] ^ address[whole]) >> (8 - rest) == 0


cdef inline bint is_in_networks(const NetworkList *found, const ConnectionRecord *record) noexcept nogil:
    """Whether the peer of a connection is in one of the networks of a list."""
    cdef uint8_t address[16]
    if record.family != AF_INET and record.family != AF_INET6:
        return found.unix_peers
    address_as_ipv6(record, address)
    for i in range(found.count):
        if network_has(&found.networks[i], address):
            return True
    return False
