"""Owns requests as bytes, and what is to be answered to them by RFC 9110 and 9112: for workers of both kinds.

Data of tests. An answer is the status, and what the app of test_http_vectors.py shows of a request that it got; at the
end stands how the connection was left.
"""

import msgspec

HOST = b"Host: a.example\r\n"
NEXT = b"GET /next HTTP/1.1\r\n" + HOST + b"\r\n"
SHOWN_NEXT = "200[GET '/next' b='']"


class Vector(msgspec.Struct, frozen=True):
    """Bytes, and the right answer. `asgi`: where that differs for an ASGI app."""

    name: str
    sent: bytes
    answer: str
    asgi: str = ""


VECTORS = (
    Vector(
        "TE+CL (order)",
        b"POST /p HTTP/1.1\r\n" + HOST
        + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + NEXT,
        "400 closed",
    ),
    Vector(
        "dup CL same",
        b"POST /p HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello" + NEXT,
        "400 closed",
    ),
    Vector("CL b'5, 5'", b"POST /p HTTP/1.1\r\n" + HOST + b"Content-Length:5, 5\r\n\r\nhello" + NEXT, "400 closed"),
    Vector("CL b'+5'", b"POST /p HTTP/1.1\r\n" + HOST + b"Content-Length:+5\r\n\r\nhello" + NEXT, "400 closed"),
    Vector("CL b'0x5'", b"POST /p HTTP/1.1\r\n" + HOST + b"Content-Length:0x5\r\n\r\nhello" + NEXT, "400 closed"),
    Vector(
        "CL b'5 '",
        b"POST /p HTTP/1.1\r\n" + HOST + b"Content-Length:5 \r\n\r\nhello" + NEXT,
        "200[POST '/p' b='hello'] 200[GET '/next' b=''] open",
    ),
    Vector(
        "CL b'\\t5\\t'",
        b"POST /p HTTP/1.1\r\n" + HOST + b"Content-Length:\t5\t\r\n\r\nhello" + NEXT,
        "200[POST '/p' b='hello'] 200[GET '/next' b=''] open",
    ),
    Vector("CL b'5 5'", b"POST /p HTTP/1.1\r\n" + HOST + b"Content-Length:5 5\r\n\r\nhello" + NEXT, "400 closed"),
    Vector("CL b''", b"POST /p HTTP/1.1\r\n" + HOST + b"Content-Length:\r\n\r\nhello" + NEXT, "400 closed"),
    Vector("CL b'five'", b"POST /p HTTP/1.1\r\n" + HOST + b"Content-Length:five\r\n\r\nhello" + NEXT, "400 closed"),
    Vector(
        "CL b'5\\x0b'",
        b"POST /p HTTP/1.1\r\n" + HOST + b"Content-Length:5\x0b\r\n\r\nhello" + NEXT,
        "400 closed",
    ),
    Vector(
        "CL b'99999999999999999999999'",
        b"POST /p HTTP/1.1\r\n" + HOST + b"Content-Length:99999999999999999999999\r\n\r\nhello" + NEXT,
        "400 closed",
    ),
    Vector("CL b'1_0'", b"POST /p HTTP/1.1\r\n" + HOST + b"Content-Length:1_0\r\n\r\nhello" + NEXT, "400 closed"),
    Vector("CL b'5;'", b"POST /p HTTP/1.1\r\n" + HOST + b"Content-Length:5;\r\n\r\nhello" + NEXT, "400 closed"),
    Vector(
        "TE b'Chunked'",
        b"POST /p HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + NEXT,
        "200[POST '/p' b='hello'] 200[GET '/next' b=''] open",
    ),
    Vector(
        "TE b'chunked, chunked'",
        b"POST /p HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + NEXT,
        "400 closed",
    ),
    Vector(
        "TE b'chunked, identity'",
        b"POST /p HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked, identity\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        + NEXT,
        "400 closed",
    ),
    Vector(
        "TE b'identity'",
        b"POST /p HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: identity\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + NEXT,
        "501 closed",
    ),
    Vector(
        "TE b'gzip'",
        b"POST /p HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + NEXT,
        "501 closed",
    ),
    Vector(
        "TE b'xchunked'",
        b"POST /p HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: xchunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + NEXT,
        "501 closed",
    ),
    Vector(
        "TE b',chunked'",
        b"POST /p HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: ,chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + NEXT,
        "501 closed",
    ),
    Vector(
        "TE b'chunked,'",
        b"POST /p HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked,\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + NEXT,
        "400 closed",
    ),
    Vector(
        "TE b'chunked\\x0b'",
        b"POST /p HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\x0b\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + NEXT,
        "400 closed",
    ),
    Vector(
        "TE b'\\tchunked'",
        b"POST /p HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: \tchunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + NEXT,
        "200[POST '/p' b='hello'] 200[GET '/next' b=''] open",
    ),
    Vector(
        "TE b'chunke\\xe4'",
        b"POST /p HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunke\xe4\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + NEXT,
        "501 closed",
    ),
    Vector(
        "TE b''",
        b"POST /p HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: \r\n\r\n5\r\nhello\r\n0\r\n\r\n" + NEXT,
        "400 closed",
    ),
    Vector(
        "TE b'x, chunked'",
        b"POST /p HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: x, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + NEXT,
        "501 closed",
    ),
    Vector(
        "TE twice",
        b"POST /p HTTP/1.1\r\n" + HOST
        + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + NEXT,
        "400 closed",
    ),
    Vector(
        "TE identity then chunked lines",
        b"POST /p HTTP/1.1\r\n" + HOST
        + b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + NEXT,
        "501 closed",
    ),
    Vector(
        "TE HTTP/1.0",
        b"POST /p HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + NEXT,
        "400 closed",
    ),
    Vector(
        "Transfer_Encoding underscore",
        b"POST /p HTTP/1.1\r\n" + HOST + b"Transfer_Encoding: chunked\r\nContent-Length: 5\r\n\r\nhello" + NEXT,
        "200[POST '/p' b='hello'] 200[GET '/next' b=''] open",
    ),
    Vector(
        "Content_Length underscore",
        b"POST /p HTTP/1.1\r\n" + HOST + b"Content_Length: 99\r\nContent-Length: 5\r\n\r\nhello" + NEXT,
        "200[POST '/p' b='hello'] 200[GET '/next' b=''] open",
    ),
    Vector(
        "tab before colon TE",
        b"POST /p HTTP/1.1\r\n" + HOST + b"Transfer-Encoding\t: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + NEXT,
        "400 closed",
    ),
    Vector("space before colon X", b"POST /p HTTP/1.1\r\n" + HOST + b"X-A : b\r\n\r\n" + NEXT, "400 closed"),
    Vector(
        "obs-fold TE",
        b"POST /p HTTP/1.1\r\n" + HOST + b"Transfer-Encoding:\r\n chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + NEXT,
        "400 closed",
    ),
    Vector(
        "leading space header",
        b"POST /p HTTP/1.1\r\n Transfer-Encoding: chunked\r\n" + HOST + b"\r\n5\r\nhello\r\n0\r\n\r\n" + NEXT,
        "400 closed",
    ),
    Vector("bare LF in one header", b"POST /p HTTP/1.1\r\n" + HOST + b"X-A: b\nX-B: c\r\n\r\n" + NEXT, "400 closed"),
    Vector("bare LF ends head", b"GET /p HTTP/1.1\r\nHost: a\r\n\n" + NEXT, "400 closed"),
    Vector("bare CR in line", b"GET /p\r HTTP/1.1\r\n" + HOST + b"\r\n" + NEXT, "400 closed"),
    Vector("CR CR LF", b"POST /p HTTP/1.1\r\n" + HOST + b"X-A: b\r\r\n\r\n" + NEXT, "400 closed"),
    Vector("NUL in value", b"POST /p HTTP/1.1\r\n" + HOST + b"X-A: b\x00c\r\n\r\n" + NEXT, "400 closed"),
    Vector("NUL in name", b"POST /p HTTP/1.1\r\n" + HOST + b"X\x00A: b\r\n\r\n" + NEXT, "400 closed"),
    Vector("ctl in value", b"POST /p HTTP/1.1\r\n" + HOST + b"X-A: b\x01\x1b\x7fc\r\n\r\n" + NEXT, "400 closed"),
    Vector(
        "high bytes in value",
        b"POST /p HTTP/1.1\r\n" + HOST + b"X-A: \xe9\xff\x80\r\n\r\n" + NEXT,
        "200[POST '/p' b=''] 200[GET '/next' b=''] open",
    ),
    Vector("empty name", b"POST /p HTTP/1.1\r\n" + HOST + b": a\r\n\r\n" + NEXT, "400 closed"),
    Vector("no colon", b"POST /p HTTP/1.1\r\n" + HOST + b"Xabc\r\n\r\n" + NEXT, "400 closed"),
    Vector(
        "token specials name",
        b"POST /p HTTP/1.1\r\n" + HOST + b"X!#$%&'*+.^`|~: a\r\n\r\n" + NEXT,
        "200[POST '/p' b=''] 200[GET '/next' b=''] open",
    ),
    Vector(
        "chunk ext",
        b"POST /p HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n" + NEXT,
        "200[POST '/p' b='hello'] 200[GET '/next' b=''] open",
    ),
    Vector(
        "chunk ext with LF",
        b"POST /p HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n5;a\nhello\r\n0\r\n\r\n" + NEXT,
        "400 closed",
    ),
    Vector(
        "chunk ext with bare CR",
        b"POST /p HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n5;a\rb\r\nhello\r\n0\r\n\r\n" + NEXT,
        "400 closed",
    ),
    Vector(
        "chunk ext BWS",
        b"POST /p HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n5 ; a = b\r\nhello\r\n0\r\n\r\n" + NEXT,
        "400 closed",
    ),
    Vector(
        "chunk data LF",
        b"POST /p HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\n0\r\n\r\n" + NEXT,
        "400 closed",
    ),
    Vector(
        "chunk data no CRLF",
        b"POST /p HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello0\r\n\r\n" + NEXT,
        "400 closed",
    ),
    Vector(
        "chunk last LF",
        b"POST /p HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\n\n" + NEXT,
        "400 closed",
    ),
    Vector(
        "chunk size 0x",
        b"POST /p HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n" + NEXT,
        "400 closed",
    ),
    Vector(
        "chunk size -",
        b"POST /p HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n" + NEXT,
        "400 closed",
    ),
    Vector(
        "chunk size _",
        b"POST /p HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0_5\r\nhello\r\n0\r\n\r\n" + NEXT,
        "400 closed",
    ),
    Vector(
        "chunk size trailing sp",
        b"POST /p HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n" + NEXT,
        "400 closed",
    ),
    Vector(
        "chunk size huge",
        b"POST /p HTTP/1.1\r\n" + HOST
        + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n" + NEXT,
        "400 closed",
    ),
    Vector(
        "chunk size empty",
        b"POST /p HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n\r\nhello\r\n0\r\n\r\n" + NEXT,
        "400 closed",
    ),
    Vector(
        "trailer plain",
        b"POST /p HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T: v\r\n\r\n"
        + NEXT,
        "200[POST '/p' b='hello'] 200[GET '/next' b=''] open",
    ),
    Vector(
        "trailer CL",
        b"POST /p HTTP/1.1\r\n" + HOST
        + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n" + NEXT,
        "400 closed",
    ),
    Vector(
        "trailer XFF/Auth",
        b"POST /p HTTP/1.1\r\n" + HOST
        + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"
        + b"X-Forwarded-For: 6.6.6.6\r\nAuthorization: evil\r\n\r\n"
        + NEXT,
        "200[POST '/p' b='hello'] 200[GET '/next' b=''] open",
    ),
    Vector(
        "trailer TE",
        b"POST /p HTTP/1.1\r\n" + HOST
        + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n" + NEXT,
        "400 closed",
    ),
    Vector("method lower", b"get /p HTTP/1.1\r\n" + HOST + b"\r\n", "400 closed"),
    Vector("method custom valid token", b"PURGE /p HTTP/1.1\r\n" + HOST + b"\r\n", "200[PURGE '/p' b=''] open"),
    Vector("method QUERY", b"QUERY /p HTTP/1.1\r\n" + HOST + b"\r\n", "200[QUERY '/p' b=''] open"),
    Vector("method TRACE", b"TRACE /p HTTP/1.1\r\n" + HOST + b"\r\n", "200[TRACE '/p' b=''] open"),
    Vector("method CONNECT", b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n" + NEXT, "405 closed"),
    Vector(
        "h2c upgrade",
        b"GET /p HTTP/1.1\r\n" + HOST
        + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n" + NEXT,
        "200[GET '/p' b=''] 200[GET '/next' b=''] open",
    ),
    Vector(
        "upgrade foo + body",
        b"POST /p HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: foo\r\nContent-Length: 5\r\n\r\nhello"
        + NEXT,
        "200[POST '/p' b='hello'] 200[GET '/next' b=''] open",
    ),
    Vector(
        "upgrade websocket no key",
        b"GET /p HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + NEXT,
        "200[GET '/p' b=''] 200[GET '/next' b=''] open",
        asgi="400 closed",
    ),
    Vector(
        "upgrade websocket POST+body",
        b"POST /p HTTP/1.1\r\n" + HOST
        + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        + b"Sec-WebSocket-Version: 13\r\nContent-Length: 5\r\n\r\nhello"
        + NEXT,
        "200[POST '/p' b='hello'] 200[GET '/next' b=''] open",
    ),
    Vector("target b'*'", b"GET * HTTP/1.1\r\n" + HOST + b"\r\n", "400 closed"),
    Vector(
        "target b'http://b.example/x?y=1'",
        b"GET http://b.example/x?y=1 HTTP/1.1\r\n" + HOST + b"\r\n",
        "200[GET '/x' b=''] open",
    ),
    Vector(
        "target b'https://b.example/x'",
        b"GET https://b.example/x HTTP/1.1\r\n" + HOST + b"\r\n",
        "200[GET '/x' b=''] open",
    ),
    Vector(
        "target b'http://u:p@b.example/x'",
        b"GET http://u:p@b.example/x HTTP/1.1\r\n" + HOST + b"\r\n",
        "400 closed",
    ),
    Vector("target b'http:///x'", b"GET http:///x HTTP/1.1\r\n" + HOST + b"\r\n", "400 closed"),
    Vector("target b'ftp://b/x'", b"GET ftp://b/x HTTP/1.1\r\n" + HOST + b"\r\n", "400 closed"),
    Vector("target b'x'", b"GET x HTTP/1.1\r\n" + HOST + b"\r\n", "400 closed"),
    Vector("target b'?q'", b"GET ?q HTTP/1.1\r\n" + HOST + b"\r\n", "400 closed"),
    Vector("target b'/%zz'", b"GET /%zz HTTP/1.1\r\n" + HOST + b"\r\n", "200[GET '/%zz' b=''] open"),
    Vector("target b'/a#frag'", b"GET /a#frag HTTP/1.1\r\n" + HOST + b"\r\n", "200[GET '/a' b=''] open"),
    Vector("target b'/\\xe9'", b"GET /\xe9 HTTP/1.1\r\n" + HOST + b"\r\n", "400 closed"),
    Vector(
        "target b'/\"<>\\\\^`{|}'",
        b"GET /\"<>\\^`{|} HTTP/1.1\r\n" + HOST + b"\r\n",
        "200[GET '/\"<>\\\\^`{|}' b=''] open",
    ),
    Vector("target b'b.example:80'", b"GET b.example:80 HTTP/1.1\r\n" + HOST + b"\r\n", "400 closed"),
    Vector(
        "target b'/../../etc/passwd'",
        b"GET /../../etc/passwd HTTP/1.1\r\n" + HOST + b"\r\n",
        "200[GET '/../../etc/passwd' b=''] open",
    ),
    Vector(
        "target * OPTIONS",
        b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
        "200[OPTIONS '' b=''] open",
        asgi="200[OPTIONS '*' b=''] open",
    ),
    Vector("version b'HTTP/2.0'", b"GET /p HTTP/2.0\r\n" + HOST + b"\r\n", "505 closed"),
    Vector("version b'HTTP/0.9'", b"GET /p HTTP/0.9\r\n" + HOST + b"\r\n", "505 closed"),
    Vector("version b'HTTP/11.1'", b"GET /p HTTP/11.1\r\n" + HOST + b"\r\n", "400 closed"),
    Vector("version b'http/1.1'", b"GET /p http/1.1\r\n" + HOST + b"\r\n", "400 closed"),
    Vector("version b'HTTP/01.1'", b"GET /p HTTP/01.1\r\n" + HOST + b"\r\n", "400 closed"),
    Vector("version b'ICE/1.0'", b"GET /p ICE/1.0\r\n" + HOST + b"\r\n", "400 closed"),
    Vector("version b'HTTP/1.1x'", b"GET /p HTTP/1.1x\r\n" + HOST + b"\r\n", "400 closed"),
    Vector("version b'HTTP/3.0'", b"GET /p HTTP/3.0\r\n" + HOST + b"\r\n", "400 closed"),
    Vector("HTTP/0.9 simple", b"GET /p\r\n\r\n", "505 closed"),
    Vector("double space line", b"GET  /p HTTP/1.1\r\n" + HOST + b"\r\n", "200[GET '/p' b=''] open"),
    Vector("tab separators", b"GET\t/p\tHTTP/1.1\r\n" + HOST + b"\r\n", "400 closed"),
    Vector("leading CRLF", b"\r\n\r\n" + NEXT, "200[GET '/next' b=''] open"),
    Vector("leading spaces", b"  " + NEXT, "400 closed"),
    Vector("100 leading CRLF", b"\r\n" * 100 + NEXT, "200[GET '/next' b=''] open"),
    Vector("no host 1.0", b"GET /p HTTP/1.0\r\n\r\n", "200[GET '/p' b=''] closed"),
    Vector("two hosts", b"GET /p HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400 closed"),
    Vector("Host b''", b"GET /p HTTP/1.1\r\nHost: \r\n\r\n", "200[GET '/p' b=''] open"),
    Vector("Host b'a b'", b"GET /p HTTP/1.1\r\nHost: a b\r\n\r\n", "400 closed"),
    Vector("Host b'a@b'", b"GET /p HTTP/1.1\r\nHost: a@b\r\n\r\n", "400 closed"),
    Vector("Host b'a,b'", b"GET /p HTTP/1.1\r\nHost: a,b\r\n\r\n", "400 closed"),
    Vector("Host b'a:x'", b"GET /p HTTP/1.1\r\nHost: a:x\r\n\r\n", "400 closed"),
    Vector("Host b'a:99999'", b"GET /p HTTP/1.1\r\nHost: a:99999\r\n\r\n", "200[GET '/p' b=''] open"),
    Vector("Host b'[::1'", b"GET /p HTTP/1.1\r\nHost: [::1\r\n\r\n", "400 closed"),
    Vector("Host b'a\\\\b'", b"GET /p HTTP/1.1\r\nHost: a\\b\r\n\r\n", "400 closed"),
    Vector("Host b'a?b'", b"GET /p HTTP/1.1\r\nHost: a?b\r\n\r\n", "400 closed"),
    Vector("Host b'a#b'", b"GET /p HTTP/1.1\r\nHost: a#b\r\n\r\n", "400 closed"),
    Vector("Host b'a_b'", b"GET /p HTTP/1.1\r\nHost: a_b\r\n\r\n", "200[GET '/p' b=''] open"),
    Vector("Host b'127.0.0.1:1'", b"GET /p HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n", "200[GET '/p' b=''] open"),
    Vector(
        "absolute vs Host differ",
        b"GET http://b.example/x HTTP/1.1\r\n" + HOST + b"\r\n",
        "200[GET '/x' b=''] open",
    ),
    Vector(
        "100 headers",
        b"POST /p HTTP/1.1\r\n" + HOST + b"".join(b"X-%d: a\r\n" % n for n in range(100)) + b"\r\n",
        "200[POST '/p' b=''] open",
    ),
    Vector("200 same headers", b"POST /p HTTP/1.1\r\n" + HOST + b"X-A: a\r\n" * 200 + b"\r\n", "431 closed"),
    Vector(
        "expect 100 no body",
        b"GET /p HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\n\r\n",
        "200[GET '/p' b=''] open",
    ),
    Vector(
        "expect other",
        b"POST /p HTTP/1.1\r\n" + HOST + b"Expect: foo\r\nContent-Length: 5\r\n\r\nhello",
        "417 closed",
    ),
    Vector(
        "Connection close, keep-alive",
        b"GET /p HTTP/1.1\r\n" + HOST + b"Connection: close, keep-alive\r\n\r\n" + NEXT,
        "200[GET '/p' b=''] closed",
    ),
    Vector(
        "Connection keep-alive, close",
        b"GET /p HTTP/1.1\r\n" + HOST + b"Connection: keep-alive, close\r\n\r\n" + NEXT,
        "200[GET '/p' b=''] closed",
    ),
    Vector(
        "1.0 keep-alive",
        b"GET /p HTTP/1.0\r\nConnection: keep-alive\r\n" + HOST + b"\r\n" + NEXT,
        "200[GET '/p' b=''] 200[GET '/next' b=''] open",
    ),
    Vector("1.0 default", b"GET /p HTTP/1.0\r\n" + HOST + b"\r\n" + NEXT, "200[GET '/p' b=''] closed"),
    Vector("HEAD", b"HEAD /p HTTP/1.1\r\n" + HOST + b"\r\n" + NEXT, "200 200[GET '/next' b=''] open"),
    Vector(
        "GET with body",
        b"GET /p HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhello" + NEXT,
        "200[GET '/p' b='hello'] 200[GET '/next' b=''] open",
    ),
    Vector(
        "pipelined 3",
        NEXT + NEXT + NEXT,
        "200[GET '/next' b=''] 200[GET '/next' b=''] 200[GET '/next' b=''] open",
    ),
    Vector("pipelined + bad", NEXT + b"BAD\r\n\r\n", "200[GET '/next' b=''] 400 closed"),
    Vector(
        "Proxy header",
        b"POST /p HTTP/1.1\r\n" + HOST + b"Proxy: http://evil\r\n\r\n",
        "200[POST '/p' b=''] open",
    ),
    Vector(
        "X-Forwarded-Proto list",
        b"POST /p HTTP/1.1\r\n" + HOST + b"X-Forwarded-Proto: https, http\r\n\r\n",
        "200[POST '/p' b=''] open",
    ),
    Vector("garbage", bytes(range(256)), "400 closed"),
    Vector("empty line only", b"\r\n", "open"),
)
assert len({vector.name for vector in VECTORS}) == len(VECTORS)
