import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from redis.exceptions import ResponseError

from app.check_factory import advise
from app.checks.session import SessionProbe
from app.health import Reason
from tests.support.devservers import Valkey
from tests.support.faults.servers import LOAD_SLOWLY, admin, command, frozen, killed
from tests.support.specs import redis, spec_of
from tests.unit.checks.attempt import eventually, failure


@asynccontextmanager
async def open_probe(
    server: Valkey, url: str = "", *, require: str = "query", renew_after: float = 86400
) -> AsyncIterator[SessionProbe]:
    """Open a probe of a server."""
    async with redis(
        url or server.url, server.password_file.read_text, require=require, renew_after=renew_after
    ) as probe:
        yield probe


def clients(server: Valkey) -> list[str]:
    """Return the ids of the connections that probes have to the server."""
    with admin(server) as client:
        return [known["id"] for known in client.client_list() if known["name"] == "vitals"]


@contextlib.contextmanager
def configured(server: Valkey, **settings: str) -> Iterator[None]:
    """Change settings of the server for the block."""
    with admin(server) as client:
        before = {
            name: client.config_get(config_name(name))[config_name(name)] for name in settings
        }
        for name, value in settings.items():
            client.config_set(config_name(name), value)
        yield
        for name, value in before.items():
            client.config_set(config_name(name), value)


def config_name(name: str) -> str:
    """Return a setting's name as the server spells it."""
    return name.replace("_", "-")


@pytest.mark.parametrize("require", ["connect", "query", "writable"])
async def test_a_working_server_passes(valkey: Valkey, require: str) -> None:
    """New and kept sessions pass. Closing leaves no session."""
    async with open_probe(valkey, require=require) as probe:
        await probe()
        first = clients(valkey)
        await probe()
        assert len(first) == 1
        assert (clients(valkey) == first) is (require != "connect")
    await eventually(lambda: clients(valkey) == [])


async def test_nothing_is_ever_written(valkey: Valkey) -> None:
    """The queued write is discarded."""
    async with open_probe(valkey, require="writable") as probe:
        await probe()
    assert command(valkey, "DBSIZE") == 0


async def test_nothing_is_written_even_if_multi_is_denied(valkey: Valkey, user: str) -> None:
    """The server does not queue the write then, but executes it."""
    command(valkey, "ACL", "SETUSER", "probed", "+set", "+discard")
    async with open_probe(valkey, user, require="writable") as probe:
        assert await failure(probe) is Reason.DENIED
    assert command(valkey, "DBSIZE") == 0


async def test_a_session_that_was_ended_is_replaced_at_once(valkey: Valkey) -> None:
    """An administrator may use CLIENT KILL."""
    async with open_probe(valkey) as probe:
        await probe()
        command(valkey, "CLIENT", "KILL", "ID", clients(valkey)[0])
        await probe()


async def test_a_wrong_a_missing_and_an_unwanted_password_are_auth(valkey: Valkey) -> None:
    """WRONGPASS, NOAUTH, and AUTH where no password is configured."""
    async with redis(valkey.url, lambda: "another", require="query", renew_after=86400) as probe:
        assert await failure(probe) is Reason.AUTH
    async with redis(valkey.url, None, require="query", renew_after=86400) as probe:
        assert await failure(probe) is Reason.AUTH
    right = valkey.password_file.read_text()
    with admin(valkey) as client:
        client.config_set("requirepass", "")
        async with open_probe(valkey) as probe:
            assert await failure(probe) is Reason.AUTH
        client.config_set("requirepass", right)


async def test_a_server_without_the_command_client_passes() -> None:
    """Some providers remove it. The name of the client is optional."""
    with Valkey() as server:
        server.arguments = ("--rename-command", "CLIENT", "")
        server.start()
        async with open_probe(server) as probe:
            await probe()


async def test_an_unknown_database_is_misconfigured(valkey: Valkey) -> None:
    """By default there are sixteen."""
    async with open_probe(valkey, valkey.url.replace("/0", "/99")) as probe:
        assert await failure(probe) is Reason.MISCONFIGURED
    async with open_probe(valkey, valkey.url.replace("/0", "/3")) as probe:
        await probe()


@pytest.fixture(name="user")
def _user(valkey: Valkey) -> Iterator[str]:
    """Create a user without permissions."""
    password = valkey.password_file.read_text()
    command(valkey, "ACL", "SETUSER", "probed", "on", f">{password}", "~vitals:probe", "-@all")
    yield valkey.url.replace("redis://", "redis://probed@")
    command(valkey, "ACL", "DELUSER", "probed")


@pytest.mark.parametrize(
    ("require", "grants"),
    [
        ("connect", ()),
        ("query", ("+ping",)),
        ("writable", ("+multi", "+set", "+discard")),
    ],
)
async def test_the_documented_permissions_are_enough(
    valkey: Valkey, user: str, require: str, grants: tuple[str, ...]
) -> None:
    """With one less the reason is `denied`. The name of the client needs none."""
    if grants:
        command(valkey, "ACL", "SETUSER", "probed", *grants[1:])
        async with open_probe(valkey, user, require=require) as probe:
            assert await failure(probe) is Reason.DENIED
    command(valkey, "ACL", "SETUSER", "probed", *grants)
    async with open_probe(valkey, user, require=require) as probe:
        await probe()


async def test_another_database_needs_the_permission_to_select_it(
    valkey: Valkey, user: str
) -> None:
    """It is selected when the connection opens."""
    elsewhere = user.replace("/0", "/3")
    command(valkey, "ACL", "SETUSER", "probed", "+ping")
    async with open_probe(valkey, elsewhere) as probe:
        assert await failure(probe) is Reason.DENIED
    command(valkey, "ACL", "SETUSER", "probed", "+select")
    async with open_probe(valkey, elsewhere) as probe:
        await probe()


async def test_full_memory_fails_writable(valkey: Valkey) -> None:
    """PING still passes, as the server can be read."""
    async with open_probe(valkey) as readable, open_probe(valkey, require="writable") as writable:
        with configured(valkey, maxmemory="1"):
            await readable()
            assert await failure(writable) is Reason.OUT_OF_MEMORY
        await writable()


async def test_a_failing_disk_is_persistence(valkey: Valkey) -> None:
    """MISCONF: the server refuses writes after a failed save."""
    async with open_probe(valkey, require="writable") as probe:
        with configured(valkey, save="3600 1"):
            valkey.folder.chmod(0o500)
            command(valkey, "BGSAVE")
            await eventually(lambda: last_save(valkey) == "err")
            assert await failure(probe) is Reason.PERSISTENCE
            valkey.folder.chmod(0o700)
            command(valkey, "BGSAVE")
            await eventually(lambda: last_save(valkey) == "ok")
            await probe()


async def test_a_plain_server_gets_one_command_more_per_connection(own_valkey: Valkey) -> None:
    """CLUSTER INFO comes with the name of the session, and not with each question."""
    async with open_probe(own_valkey) as probe:
        command(own_valkey, "CONFIG", "RESETSTAT")
        for _ in range(5):
            await probe()
    with admin(own_valkey) as client:
        calls = {name: counts["calls"] for name, counts in client.info("commandstats").items()}
    # The counting clients also name themselves and authenticate, but ask nothing else.
    assert calls["cmdstat_ping"] == 5
    assert calls["cmdstat_cluster|info"] == 1
    assert calls["cmdstat_client|setname"] == 1


def last_save(server: Valkey) -> str:
    """Return the result of the last save."""
    with admin(server) as client:
        return str(client.info("persistence")["rdb_last_bgsave_status"])


async def test_too_few_replicas_are_read_only(valkey: Valkey) -> None:
    """NOREPLICAS: the server refuses writes only."""
    async with open_probe(valkey, require="writable") as probe:
        with configured(valkey, min_replicas_to_write="1"):
            assert await failure(probe) is Reason.READ_ONLY
            with pytest.raises(ResponseError) as caught:
                await probe()
        assert "is a primary" in str(advise(spec_of("redis"), probe, caught.value))


@pytest.mark.parametrize("product", ["Redis is running", "Running"])
async def test_protected_mode_is_not_about_a_user(product: str) -> None:
    """It ends each connection from another host if no password is set."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(f"-DENIED {product} in protected mode because ...\r\n".encode())
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1") as server:
        url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with redis(url, None, require="query", renew_after=86400) as probe:
            assert await failure(probe) is Reason.DENIED
            with pytest.raises(ResponseError) as caught:
                await probe()
    assert "protected mode" in str(advise(spec_of("redis"), probe, caught.value))


async def test_the_connection_limit_has_its_reason(valkey: Valkey) -> None:
    """The open connections have reached the limit."""
    async with open_probe(valkey) as probe:
        with configured(valkey, maxclients="1"):
            assert await failure(probe) is Reason.TOO_MANY_CONNECTIONS
        await probe()


async def test_a_replica_without_its_primary_is_readable(own_valkey: Valkey) -> None:
    """With `replica-serve-stale-data no` it is not. It is never writable."""
    command(own_valkey, "REPLICAOF", "127.0.0.1", "1")
    async with (
        open_probe(own_valkey) as readable,
        open_probe(own_valkey, require="writable") as writable,
    ):
        await readable()
        assert await failure(writable) is Reason.READ_ONLY
        with configured(own_valkey, replica_serve_stale_data="no"):
            assert await failure(readable) is Reason.NO_PRIMARY
    command(own_valkey, "REPLICAOF", "NO", "ONE")


async def test_a_frozen_server_is_a_timeout(own_valkey: Valkey) -> None:
    """It is silent on a kept and on a new session. It passes when it resumes."""
    async with open_probe(own_valkey) as kept, open_probe(own_valkey) as new:
        await kept()
        with frozen(own_valkey):
            assert await failure(kept) is Reason.TIMEOUT
            assert await failure(new) is Reason.TIMEOUT
        await kept()


async def test_a_killed_server_is_refused(own_valkey: Valkey) -> None:
    """Nothing listens. When it is back, the next attempt passes."""
    async with open_probe(own_valkey) as probe:
        await probe()
        with killed(own_valkey):
            assert await failure(probe) is Reason.REFUSED
        await probe()


async def test_a_server_that_loads_its_data_is_starting() -> None:
    """It answers with LOADING."""
    with Valkey() as server:
        for number in range(60):
            command(server, "SET", f"key:{number}", "value" * 1000)
        command(server, "CONFIG", "SET", "rdbcompression", "no")
        command(server, "SAVE")
        server.arguments = LOAD_SLOWLY
        server.stop()
        server.start()
        async with open_probe(server) as probe:
            assert await failure(probe) is Reason.STARTING
