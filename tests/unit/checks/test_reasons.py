"""The reason for each kind of error, including those that are hard to provoke in a real server."""

import asyncio
import errno
import ssl
import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

import pytest
from redis import exceptions

from app.check_factory import make_check
from app.checks.errors import ProtocolError
from app.checks.http import explain_http
from app.checks.network import Dialer, explain_network
from app.checks.postgres_errors import explain_postgres
from app.checks.postgres_protocol import PostgresServerError
from app.checks.redis_server import explain_redis
from app.health import Clock, Monitor, Reason, Result
from app.settings import Settings
from tests.support.specs import postgres as postgres_probe
from tests.support.specs import redis as redis_probe
from tests.support.specs import spec_of


DIALER = Dialer("127.0.0.1", 1)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.EHOSTUNREACH, "no route to host"), Reason.UNREACHABLE),
        (OSError(errno.EHOSTDOWN, "host is down"), Reason.UNREACHABLE),
        (OSError(errno.ENETDOWN, "network is down"), Reason.UNREACHABLE),
        (OSError(errno.EADDRNOTAVAIL, "no port left"), Reason.UNREACHABLE),
        (OSError(errno.EMFILE, "too many open files"), Reason.ERROR),
        (PermissionError(errno.EACCES, "the socket is not yours"), Reason.DENIED),
        (ssl.SSLError(1, "handshake failure"), Reason.TLS),
        (ssl.SSLCertVerificationError("expired"), Reason.TLS),
        (BrokenPipeError(), Reason.DISCONNECTED),
        (ProtocolError("too much"), Reason.PROTOCOL),
        (UnicodeError("an answer that is no text"), Reason.ERROR),
        (RuntimeError("can't start new thread"), Reason.ERROR),
    ],
    ids=repr,
)
def test_each_network_error_has_a_reason(error: BaseException, reason: Reason) -> None:
    """They come from the operating system, the resolver and TLS."""
    assert explain_network(error, DIALER) is reason


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("08006", Reason.DISCONNECTED),
        ("08P01", Reason.PROTOCOL),
        ("25006", Reason.READ_ONLY),
        ("28000", Reason.DENIED),
        ("28P01", Reason.AUTH),
        ("3D000", Reason.MISCONFIGURED),
        ("42501", Reason.DENIED),
        ("53200", Reason.OUT_OF_MEMORY),
        ("53300", Reason.TOO_MANY_CONNECTIONS),
        ("55000", Reason.DENIED),
        ("57014", Reason.TIMEOUT),
        ("57P01", Reason.DISCONNECTED),
        ("57P02", Reason.DISCONNECTED),
        ("57P03", Reason.STARTING),
        ("57P05", Reason.DISCONNECTED),
        ("XX000", Reason.ERROR),
    ],
)
def test_each_sqlstate_has_a_reason(state: str, reason: Reason) -> None:
    """An unknown one is `error`."""
    assert explain_postgres(PostgresServerError(state, "text of the server"), DIALER) is reason


@pytest.mark.parametrize("state", ["08P01", "XX000"])
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("SSL required", Reason.DENIED),
        ("login rejected", Reason.DENIED),
        ("connection is insecure (try using `sslmode=require`)", Reason.DENIED),
        ("server shutting down", Reason.STARTING),
        ("server conn crashed?", Reason.DISCONNECTED),
        ("client_login_timeout (server down)", Reason.TIMEOUT),
        ("query timeout", Reason.TIMEOUT),
        ("failed to create a backend connection", Reason.UNREACHABLE),
        ("all backend nodes are down, pgpool requires one", Reason.UNREACHABLE),
        ("Tenant or user not found", Reason.MISCONFIGURED),
        ("Max client connections reached", Reason.TOO_MANY_CONNECTIONS),
        ("(EMAXCONN) max client connections reached, limit: 200", Reason.TOO_MANY_CONNECTIONS),
        ('password authentication failed for user "app"', Reason.AUTH),
    ],
)
def test_the_words_of_a_pooler_have_the_reason_of_postgresql(
    state: str, text: str, reason: Reason
) -> None:
    """PgBouncer has one SQLSTATE for all errors. Pgpool-II, Supavisor and Neon have another."""
    assert explain_postgres(PostgresServerError(state, text), DIALER) is reason


@pytest.mark.parametrize("explain", [explain_postgres, explain_redis, explain_http])
def test_an_error_of_the_network_has_one_reason_for_every_kind(
    explain: Callable[[BaseException, Dialer], Reason],
) -> None:
    """Each kind explains its own errors, and falls back to `explain_network`."""
    assert explain(ConnectionRefusedError(), DIALER) is Reason.REFUSED
    assert explain(OSError("anything else"), DIALER) is Reason.ERROR


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (exceptions.ClusterDownError("CLUSTERDOWN the cluster is down"), Reason.CLUSTER_DOWN),
        (exceptions.MovedError("1234 127.0.0.1:7000"), Reason.MISCONFIGURED),
        (exceptions.MasterDownError("link with MASTER is down"), Reason.NO_PRIMARY),
        (exceptions.ResponseError("DENIED Redis is running in protected mode"), Reason.DENIED),
        (exceptions.ResponseError("invalid DB index"), Reason.MISCONFIGURED),
        (exceptions.ResponseError("unknown command"), Reason.ERROR),
    ],
    ids=repr,
)
def test_each_redis_error_has_a_reason(error: BaseException, reason: Reason) -> None:
    """The class of redis-py or the start of the message decides."""
    assert explain_redis(error, DIALER) is reason


PASSWORD_REFUSED = b"SFATAL\0C28P01\0Mpassword authentication failed\0\0"
REFUSALS = {
    "postgres": b"E" + (len(PASSWORD_REFUSED) + 4).to_bytes(4) + PASSWORD_REFUSED,
    "redis": b"-NOAUTH Authentication required.\r\n",
}
EXPLAINED_BY = {"postgres": explain_postgres, "redis": explain_redis}


def open_probe(kind: str, port: int) -> Any:
    """Open a probe without a password."""
    if kind == "postgres":
        url = f"postgresql://user@127.0.0.1:{port}/db?sslmode=disable"
        return postgres_probe(url, None, require="query", renew_after=86400)
    return redis_probe(f"redis://127.0.0.1:{port}", None, require="query", renew_after=86400)


def counting(code: CodeType, calls: list[FrameType]) -> Callable[[FrameType, str, Any], None]:
    """Return a profiler that appends the frame of each call of a function."""

    def profile(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code is code:
            calls.append(frame)

    return profile


@pytest.mark.parametrize("kind", REFUSALS)
async def test_one_failed_attempt_is_explained_once(kind: str) -> None:
    """The probe, the monitor and the advice need the reason."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1024)
        writer.write(REFUSALS[kind])
        await reader.read()
        writer.close()

    results: asyncio.Queue[Result] = asyncio.Queue()
    settings = Settings(postgres_auth="none", redis_auth="none", check_interval=60)
    calls: list[FrameType] = []
    async with await asyncio.start_server(refuse, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        async with open_probe(kind, port) as probe:
            monitor = Monitor([make_check(spec_of(kind, settings), probe)], clock=Clock())
            monitor.subscribe(on_result=lambda _, result: results.put_nowait(result))
            sys.setprofile(counting(EXPLAINED_BY[kind].__code__, calls))
            try:
                async with monitor:
                    result = await results.get()
            finally:
                sys.setprofile(None)
    assert result.reason is Reason.AUTH
    assert "Unset" in str(result.hint)
    assert len(calls) == 1
