import asyncio
import threading
from operator import le
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from app.checks.http import KIND, HttpOptions, build_request, open_http
from app.checks.kind import CheckSpec, Resources
from app.health import Reason, UnexpectedAnswerError
from app.settings.secrets import Secret
from tests.support.faults.fault import Blackhole, Corrupt, Cut, Fault, Refuse, Reset, Silent, Stall
from tests.support.faults.proxy import Proxy
from tests.support.specs import http
from tests.unit.checks.attempt import eventually, failure
from tests.unit.checks.http_server import (
    OK,
    Answer,
    goes_on,
    hangs_up,
    open_probe,
    resets,
    says,
    serving,
)
from tests.unit.checks.test_dialer import Resolver


CANARY = "CANARY"


async def test_the_health_endpoint_of_minio_is_checked() -> None:
    """The request has its path, and 503 fails."""
    async with (
        serving(b"HTTP/1.1 200 OK\r\nServer: MinIO\r\nContent-Length: 0\r\n\r\n") as minio,
        open_probe(minio, "/minio/health/cluster?maintenance=true") as probe,
    ):
        await probe()
        minio.answer = says(b"HTTP/1.1 503 Service Unavailable\r\nX-Minio-Write-Quorum: 3\r\n\r\n")
        with pytest.raises(Exception, match=r"^got 503, expected 200$") as caught:
            await probe()
        assert probe.explain(caught.value) is Reason.HTTP_STATUS
        assert minio.asked[0].splitlines() == [
            "GET /minio/health/cluster?maintenance=true HTTP/1.1",
            f"Host: 127.0.0.1:{minio.port}",
            "User-Agent: vitals",
            "Accept: */*",
            "Connection: close",
            "",
        ]


async def test_an_address_and_headers_without_secrets_need_no_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A thread for each attempt takes as much CPU time as the rest of it."""
    monkeypatch.delattr("app.checks.network.run_in_thread")
    async with serving(OK) as server:
        options = HttpOptions(url=f"http://127.0.0.1:{server.port}/", headers={"x-key": "word"})
        spec = CheckSpec("http", KIND, options)
        async with open_http(spec, Resources(str, 15)) as probe:
            for _ in range(2):
                await probe()
        assert "\r\nX-Key: word\r\n" in server.asked[1]


@pytest.mark.parametrize("status", [301, 302, 307, 401, 403, 404, 500])
async def test_a_status_passes_where_it_is_expected_and_nowhere_else(status: int) -> None:
    """Redirects are not followed, and 401 and 403 are no special cases."""
    answer = f"HTTP/1.1 {status} No\r\nLocation: /elsewhere\r\nSet-Cookie: a=b\r\n\r\n".encode()
    async with serving(answer) as server:
        async with open_probe(server, expect=status) as probe:
            await probe()
        async with open_probe(server) as probe:
            assert await failure(probe) is Reason.HTTP_STATUS
        assert [asked.split()[1] for asked in server.asked] == ["/", "/"]
        assert "cookie" not in server.asked[1].lower()


@pytest.mark.parametrize(
    ("expect", "words"),
    [(200, "200"), ("2xx", "2xx"), ([301, "2xx", 204, "4xx"], "2xx or 4xx or 301")],
)
async def test_an_error_has_the_status_and_the_expected_ones(expect: Any, words: str) -> None:
    """As the option `expect` spells them."""
    async with serving(says(b"HTTP/1.1 502 No\r\n\r\n")) as server:
        options = HttpOptions(url=f"http://127.0.0.1:{server.port}/", expect=expect)
        async with open_http(CheckSpec("http", KIND, options), Resources(str, 15)) as probe:
            with pytest.raises(UnexpectedAnswerError, match=f"^got 502, expected {words}$"):
                await probe()


@pytest.mark.parametrize(
    "answer",
    [
        says(b"HTTP/1.0 200 OK\r\n\r\n"),
        says(b"HTTP/1.1 200\r\nContent-Length: 1000\r\n\r\n"),
        says(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"),
        says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno chunk\r\n"),
        says(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 15_000 + b"\r\n\r\n"),
        goes_on(OK, b"x" * 65536),
        hangs_up(OK),
    ],
    ids=["1.0", "no body", "interim", "bad body", "long head", "endless body", "closed"],
)
async def test_the_headers_of_a_response_decide(answer: Answer) -> None:
    """The body is not read: it may never arrive, never end, or be malformed."""
    async with serving(answer) as server, open_probe(server) as probe:
        async with asyncio.timeout(0.5):
            await probe()
        await eventually(lambda: not server.open)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (says(b""), Reason.TIMEOUT),
        (says(b"HT"), Reason.TIMEOUT),
        (says(b"HTTP/1.1 200 OK\r\nServer: slow"), Reason.TIMEOUT),
        (says(b"HTTP/1.1 100 Continue\r\n\r\n"), Reason.TIMEOUT),
        (goes_on(b"HTTP/1.1 200 OK\r\n", b"X-More: and more\r\n" * 999), Reason.PROTOCOL),
        (goes_on(b"HTTP/1.1 ", b"200" * 9999), Reason.PROTOCOL),
        (goes_on(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 999), Reason.PROTOCOL),
        (says(b"SSH-2.0-OpenSSH_9.2"), Reason.PROTOCOL),
        (says(b"HTTP/1.1 OK 200\r\n\r\n"), Reason.PROTOCOL),
        (says(b"HTTP/1.1 101 Switching Protocols\r\n\r\n"), Reason.PROTOCOL),
        (hangs_up(b""), Reason.DISCONNECTED),
        (hangs_up(b"HT"), Reason.DISCONNECTED),
        (hangs_up(b"HTTP/1.1 200 OK\r\nServer"), Reason.DISCONNECTED),
        (resets, Reason.DISCONNECTED),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_an_invalid_response_has_a_reason(answer: Answer, reason: Reason) -> None:
    """It is slow, endless, not HTTP, or cut. After the repair the check passes."""
    async with serving(answer) as server, open_probe(server) as probe:
        assert await failure(probe) is reason
        await eventually(lambda: not server.open)
        server.answer = says(OK)
        await probe()


FAULTS: list[tuple[Fault, Reason]] = [
    (Refuse(), Reason.REFUSED),
    (Silent(), Reason.TIMEOUT),
    (Blackhole(), Reason.CONNECT_TIMEOUT),
    (Stall(1), Reason.TIMEOUT),
    (Reset(1), Reason.DISCONNECTED),
    (Cut(1), Reason.DISCONNECTED),
    (Corrupt(), Reason.PROTOCOL),
]


@pytest.mark.parametrize(("fault", "reason"), FAULTS, ids=str)
async def test_a_network_fault_has_a_reason(fault: Fault, reason: Reason) -> None:
    """It happens between two attempts. After the repair the check passes."""
    async with (
        serving(OK) as server,
        Proxy("127.0.0.1", server.port) as proxy,
        http(f"http://127.0.0.1:{proxy.port}", dict, expect=200) as probe,
    ):
        await probe()
        proxy.break_with(fault)
        assert await failure(probe) is reason
        proxy.heal()
        await probe()


async def test_a_name_that_is_not_resolved_is_dns(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name server is silent or refuses. An abandoned lookup does no harm."""
    resolver = Resolver()
    monkeypatch.setattr("socket.getaddrinfo", resolver)
    async with serving(OK) as server:
        async with http(f"http://minio.test:{server.port}/", dict, expect=200) as probe:
            assert await failure(probe) is Reason.DNS
            resolver.failing = True
            assert await failure(probe) is Reason.DNS
            resolver.failing = False
            resolver.answering.set()
            await probe()
        assert f"Host: minio.test:{server.port}" in server.asked[0]


async def test_a_secret_is_read_at_each_attempt(tmp_path: Path) -> None:
    """A new one needs no restart. The error for an unusable one does not show its content."""
    secret = Secret("key", tmp_path / "key")
    async with (
        serving(OK) as server,
        open_probe(server, headers=lambda: {"x-key": secret.read(), "host": "a.test"}) as probe,
    ):
        for content in ("one", "wörd"):
            secret.path.write_text(content)
            await probe()
            assert f"\r\nX-Key: {content}\r\n" in server.asked[-1]
        assert server.asked[-1].count("Host: ") == server.asked[-1].count("Host: a.test\r\n") == 1
        for content in ("", f"{CANARY}\r\nX-More: {CANARY}", f"{CANARY}\0"):
            secret.path.write_text(content)
            with pytest.raises(Exception, match="secret") as caught:
                await probe()
            assert probe.explain(caught.value) is Reason.AUTH
            assert CANARY not in str(caught.value)
        assert len(server.asked) == 2


@pytest.mark.parametrize("port", ["", ":8080"])
def test_the_host_header_has_no_zone(port: str) -> None:
    """Django answers a zone with 400."""
    request = build_request(urlsplit(f"http://[fe80::1%25eth0]{port}/a%5D"), dict)
    assert f"GET /a%5D HTTP/1.1\r\nHost: [fe80::1]{port}\r\n".encode() in request


async def test_the_error_does_not_quote_the_response() -> None:
    """A response that is not HTTP may echo the request's headers."""
    for answer in (f"{CANARY}\r\n\r\n", f"HTTP/1.1 {CANARY}\r\n\r\n"):
        async with serving(answer.encode()) as server, open_probe(server) as probe:
            with pytest.raises(Exception, match=r"^not an HTTP response$"):
                await probe()


async def test_proxy_variables_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """The request goes to the server directly."""
    async with serving(OK) as proxy, serving(OK) as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        async with open_probe(server) as probe:
            await probe()
        assert (len(server.asked), len(proxy.asked)) == (1, 0)


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_cancelled_attempt_ends_at_once(scheme: str) -> None:
    """It ends within the monitor's grace period and closes its connection, also during TLS."""
    async with serving(says(b"")) as server:
        url = f"{scheme}://127.0.0.1:{server.port}"
        async with http(url, dict, expect=200) as probe:
            if probe.trust:
                await probe.trust.context()  # loaded in advance, so that the handshake is cancelled
            attempt = asyncio.create_task(probe())
            await eventually(lambda: server.open == 1)
            attempt.cancel()
            await asyncio.wait({attempt}, timeout=0.02)
            assert attempt.cancelled()
            await eventually(lambda: server.open == 0)


async def test_two_hundred_attempts_at_a_silent_server_leak_nothing() -> None:
    """They leave no sockets, tasks or threads."""

    def resources() -> tuple[int, int, int]:
        return psutil.Process().num_fds(), len(asyncio.all_tasks()), threading.active_count()

    async with (
        serving(says(b"")) as server,
        http(f"http://localhost:{server.port}", dict, expect=200) as probe,
    ):
        before = resources()
        for attempts in range(1, 201):
            attempt = asyncio.create_task(probe())
            await eventually(lambda: len(server.asked) == attempts)  # noqa: B023 - awaited at once
            attempt.cancel()
            await asyncio.wait({attempt})
        # An earlier test may have left a thread that ends meanwhile.
        await eventually(lambda: all(map(le, resources(), before)))
