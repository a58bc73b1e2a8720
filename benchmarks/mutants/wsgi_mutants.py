"""Owns the list of faults for what a WSGI worker makes of requests and responses: framing, Host, limits.

A rule stands once, with its faults below it. `old` must stand once in its file.
"""

from .mutant import Fault, Mutant, mutants_of

READER, CONNECTION = "worker/http/request_reader.pyx", "worker/wsgi/connection.pyx"
HEAD, EXCHANGE = "worker/wsgi/response_head.pyx", "worker/wsgi/exchange.pyx"
ENVIRON = "worker/wsgi/request_environ.pyx"

RULES: dict[str, tuple[Fault, ...]] = {
    "a request has one framing, and one that is known": (
        (READER, '            if self.codings > 1 or not equals_text(self.transfer_coding, b"chunked"):\n', "            if False:\n"),
        (READER, "            if self.is_http10:\n                return self.refuse(400, \"Transfer-Encoding", "            if False:\n                return self.refuse(400, \"Transfer-Encoding"),
        (CONNECTION, 'environ.pop("HTTP_TRANSFER_ENCODING", None) is not None', '"HTTP_TRANSFER_ENCODING" in environ'),
        (CONNECTION, "str(body.size if body is not None else 0)", '"0"'),
    ),
    "a request has one Host, and a possible one": (
        (READER, "            if self.host_at >= 0:\n", "            if False:\n"),
        (READER, "            if version == 11:\n", "            if False:\n"),
        (READER, "            if not is_host(<const uint8_t *>PyBytes_AS_STRING(host), PyBytes_GET_SIZE(host)):\n", "            if False:\n"),
        (READER, "            self.headers[self.host_at] = host\n", "            pass\n"),
    ),
    "what a client makes us keep is bounded": (
        (READER, "            if self.section_bytes > self.head_limit:\n", "            if False:\n"),
        (READER, "        if len(self.headers) >= HEADERS_LIMIT:\n", "        if False:\n"),
        (READER, "    if 0 < reader.body_limit < reader.body_bytes:\n", "    if False:\n"),
        (READER, "        elif 0 < self.body_limit < parser.content_length:\n", "        elif False:\n"),
    ),
    "no header passes for another": (
        (ENVIRON, 'if "_" in text or text == "proxy" else', 'if text == "proxy" else'),
        (ENVIRON, 'if "_" in text or text == "proxy" else', 'if "_" in text else'),
        (ENVIRON, "{'; ' if key == 'HTTP_COOKIE' else ','}", "{','}"),
        (ENVIRON, "            elif key not in SINGLE:\n", "            elif True:\n"),
    ),
    "only trusted proxies are believed": (
        (ENVIRON, "self.proxies is not None and self.proxies.trusts_peer(client)", "self.proxies is not None"),
        (ENVIRON, '            environ["REMOTE_ADDR"] = client\n            environ["REMOTE_PORT"] = "0"', '            environ["REMOTE_PORT"] = "0"'),
        (ENVIRON, '            environ["wsgi.url_scheme"] = scheme\n', "            pass\n"),
    ),
    "a client that expects is answered": (
        (CONNECTION, "            self.owes_continue = self.direct\n            self.write(CONTINUE)\n", "            pass\n"),
        (READER, '            if not equals_text(value, b"100-continue"):\n', "            if False:\n"),
        (READER, "        if parser.method == HTTP_CONNECT:\n", "        if False:\n"),
        (READER, "    reader.ended = not reader.keep_alive\n", "    reader.ended = False\n"),
    ),
    "the end of a response can be seen": (
        (EXCHANGE, "            self.keep_alive = False\n        return 0\n\n    cdef int on_error", "            pass\n        return 0\n\n    cdef int on_error"),
        (EXCHANGE, "            self.broken = True\n            return 0\n", "            return 0\n"),
        (EXCHANGE, "            self.put(LAST_CHUNK)\n", "            pass\n"),
        (EXCHANGE, "            return self.put(self.next_part(text, length, False))\n", "            return self.put(data)\n"),
    ),
    "a body is as long as its Content-Length says": (
        (EXCHANGE, "        return room\n", "        return length\n"),
        (EXCHANGE, "            self.check_part(length, False)\n", "            pass\n"),
        (EXCHANGE, "data if length == PyBytes_GET_SIZE(data) else data[:length]", "data"),
    ),
    "responses without a body have none": (
        (EXCHANGE, "self.bodiless = self.is_head or self.status == 204", "self.bodiless = self.status == 204"),
        (EXCHANGE, "        if self.bodiless or length == 0:\n", "        if length == 0:\n"),
        (HEAD, "            return self.status != 204\n", "            return True\n"),
    ),
    "an app cannot put a second header or response into a value": (
        (HEAD, "        if not is_field_value(value_text, value_length):\n", "        if False:\n"),
        (HEAD, "        if not is_field_value(<const uint8_t *>end + 9, length):\n", "        if False:\n"),
        (HEAD, "            if not lower_token(text[i]):\n", "            if False:\n"),
        (HEAD, "        if length == 0:\n", "        if False:\n"),
    ),
    "hop-by-hop headers and framing are the server's": (
        (HEAD, '        return equals_lower(name, length, b"transfer-encoding")\n', "        return False\n"),
        (HEAD, '            raise ValueError("two Content-Length headers")\n', "            pass\n"),
        (HEAD, "                self.app_closes = True\n", "                pass\n"),
        (HEAD, "            if not is_digit(text[i]):\n", "            if False:\n"),
    ),
}  # fmt: skip

FIRST = (
    "tests/unit/test_wsgi_parts.py",
    "tests/worker/test_wsgi_requests.py",
    "tests/worker/test_wsgi_responses.py",
    "tests/worker/test_proxies.py",
)
# Faults that change nothing that can be seen, and why.
EQUIVALENT: dict[Fault, str] = {}

WSGI: tuple[Mutant, ...] = mutants_of(RULES, dict.fromkeys(RULES, FIRST), EQUIVALENT)
