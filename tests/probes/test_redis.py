import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from app.checks.redis import redis
from app.checks.session import SessionProbe
from app.devservers import Valkey
from app.health import Reason
from tests.faults.servers import LOAD_SLOWLY, admin, command, frozen, killed
from tests.probes.attempt import eventually, failure


@asynccontextmanager
async def asking(
    server: Valkey, url: str = "", *, require: str = "query", renew_after: float = 86400
) -> AsyncIterator[SessionProbe]:
    """Ask a server."""
    async with redis(
        url or server.url, server.password_file.read_text, require=require, renew_after=renew_after
    ) as probe:
        yield probe


def clients(server: Valkey) -> list[str]:
    """The connections of probes that the server holds, each with its id."""
    with admin(server) as client:
        return [known["id"] for known in client.client_list() if known["name"] == "vitals"]


@contextlib.contextmanager
def configured(server: Valkey, **settings: str) -> Iterator[None]:
    """Set what is wrong, and set it right again."""
    with admin(server) as client:
        before = {name: client.config_get(dashed(name))[dashed(name)] for name in settings}
        for name, value in settings.items():
            client.config_set(dashed(name), value)
        yield
        for name, value in before.items():
            client.config_set(dashed(name), value)


def dashed(name: str) -> str:
    """Spell a setting as the server does."""
    return name.replace("_", "-")


@pytest.mark.parametrize("require", ["connect", "query", "writable"])
async def test_a_server_that_serves_passes(valkey: Valkey, require: str) -> None:
    """At every depth, on a kept session as on a new one; closing leaves nothing."""
    async with asking(valkey, require=require) as probe:
        await probe()
        first = clients(valkey)
        await probe()
        assert len(first) == 1
        assert (clients(valkey) == first) is (require != "connect")
    await eventually(lambda: clients(valkey) == [])


async def test_nothing_is_ever_written(valkey: Valkey) -> None:
    """The write that is queued is discarded."""
    async with asking(valkey, require="writable") as probe:
        await probe()
    assert command(valkey, "DBSIZE") == 0


async def test_a_session_that_was_ended_is_replaced_at_once(valkey: Valkey) -> None:
    """CLIENT KILL has not broken the server."""
    async with asking(valkey) as probe:
        await probe()
        command(valkey, "CLIENT", "KILL", "ID", clients(valkey)[0])
        await probe()


async def test_a_wrong_a_missing_and_a_needless_password_are_auth(valkey: Valkey) -> None:
    """WRONGPASS, NOAUTH, and AUTH where no password is configured."""
    async with redis(valkey.url, lambda: "another", require="query", renew_after=86400) as probe:
        assert await failure(probe) is Reason.AUTH
    async with redis(valkey.url, None, require="query", renew_after=86400) as probe:
        assert await failure(probe) is Reason.AUTH
    right = valkey.password_file.read_text()
    with admin(valkey) as client:
        client.config_set("requirepass", "")
        async with asking(valkey) as probe:
            assert await failure(probe) is Reason.AUTH
        client.config_set("requirepass", right)


async def test_a_server_without_the_command_client_passes() -> None:
    """Some providers take it away; the introduction is a courtesy."""
    with Valkey() as server:
        server.arguments = ("--rename-command", "CLIENT", "")
        server.start()
        async with asking(server) as probe:
            await probe()


async def test_a_database_that_is_not_there_is_misconfigured(valkey: Valkey) -> None:
    """There are sixteen, unless it is set otherwise."""
    async with asking(valkey, valkey.url.replace("/0", "/99")) as probe:
        assert await failure(probe) is Reason.MISCONFIGURED
    async with asking(valkey, valkey.url.replace("/0", "/3")) as probe:
        await probe()


@pytest.fixture(name="user")
def _user(valkey: Valkey) -> Iterator[str]:
    """Make a user who may do nothing."""
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
async def test_the_documented_grants_are_enough(
    valkey: Valkey, user: str, require: str, grants: tuple[str, ...]
) -> None:
    """With one grant less the reason is `denied`; the name of the client needs none."""
    if grants:
        command(valkey, "ACL", "SETUSER", "probed", *grants[1:])
        async with asking(valkey, user, require=require) as probe:
            assert await failure(probe) is Reason.DENIED
    command(valkey, "ACL", "SETUSER", "probed", *grants)
    async with asking(valkey, user, require=require) as probe:
        await probe()


async def test_another_database_needs_one_grant_more(valkey: Valkey, user: str) -> None:
    """As it is chosen when the connection is made."""
    elsewhere = user.replace("/0", "/3")
    command(valkey, "ACL", "SETUSER", "probed", "+ping")
    async with asking(valkey, elsewhere) as probe:
        assert await failure(probe) is Reason.DENIED
    command(valkey, "ACL", "SETUSER", "probed", "+select")
    async with asking(valkey, elsewhere) as probe:
        await probe()


async def test_memory_that_is_full_fails_what_must_write(valkey: Valkey) -> None:
    """PING still passes: the server can be read."""
    async with asking(valkey) as readable, asking(valkey, require="writable") as writable:
        with configured(valkey, maxmemory="1"):
            await readable()
            assert await failure(writable) is Reason.OUT_OF_MEMORY
        await writable()


async def test_a_disk_that_fails_is_told_as_persistence(valkey: Valkey) -> None:
    """MISCONF: the server refuses writes since it could not save."""
    async with asking(valkey, require="writable") as probe:
        with configured(valkey, save="3600 1"):
            valkey.folder.chmod(0o500)
            command(valkey, "BGSAVE")
            await eventually(lambda: last_save(valkey) == "err")
            assert await failure(probe) is Reason.PERSISTENCE
            valkey.folder.chmod(0o700)
            command(valkey, "BGSAVE")
            await eventually(lambda: last_save(valkey) == "ok")
            await probe()


def last_save(server: Valkey) -> str:
    """How the last attempt to save ended."""
    with admin(server) as client:
        return str(client.info("persistence")["rdb_last_bgsave_status"])


async def test_too_few_replicas_make_it_read_only(valkey: Valkey) -> None:
    """NOREPLICAS: writes are refused, reads are not."""
    async with asking(valkey, require="writable") as probe:
        with configured(valkey, min_replicas_to_write="1"):
            assert await failure(probe) is Reason.READ_ONLY


async def test_no_free_connection_is_told(valkey: Valkey) -> None:
    """The connection limit is met by what is connected already."""
    async with asking(valkey) as probe:
        with configured(valkey, maxclients="1"):
            assert await failure(probe) is Reason.TOO_MANY_CONNECTIONS
        await probe()


async def test_a_replica_without_its_primary(own_valkey: Valkey) -> None:
    """It may be read, unless it is told not to serve stale data; it is never written."""
    command(own_valkey, "REPLICAOF", "127.0.0.1", "1")
    async with asking(own_valkey) as readable, asking(own_valkey, require="writable") as writable:
        await readable()
        assert await failure(writable) is Reason.READ_ONLY
        with configured(own_valkey, replica_serve_stale_data="no"):
            assert await failure(readable) is Reason.NO_PRIMARY
    command(own_valkey, "REPLICAOF", "NO", "ONE")


async def test_a_frozen_server_is_a_timeout(own_valkey: Valkey) -> None:
    """Connected and silent; it passes when it goes on."""
    async with asking(own_valkey) as kept, asking(own_valkey) as new:
        await kept()
        with frozen(own_valkey):
            assert await failure(kept) is Reason.TIMEOUT
            assert await failure(new) is Reason.TIMEOUT
        await kept()


async def test_a_killed_server_is_refused(own_valkey: Valkey) -> None:
    """Nobody listens; when it is back, the next question passes."""
    async with asking(own_valkey) as probe:
        await probe()
        with killed(own_valkey):
            assert await failure(probe) is Reason.REFUSED
        await probe()


async def test_a_server_that_loads_its_data_is_starting() -> None:
    """LOADING is not an answer that helps anybody."""
    with Valkey() as server:
        for number in range(60):
            command(server, "SET", f"key:{number}", "value" * 1000)
        command(server, "CONFIG", "SET", "rdbcompression", "no")
        command(server, "SAVE")
        server.arguments = LOAD_SLOWLY
        server.stop()
        server.start()
        async with asking(server) as probe:
            assert await failure(probe) is Reason.STARTING
