"""Servers that lack a feature that the check needs: TLS, a known authentication, a route."""

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from app.checks.connection import BoundedConnection
from app.checks.errors import PlainAnswerError, UnansweredError
from app.checks.network import Dialer, explain_network
from app.checks.postgres_protocol import encode_message
from app.checks.postgres_server import SSL_REQUEST
from app.health import Reason
from tests.support.devservers import Postgres, Valkey
from tests.support.faults.servers import sql
from tests.support.specs import postgres as postgres_probe
from tests.support.specs import redis as redis_probe
from tests.unit.checks.attempt import eventually, failure


Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

REFUSAL = encode_message(b"E", b"C28000\0Mno pg_hba.conf entry\0\0")


async def fail(answer: Answer, query: str = "") -> Reason:
    """Return why the check of a PostgreSQL that answers so fails. *query* is that of the URL."""
    async with await asyncio.start_server(answer, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        url = f"postgresql://vitals@127.0.0.1:{port}/postgres{query}"
        async with postgres_probe(url, None, require="query", renew_after=86400) as probe:
            return await failure(probe)


async def test_an_unknown_authentication_method_is_protocol() -> None:
    """The server declines TLS and asks for a method that does not exist."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for message in (b"N", b"R\0\0\0\x08\0\0\0\x06"):
            await reader.read(1024)
            writer.write(message)
        writer.close()

    assert await fail(answer) is Reason.PROTOCOL


@pytest.mark.parametrize(
    ("mode", "asks_first"), [("disable", False), ("allow", False), ("prefer", True), ("", True)]
)
async def test_sslmode_decides_whether_tls_comes_first(mode: str, *, asks_first: bool) -> None:
    """The server refuses each connection, as PostgreSQL does for a line of its pg_hba.conf."""
    requests = list[bytes]()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.readexactly(len(SSL_REQUEST)))
        writer.write(b"N" if requests[-1] == SSL_REQUEST else REFUSAL)
        await reader.read(1024)
        writer.close()

    await fail(answer, f"?sslmode={mode}")
    assert (requests[0] == SSL_REQUEST) is asks_first


@pytest.mark.parametrize(
    "refusal",
    [
        b"C28000\0Mno pg_hba.conf entry for host, no encryption\0\0",
        b"C08P01\0MSSL required\0\0",
        b"CXX000\0Mconnection is insecure (try using `sslmode=require`)\0\0",
    ],
)
async def test_allow_uses_tls_where_plain_text_is_refused(refusal: bytes) -> None:
    """PostgreSQL, PgBouncer and Neon have texts of their own."""
    requests = list[bytes]()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.readexactly(len(SSL_REQUEST)))
        writer.write(encode_message(b"E", refusal))
        writer.close()

    await fail(answer, "?sslmode=allow")
    assert [one == SSL_REQUEST for one in requests] == [False, True]


@pytest.mark.parametrize(
    ("greeting", "expected"),
    [(b"220 mail.test ESMTP\r\n", PlainAnswerError), (b"", EOFError)],
)
async def test_an_early_answer_to_tls_has_the_reason_of_a_late_one(
    greeting: bytes, expected: type[Exception]
) -> None:
    """A server that greets or closes at once may do so before the handshake starts."""
    ended = asyncio.Event()

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        if greeting:
            with contextlib.suppress(ConnectionError):
                await reader.read()
        writer.transport.abort()
        ended.set()

    async with await asyncio.start_server(greet, "127.0.0.1") as server:
        connection = await BoundedConnection.open(Dialer(*server.sockets[0].getsockname()))
        if greeting:
            await eventually(lambda: connection.has_unread)
        else:
            with pytest.raises(UnansweredError):
                await connection.wait_closed()
        with pytest.raises(expected) as caught:
            await connection.start_tls(ssl.create_default_context(), "mail.test")
        assert type(caught.value) is expected
        connection.abort()
        await ended.wait()


async def test_a_postgres_without_tls_is_tls(postgres: Postgres) -> None:
    """It refuses the request for TLS."""
    url = f"{postgres.url}?sslmode=require"
    read = postgres.password_file.read_text
    async with postgres_probe(
        url, read, require="query", renew_after=86400, give_up_after=60
    ) as probe:
        assert await failure(probe) is Reason.TLS


@pytest.mark.parametrize("scheme", ["rediss", "RedisS"])
async def test_a_redis_without_tls_is_a_timeout(valkey: Valkey, scheme: str) -> None:
    """It reads the handshake as the start of a command, and waits for the rest."""
    url = valkey.url.replace("redis", scheme)
    read = valkey.password_file.read_text
    async with redis_probe(url, read, require="query", renew_after=86400) as probe:
        assert await failure(probe) is Reason.TIMEOUT


async def test_an_address_without_a_route_is_unreachable() -> None:
    """The kernel refuses to connect to the broadcast address."""
    dialer = Dialer("255.255.255.255", 1)
    with pytest.raises(OSError, match="unreachable") as caught:
        await dialer.dial(asyncio.Protocol)
    assert explain_network(caught.value, dialer) is Reason.UNREACHABLE


async def test_a_postgres_that_asks_for_no_password_is_noticed(own_postgres: Postgres) -> None:
    """The check passes, and the probe keeps the fact for the advice."""
    rules = own_postgres.data / "pg_hba.conf"
    before = rules.read_text()
    read = own_postgres.password_file.read_text
    for rule, password_not_requested in (("host all all all trust\n", True), (before, False)):
        rules.write_text(rule)
        sql(own_postgres, "SELECT pg_reload_conf()")
        async with postgres_probe(
            own_postgres.url, read, require="query", renew_after=86400
        ) as probe:
            await probe()
            assert probe.password_not_requested is password_not_requested


@pytest.mark.parametrize("method", ["md5", "password"])
async def test_the_methods_before_scram_work(own_postgres: Postgres, method: str) -> None:
    """A wrong password fails."""
    rules = own_postgres.data / "pg_hba.conf"
    before = rules.read_text()
    rules.write_text(f"host all {method} all {method}\n{before}")
    sql(
        own_postgres,
        "SET password_encryption = md5",
        f"CREATE ROLE {method} LOGIN PASSWORD 'right'",
        "SELECT pg_reload_conf()",
    )
    url = own_postgres.url.replace("vitals", method)
    for password, reason in (("right", None), ("wrong", Reason.AUTH)):
        async with postgres_probe(
            url, partial(str, password), require="query", renew_after=86400
        ) as probe:
            if reason:
                assert await failure(probe) is reason
            else:
                await probe()
    rules.write_text(before)
    sql(own_postgres, f"DROP ROLE {method}", "SELECT pg_reload_conf()")
