"""Owns the making of a WSGI environ from the head of a request that was read: names, target, addresses.

Runs in WSGI workers; no I/O, and no state but remembered names. PEP 3333 is the authority on what is in an environ;
REQUEST_URI and RAW_URI (the target as the client sent it) and REMOTE_PORT are what other servers add.
"""

from urllib.parse import unquote

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_Copy, PyDict_GetItem
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_DecodeLatin1

from fastlb.worker.http.request_reader cimport RequestReader

cdef enum:
    # Names that are remembered: enough for every honest client, bounded for the others, in number and in bytes.
    REMEMBERED = 2048
    REMEMBERED_BYTES = 128

# Have one value: joined, two would be one that nobody has sent, and the first or the last is what others see of them.
cdef frozenset SINGLE = frozenset({"CONTENT_TYPE", "HTTP_AUTHORIZATION"})
cdef dict keys = {b"content-type": "CONTENT_TYPE", b"content-length": "CONTENT_LENGTH"}


cdef inline str latin_1(bytes text):
    return PyUnicode_DecodeLatin1(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text), NULL)


cdef str key_of(bytes name):
    """Return the environ key of a request header, "" when the header is dropped. `name`: in lower case.

    Dropped are names with an underscore, which would pass for another header's key, and Proxy, whose key HTTP_PROXY is
    taken for an environment variable by CGI-like code (https://httpoxy.org).
    """
    cdef PyObject *known = PyDict_GetItem(keys, name)
    if known != NULL:
        return <str>known
    text = latin_1(name)
    key = "" if "_" in text or text == "proxy" else "HTTP_" + text.upper().replace("-", "_")
    if len(keys) < REMEMBERED and PyBytes_GET_SIZE(name) <= REMEMBERED_BYTES:
        keys[name] = key
    return key


cdef class EnvironMaker:
    """Makes the environs of what comes to one of our addresses.

    Args:
        base: what is the same for every request.
        proxies: TrustedProxies whose forwarded headers are believed; None: nobody's.
    """

    def __init__(self, dict base not None, proxies):
        self.base = base
        self.prefix = base["SCRIPT_NAME"]
        self.proxies = proxies

    cdef dict environ_of(self, RequestReader reader, str client, str client_port):
        """Return the environ of the request whose head came last, but for its input.

        None: the reader has been told why the request is refused. `client`: address, "" for a unix socket, which has no
        port either (None).
        """
        cdef dict environ = PyDict_Copy(self.base)
        environ["REMOTE_ADDR"] = client
        if client_port is not None:
            environ["REMOTE_PORT"] = client_port
        environ["REQUEST_METHOD"] = reader.method()
        environ["SERVER_PROTOCOL"] = "HTTP/1.0" if reader.is_http10 else "HTTP/1.1"
        self.add_target(environ, reader)
        self.add_headers(environ, reader)
        if reader.refusal:
            return None
        if self.proxies is not None and self.proxies.trusts_peer(client):
            self.believe(environ)
        return environ

    cdef int add_target(self, dict environ, RequestReader reader) except -1:
        """Set what derives from the target.

        A path below SCRIPT_NAME is cut; another is left whole, because a proxy in front may have cut it already.
        """
        cdef str path
        environ["RAW_URI"] = environ["REQUEST_URI"] = latin_1(reader.target)
        path = latin_1(reader.path)
        if path == "*":
            path = ""
        elif "%" in path:
            path = unquote(path, "latin-1")
        if self.prefix and (path == self.prefix or path.startswith(self.prefix + "/")):
            path = path[len(self.prefix):]
        environ["PATH_INFO"] = path
        environ["QUERY_STRING"] = latin_1(reader.query)
        return 0

    cdef int add_headers(self, dict environ, RequestReader reader) except -1:
        cdef bytes name, value
        cdef str key
        for pair in reader.headers:
            name, value = <bytes>(<tuple>pair)[0], <bytes>(<tuple>pair)[1]
            key = key_of(name)
            if not key:
                continue
            if PyDict_GetItem(environ, key) == NULL:
                environ[key] = latin_1(value)
            elif key not in SINGLE:
                environ[key] = f"{environ[key]}{'; ' if key == 'HTTP_COOKIE' else ','}{latin_1(value)}"
            elif environ[key] != latin_1(value):
                reader.refuse(400, f"two values of {key}")
        return 0

    cdef int believe(self, dict environ) except -1:
        """Take scheme and client from what a trusted proxy says."""
        forwarded_proto = environ.get("HTTP_X_FORWARDED_PROTO")
        if forwarded_proto is not None and (scheme := self.proxies.scheme_of(forwarded_proto)):
            environ["wsgi.url_scheme"] = scheme
        forwarded_for = environ.get("HTTP_X_FORWARDED_FOR")
        if forwarded_for is not None and (client := self.proxies.client_of(forwarded_for)):
            environ["REMOTE_ADDR"] = client
            environ["REMOTE_PORT"] = "0"  # not told
        return 0
