"""Owns the list of faults for what a WSGI worker makes of requests and responses: framing, Host, limits.

A rule stands once, with its faults below it. `old` must stand once in its file.
"""

from .mutant import Fault, Mutant, mutants_of

READER, EXCHANGE = "worker/wsgi/request_reader.py", "worker/wsgi/exchange.py"
HEAD, ENVIRON = "worker/wsgi/response_head.py", "worker/wsgi/environ.py"

RULES: dict[str, tuple[Fault, ...]] = {
    "a request has one framing, and one that is known": (
        (READER, '        elif coding.lower() != "chunked":\n', "        elif False:\n"),
        (READER, '        elif environ["SERVER_PROTOCOL"] == "HTTP/1.0":\n', "        elif False:\n"),
        (READER, '            del environ["HTTP_TRANSFER_ENCODING"]\n', ""),
        (READER, "str(body.size if body is not None else 0)", '"0"'),
    ),
    "a request has one Host, and a possible one": (
        (READER, '        if key == "HTTP_HOST":\n            raise Refused(400, "more than one Host")\n', ""),
        (READER, '            if host is None:\n                raise Refused(400, "no Host")\n', ""),
        (READER, "        if host is not None and not is_host(host):\n", "        if False:\n"),
        (ENVIRON, '    environ["HTTP_HOST"] = authority\n', ""),
    ),
    "what a client makes us keep is bounded": (
        (READER, "            raise Refused(431)\n\n    @property", "            pass\n\n    @property"),
        (READER, "        if self._duplicates > DUPLICATES_LIMIT:\n", "        if False:\n"),
        (READER, "        if self._rules.body_limit and self._body.size > self._rules.body_limit:\n", "        if False:\n"),
        (READER, '            if 0 < self._rules.body_limit < int(environ["CONTENT_LENGTH"]):\n', "            if False:\n"),
    ),
    "no header passes for another": (
        (ENVIRON, '    if "_" in text or text == "PROXY":\n', '    if text == "PROXY":\n'),
        (ENVIRON, '    if "_" in text or text == "PROXY":\n', '    if "_" in text:\n'),
        (READER, "        if not self.in_head:\n            return\n", ""),
        (READER, 'f"{first}; {second}" if key == "HTTP_COOKIE" else f"{first},{second}"', 'f"{first},{second}"'),
    ),
    "only trusted proxies are believed": (
        (
            READER,
            'proxies if proxies is not None and proxies.trusts_peer(base["REMOTE_ADDR"]) else None',
            "proxies",
        ),
        (READER, '            environ["REMOTE_ADDR"] = client\n', ""),
        (READER, '            environ["wsgi.url_scheme"] = scheme\n', "            pass\n"),
    ),
    "a client that expects is answered": (
        (READER, "        if _has_body(environ):\n            self._sink.on_body_wanted()\n", ""),
        (READER, '        if environ["HTTP_EXPECT"].lower() != "100-continue":\n', "        if False:\n"),
        (READER, '        if method == b"CONNECT":\n', "        if False:\n"),
        (READER, "        self.ended = not keep_alive\n", "        self.ended = False\n"),
    ),
    "the end of a response can be seen": (
        (EXCHANGE, "            self.keep_alive = False\n\n    def _on_error", "            pass\n\n    def _on_error"),
        (EXCHANGE, "            self.broken = True\n            return\n", "            return\n"),
        (EXCHANGE, "            self._put(LAST_CHUNK)\n", "            pass\n"),
        (EXCHANGE, "            self.until_close = True\n", "            pass\n"),
        (EXCHANGE, 'b"%x\\r\\n%b\\r\\n" % (len(data), data) if self._chunked else data', "data"),
    ),
    "a body is as long as its Content-Length says": (
        (EXCHANGE, "            data = data[: self._left]\n", ""),
        (EXCHANGE, "        self._left -= len(data)\n        return data\n", "        return data\n"),
        (EXCHANGE, "            self._left = head.content_length\n", "            pass\n"),
    ),
    "responses without a body have none": (
        (EXCHANGE, "self._bodiless = self._is_head or head.has_no_body", "self._bodiless = head.has_no_body"),
        (EXCHANGE, "self._bodiless = self._is_head or head.has_no_body", "self._bodiless = self._is_head"),
        (HEAD, "return self.code == 204 or self.code == 304", "return self.code == 304"),
        (HEAD, "            return self.code != 204\n", "            return True\n"),
    ),
    "an app cannot put a second header or response into a value": (
        (HEAD, 'if not "".join(lines).isprintable() and (culprit := _culprit(lines)):', "if (culprit := ''):"),
        (HEAD, "\\x08\\x0a-\\x1f", "\\x08\\x0b-\\x1f"),
        (HEAD, "\\x08\\x0a-\\x1f", "\\x08\\x0a-\\x0c\\x0e-\\x1f"),
        (HEAD, "[\\x00-\\x08", "[\\x01-\\x08"),
        (HEAD, "    if not TOKEN.fullmatch(name):\n", "    if False:\n"),
    ),
    "hop-by-hop headers and framing are the server's": (
        (HEAD, '    "transfer-encoding": DROPPED,\n', ""),
        (HEAD, '            raise ValueError("two Content-Length headers")\n', "            pass\n"),
        (HEAD, 'self.close = self.close or "close" in map(str.strip, value.lower().split(","))', "pass"),
        (HEAD, "        if not (value.isascii() and value.isdecimal()):\n", "        if False:\n"),
    ),
}  # fmt: skip

FIRST = (
    "tests/unit/test_wsgi_parts.py",
    "tests/worker/test_wsgi_requests.py",
    "tests/worker/test_wsgi_responses.py",
    "tests/worker/test_proxies.py",
)
# Faults that change nothing that can be seen, and why.
EQUIVALENT: dict[Fault, str] = {
    (READER, '        if key == "HTTP_HOST":\n            raise Refused(400, "more than one Host")\n', ""): (
        "two names joined by a comma are no name, and refused as such: only the reason in the log differs"
    ),
}

WSGI: tuple[Mutant, ...] = mutants_of(RULES, dict.fromkeys(RULES, FIRST), EQUIVALENT)
