# Owns the declaration of what makes an environ of a request that was read. Runs in WSGI workers.

from fastlb.worker.http.request_reader cimport RequestReader


cdef class EnvironMaker:
    cdef dict base                # what is the same for every request of a listener's address
    cdef str prefix               # SCRIPT_NAME
    cdef object proxies           # TrustedProxies that are asked about the client; None: nobody is believed

    cdef dict environ_of(self, RequestReader reader, str client, str client_port)
    # inside
    cdef int add_target(self, dict environ, RequestReader reader) except -1
    cdef int add_headers(self, dict environ, RequestReader reader) except -1
    cdef int believe(self, dict environ) except -1
