"""TLS to a server without TLS, and the reverse: the remedy names the right setting."""

import asyncio
import ssl
from typing import Any

import pytest
import trustme

from app.check_factory import make_check
from tests.support.devservers import Postgres, Valkey
from tests.support.specs import http, spec_of
from tests.support.specs import postgres as postgres_probe
from tests.support.specs import redis as redis_probe
from tests.system.certificates import Certificates
from tests.system.servers import SystemRedis
from tests.unit.checks.http_server import OK, serving


ENCRYPT = "write https:// or rediss:// in the URL, or sslmode=require"
DO_NOT_ENCRYPT = "write http:// or redis:// in the URL, or sslmode=disable"


async def remedy(name: str, opening: Any) -> str:
    """Probe once as the monitor does, and return the remedy of the failure."""
    async with opening as probe:
        check = make_check(spec_of(name), probe)
        attempt = asyncio.create_task(probe())
        await asyncio.wait({attempt}, timeout=1)
        error = attempt.exception() if attempt.done() else TimeoutError()
        assert error, "it passed"
        check.reason_for(error)
        attempt.cancel()
        hint = check.hint_after(error)
        return hint.remedy if hint else ""


async def test_plain_text_to_a_redis_that_expects_tls(
    tls_redis: SystemRedis, certificates: Certificates
) -> None:
    """Redis closes the connection."""
    tls_redis.use_certificate(certificates.write("good", tls_redis.folder))
    url = f"redis://127.0.0.1:{tls_redis.port}/0"
    assert ENCRYPT in await remedy("redis", redis_probe(url, None, require="query", renew_after=9))


async def test_plain_text_to_an_https_service() -> None:
    """The server closes the connection."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    async with serving(OK, context) as server:
        probe = http(f"http://localhost:{server.port}/", dict, expect=200)
        assert ENCRYPT in await remedy("shop", probe)


@pytest.mark.parametrize("alert", [b"\x15\x03\x01\x00\x02\x02\x46", b"\x15\x03\x03\x00\x02\x02"])
async def test_plain_text_to_a_server_that_answers_with_an_alert(alert: bytes) -> None:
    """Some TLS libraries do this."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(alert)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        probe = http(f"http://127.0.0.1:{port}/", dict, expect=200)
        assert ENCRYPT in await remedy("shop", probe)


async def test_tls_to_a_server_that_answers_in_plain_text() -> None:
    """Most HTTP servers do this with a request that they can't parse."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        probe = http(f"https://127.0.0.1:{port}/", dict, expect=200)
        assert DO_NOT_ENCRYPT in await remedy("shop", probe)


async def test_tls_to_a_postgresql_without(postgres: Postgres) -> None:
    """PostgreSQL answers that it does not support TLS."""
    url = f"{postgres.url}?sslmode=require"
    probe = postgres_probe(url, None, require="query", renew_after=9)
    assert DO_NOT_ENCRYPT in await remedy("postgres", probe)


async def test_tls_to_a_redis_without(valkey: Valkey) -> None:
    """Redis waits for the end of a command, so the attempt times out."""
    url = valkey.url.replace("redis:", "rediss:")
    probe = redis_probe(url, None, require="query", renew_after=9)
    assert DO_NOT_ENCRYPT in await remedy("redis", probe)
