"""Byte streams that a server may receive: requests of probes, and unusual or broken ones."""

GET = b"GET /health/ready HTTP/1.1\r\nHost: a\r\n\r\n"
KUBELET = (
    b"GET /readyz HTTP/1.1\r\nHost: 10.0.0.1:8000\r\nUser-Agent: kube-probe/1.33\r\n"
    b"Accept: */*\r\nConnection: close\r\n\r\n"
)
STREAMS = {
    "get": GET,
    "kubelet": KUBELET,
    "alb": b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
    b"User-Agent: ELB-HealthChecker/2.0\r\nAccept-Encoding: gzip, compressed\r\n\r\n",
    "head": b"HEAD /health/live HTTP/1.1\r\nHost: a\r\n\r\n",
    "1.0": b"GET /livez HTTP/1.0\r\n\r\n",
    "1.0 keep-alive": b"GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "1.0 twice": b"GET /livez HTTP/1.0\r\n\r\n" + GET,
    "keep-alive": b"GET /startupz/ HTTP/1.1\r\nConnection: Keep-Alive\r\n\r\n" + GET,
    "pipelined": GET + b"HEAD /health HTTP/1.1\r\n\r\n" + GET,
    "close, then another": KUBELET + GET,
    "other, then cacheable": b"GET /health?exclude=redis HTTP/1.1\r\n\r\n" + GET,
    "cacheable, then other": GET + b"OPTIONS /health HTTP/1.1\r\nHost: a\r\n\r\n" + GET,
    "body": b"GET /health/live HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc" + GET,
    "chunked": b"GET /livez HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    + GET,
    "expect": b"GET /livez HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
    "upgrade": b"GET /livez HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
    "websocket": b"GET /livez HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
    "connection twice": b"GET /livez HTTP/1.1\r\nConnection: close\r\nConnection: close\r\n\r\n",
    "connection listed": b"GET /livez HTTP/1.1\r\nConnection: keep-alive, close\r\n\r\n",
    "proxy connection": b"GET /livez HTTP/1.1\r\nProxy-Connection: close\r\n\r\n",
    "bare line ends": b"GET /livez HTTP/1.1\nHost: a\n\n",
    "empty lines first": b"\r\n\r\n" + GET + b"\r\n" + GET,
    "spaces": b"GET /livez HTTP/1.1\r\nConnection: \t close \t\r\nAccept:  */* \r\n\r\n",
    "no spaces": b"GET /livez HTTP/1.1\r\nConnection:close\r\n\r\n",
    "folded": b"GET /livez HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
    "octets": b"GET /livez HTTP/1.1\r\nUser-Agent: \xff\x80\r\n\r\n",
    "control": b"GET /livez HTTP/1.1\r\nUser-Agent: a\x01b\r\n\r\n",
    "absolute": b"GET http://a/livez HTTP/1.1\r\nHost: a\r\n\r\n",
    "encoded": b"GET /%6civez HTTP/1.1\r\nHost: a\r\n\r\n",
    "fragment": b"GET /livez#x HTTP/1.1\r\nHost: a\r\n\r\n",
    "unknown path": b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n" + GET,
    "post": b"POST /livez HTTP/1.1\r\nContent-Length: 0\r\n\r\n" + GET,
    "lower": b"get /livez HTTP/1.1\r\n\r\n",
    "no version": b"GET /livez\r\n\r\n",
    "1.2": b"GET /livez HTTP/1.2\r\n\r\n",
    "garbage": b"\x16\x03\x01 hello\r\n\r\n",
    "garbage after": GET + b"\x00\x01\r\n\r\n",
    "token": b"GET /health HTTP/1.1\r\nAuthorization: Bearer a.b.c\r\n\r\n",
    "forwarded": b"GET /health HTTP/1.1\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n",
    "text": b"GET /health HTTP/1.1\r\nAccept: text/plain\r\n\r\n",
}
