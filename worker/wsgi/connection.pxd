# Owns the declaration of a connection of a WSGI worker. Runs in WSGI workers.

from fastlb.worker.http.connection cimport HttpConnection
from fastlb.worker.wsgi.exchange cimport WsgiExchange, WsgiService
from fastlb.worker.wsgi.request_environ cimport EnvironMaker


cdef class WsgiConnection(HttpConnection):
    cdef WsgiService wsgi
    cdef EnvironMaker maker
    cdef str client               # address; "" of a unix socket
    cdef str client_port          # None: of a unix socket
    cdef dict environ             # of the request that is being read
    cdef readonly object body             # RequestBody of that request; None: nothing of it has come
    cdef WsgiExchange exchange    # the request that is answered; None: there is none
    cdef readonly object grace             # timer: a new connection counts as busy without a whole request
    cdef bint is_new              # it had no whole request yet, and counts as busy
    # while the threads that run the app serve it by themselves
    cdef readonly bint direct     # they do, and not the event loop
    cdef int fd
    cdef bint is_watched          # by Crew
    cdef bint lingers             # it ends, and its client still sends
    cdef bint owes_continue       # its client waits for a 100 Continue
    cdef bytes unfed              # what is to be read by the event loop

    cdef bint read_directly(self, const char *data, Py_ssize_t length) except -1
    cdef int answer(self, WsgiExchange exchange, bint is_leader) except -1
    cdef int go_to_loop(self) except -1
    cdef int close_directly(self) except -1
    cdef int end_grace(self) except -1

    # inside
    cdef int wait_a_moment(self) except -1
    cdef int continue_in_loop(self) except -1
    cdef int count_done(self, WsgiExchange exchange) except -1
    cdef int tell_line(self, WsgiExchange exchange) except -1
    cdef int refuse_unstored(self, error) except? -1
    cdef int pause_turn(self) except -1
    cdef bint is_body_behind(self) except -1
    cdef object take_input(self)
    cdef int pump(self) except -1
    cdef int finish(self) except -1
    cdef int send_file(self) except -1
    cdef int break_off(self) except -1
