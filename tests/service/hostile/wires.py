"""Ambiguous, malformed and unusual requests, with the expected status of the unusual ones."""


def get(target: bytes, *lines: bytes) -> bytes:
    """Return a request that ends its connection."""
    head = (b"GET " + target + b" HTTP/1.1", *lines, b"Connection: close", b"", b"")
    return b"\r\n".join(head)


def live(*lines: bytes, body: bytes = b"", version: bytes = b"1.1") -> bytes:
    """Return a request that may keep its connection, with a body."""
    return b"\r\n".join((b"GET /health/live HTTP/" + version, b"Host: a", *lines, b"", body))


CHUNKED = b"Transfer-Encoding: chunked"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"

# A proxy and a server could read these differently. Vitals closes the connection after the first
# response.
AMBIGUOUS = {
    "length and chunks": live(b"Content-Length: 5", CHUNKED, body=b"0\r\n\r\n" + SMUGGLED),
    "chunks and length": live(CHUNKED, b"Content-Length: 5", body=b"0\r\n\r\n" + SMUGGLED),
    "two lengths": live(b"Content-Length: 0", b"Content-Length: 38", body=SMUGGLED),
    "one length twice": live(b"Content-Length: 5", b"Content-Length: 5", body=b"hello"),
    "listed lengths": live(b"Content-Length: 0, 38", body=SMUGGLED),
    "plus": live(b"Content-Length: +38", body=SMUGGLED),
    "minus": live(b"Content-Length: -1", body=SMUGGLED),
    "hexadecimal": live(b"Content-Length: 0x26", body=SMUGGLED),
    "too large": live(b"Content-Length: 99999999999999999999", body=SMUGGLED),
    "identity": live(b"Transfer-Encoding: identity", body=SMUGGLED),
    "chunked, then not": live(CHUNKED, b"Transfer-Encoding: identity", body=b"0\r\n\r\n"),
    "chunked twice": live(b"Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"),
    "blank before the colon": live(b"Transfer-Encoding : chunked", body=b"0\r\n\r\n" + SMUGGLED),
    "vertical tab": live(b"Transfer-Encoding:\x0bchunked", body=b"0\r\n\r\n" + SMUGGLED),
    "chunk too large": live(CHUNKED, body=b"F" * 20 + b"\r\n" + SMUGGLED),
    "line feeds in chunks": live(CHUNKED, body=b"1\nx\n0\n\n" + SMUGGLED),
    "bare carriage returns": live().replace(b"\r\n", b"\r") + SMUGGLED,
    "line feed in a header": live(b"X: a\nContent-Length: 38", body=SMUGGLED),
    "chunks of 1.0": live(CHUNKED, version=b"1.0", body=b"0\r\n\r\n" + SMUGGLED),
}

MALFORMED = {
    "nothing but blanks": b"   \r\n\r\n",
    "TLS": b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4" + bytes(190),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "PROXY 1": b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + get(b"/health"),
    "PROXY 2": b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12) + get(b"/health"),
    "no path": b"GET http://a HTTP/1.1\r\nHost: a\r\n\r\n",
    "a tunnel": b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
    "unknown method": get(b"/health").replace(b"GET", b"QUUX"),
    "octets in the path": get(b"/\xff\xfe"),
    "octets in the query": get(b"/health?exclude=\xff"),
    "NUL in the path": get(b"/heal\x00th"),
    "NUL in a header": get(b"/health", b"X: a\x00b"),
    "endless path": get(b"/" + b"a" * 100_000),
    "endless query": get(b"/health?" + b"exclude=x&" * 10_000),
}

# Unusual requests that are understood, with their status.
ODD = {
    "1.0 without a host": (b"GET /health/live HTTP/1.0\r\n\r\n", 200),
    "0.9": (b"GET /health/live\r\n\r\n", 200),
    "two hosts": (get(b"/health/live", b"Host: a", b"Host: b"), 200),
    "absolute": (get(b"http://b:1/health/live"), 200),
    "asterisk": (get(b"*").replace(b"GET", b"OPTIONS"), 404),
    "tunnel to a path": (get(b"/health/live").replace(b"GET", b"CONNECT"), 405),
    "trace": (get(b"/health/live").replace(b"GET", b"TRACE"), 405),
    "dots": (get(b"/health/../metrics"), 404),
    "encoded": (get(b"/%68ealth/live"), 200),
    "encoded octets": (get(b"/health/checks/%ff%fe"), 404),
    "encoded surrogate": (get(b"/health/checks/%ed%a0%80?verbose"), 404),
    "encoded NUL": (get(b"/health/checks/%00"), 404),
    "encoded line ends": (get(b"/health/checks/%0d%0aSet-Cookie:%20a"), 404),
    "excluded octets": (get(b"/health?exclude=%ff&exclude=%ed%a0%80&exclude=%0d%0a"), 200),
    "excluded on the page": (get(b"/health?format=html&exclude=%ed%a0%80%3Cscript%3E"), 200),
    "a body": (live(b"Content-Length: 5", body=b"hello"), 200),
    "no body": (live(b"Content-Length: 1000000000"), 200),
    "a chunk without an end": (live(CHUNKED, body=b"FFFFFF\r\nabc"), 200),
    "trailers": (live(CHUNKED, body=b"0\r\nX: a\r\nHost: b\r\n\r\n"), 200),
    "expectation": (live(b"Expect: 100-continue", b"Content-Length: 3"), 200),
    "another expectation": (live(b"Expect: miracles"), 200),
    "HTTP/2, if you will": (live(b"Connection: Upgrade", b"Upgrade: h2c"), 200),
    "a range": (get(b"/health/live", b"Range: bytes=0-1", b"If-None-Match: *"), 200),
    "accepted nonsense": (get(b"/health", b"Accept: text/html;q=nan,*/*;q=" + b"9" * 1500), 200),
    "accepted octets": (get(b"/health", b"Accept: \xff\xfe, \x80/*"), 200),
    "no token": (get(b"/health", b"Authorization: Bearer"), 200),
    "octets for a token": (get(b"/health", b"Authorization: Bearer \xff.\xfe.\x80"), 200),
    "unsigned": (get(b"/health", b"Authorization: Bearer eyJhbGciOiJub25lIn0.e30."), 200),
    "nested": (get(b"/health", b"Authorization: Bearer " + b"W1tbW1tb" * 200 + b".e30.a"), 200),
    "10 KB": (get(b"/health", b"Authorization: Bearer " + b"a.b.c" * 2_000), 200),
    "two tokens": (get(b"/health", b"Authorization: a", b"Authorization: Bearer b"), 200),
}
