"""TLS spoken to a server that expects plain text, and the reverse: the advice names the remedy."""

import asyncio
import ssl
from typing import Any

import pytest
import trustme

from app.check_factory import make_check
from app.checks.http import http
from app.checks.postgres import postgres as postgres_probe
from app.checks.redis import redis as redis_probe
from app.devservers import Postgres, Valkey
from app.settings import Settings
from tests.probes.http_server import OK, serving
from tests.system.certificates import Certificates
from tests.system.servers import SystemRedis


ENCRYPT = "write https:// or rediss:// in the URL, or sslmode=require"
DO_NOT_ENCRYPT = "write http:// or redis:// in the URL, or sslmode=disable"


async def remedy(name: str, opening: Any) -> str:
    """Attempt once as the monitor does, and return what to try."""
    async with opening as probe:
        known = make_check(name, probe, Settings())
        attempt = asyncio.create_task(probe())
        await asyncio.wait({attempt}, timeout=1)
        error = attempt.exception() if attempt.done() else TimeoutError()
        assert error, "it passed"
        known.reason_for(error)
        attempt.cancel()
        hint = known.hint_after(error)
        return hint.remedy if hint else ""


async def test_plain_text_to_a_redis_that_expects_tls(
    tls_redis: SystemRedis, certificates: Certificates
) -> None:
    """It hangs up."""
    tls_redis.show(certificates.write("good", tls_redis.folder))
    url = f"redis://127.0.0.1:{tls_redis.port}/0"
    assert ENCRYPT in await remedy("redis", redis_probe(url, None, require="query", renew_after=9))


async def test_plain_text_to_an_https_service() -> None:
    """It hangs up, too."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    async with serving(OK, context) as server:
        opening = http(f"http://localhost:{server.port}/", dict, expect=200)
        assert ENCRYPT in await remedy("shop", opening)


@pytest.mark.parametrize("alert", [b"\x15\x03\x01\x00\x02\x02\x46", b"\x15\x03\x03\x00\x02\x02"])
async def test_plain_text_to_a_server_that_answers_with_an_alert(alert: bytes) -> None:
    """As some TLS libraries do."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(alert)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        opening = http(f"http://127.0.0.1:{port}/", dict, expect=200)
        assert ENCRYPT in await remedy("shop", opening)


async def test_tls_to_a_server_that_answers_in_plain_text() -> None:
    """As most HTTP servers do, to what they can't read."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        opening = http(f"https://127.0.0.1:{port}/", dict, expect=200)
        assert DO_NOT_ENCRYPT in await remedy("shop", opening)


async def test_tls_to_a_postgresql_without(postgres: Postgres) -> None:
    """It says that it has none."""
    url = f"{postgres.url}?sslmode=require"
    opening = postgres_probe(url, None, require="query", renew_after=9)
    assert DO_NOT_ENCRYPT in await remedy("postgres", opening)


async def test_tls_to_a_redis_without(valkey: Valkey) -> None:
    """It waits for the end of a command, so the deadline passes."""
    url = valkey.url.replace("redis:", "rediss:")
    opening = redis_probe(url, None, require="query", renew_after=9)
    assert DO_NOT_ENCRYPT in await remedy("redis", opening)
