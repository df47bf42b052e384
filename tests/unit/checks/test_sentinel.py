"""Sentinels and primaries whose replies a test scripts."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from app.check_factory import advise
from app.checks.kind import CheckSpec, Resources
from app.checks.redis import KIND, RedisOptions
from app.health import Reason
from tests.support.specs import redis
from tests.unit.checks.attempt import failure
from tests.unit.checks.test_terse import read_word


LOOKUP = b"SENTINEL GET-MASTER-ADDR-BY-NAME main"
NO_CLUSTER = b"-ERR This instance has cluster support disabled"


@asynccontextmanager
async def serving(replies: Mapping[bytes, bytes]) -> AsyncIterator[int]:
    """Run a server that answers commands, and yield its port. It echoes the word of a PING."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while words := (await reader.readline())[1:-2]:
            command = [await read_word(reader) for _ in range(int(words))]
            reply = b"+" + command[1] if command[0] == b"PING" else replies[b" ".join(command)]
            writer.write(reply + b"\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1") as server:
        yield server.sockets[0].getsockname()[1]


def array(*words: str) -> bytes:
    """Return an array of strings without its last line break."""
    strings = (f"${len(word)}\r\n{word}\r\n" for word in words)
    return f"*{len(words)}\r\n{''.join(strings)}".removesuffix("\r\n").encode()


async def reason_with(address: bytes) -> Reason:
    """Return the reason of a probe whose Sentinel names an address."""
    async with (
        serving({LOOKUP: address}) as port,
        redis(
            f"redis+sentinel://127.0.0.1:{port}/main", None, require="query", renew_after=60
        ) as probe,
    ):
        return await failure(probe)


def primary(role: bytes) -> dict[bytes, bytes]:
    """Return the replies of a server with a role."""
    return {b"ROLE": role, b"CLIENT SETNAME vitals": b"+OK", b"CLUSTER INFO": NO_CLUSTER}


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        (b"*-1", Reason.NO_PRIMARY),
        (b"$-1", Reason.NO_PRIMARY),
        (b"*0", Reason.PROTOCOL),
        (b"+OK", Reason.PROTOCOL),
        (array("127.0.0.1"), Reason.PROTOCOL),
        (array("127.0.0.1", "1", "2"), Reason.PROTOCOL),
        (array("127.0.0.1", "x"), Reason.PROTOCOL),
        (array("127.0.0.1", "0"), Reason.PROTOCOL),
        (array("127.0.0.1", "99999"), Reason.PROTOCOL),
        (array("127.0.0.1", "100000"), Reason.PROTOCOL),
        (array("", "1"), Reason.PROTOCOL),
        (array("/run/redis.sock", "1"), Reason.PROTOCOL),
        (array("a b", "1"), Reason.PROTOCOL),
        (array("name.invalid", "1"), Reason.DNS),
        (array("127.0.0.1", "1"), Reason.REFUSED),
        (b"-NOPERM no permissions", Reason.DENIED),
        (b"-ERR unknown command", Reason.ERROR),
        (b"*50000", Reason.TIMEOUT),
        (b"*2\r\n" * 200, Reason.PROTOCOL),
    ],
    ids=repr,
)
async def test_the_reply_of_a_sentinel_decides(address: bytes, reason: Reason) -> None:
    """A path is not taken for a Unix socket."""
    assert await reason_with(address) is reason


@pytest.mark.parametrize(
    ("role", "reason"),
    [
        (array("master", "0"), None),
        (b"*3\r\n$6\r\nmaster\r\n:12\r\n*1\r\n" + array("127.0.0.1", "1", "9"), None),
        (array("slave", "127.0.0.1", "1", "connect", "-1"), Reason.NO_PRIMARY),
        (array("sentinel"), Reason.NO_PRIMARY),
        (b"+master", Reason.NO_PRIMARY),
        (b"-LOADING Redis is loading", Reason.STARTING),
        (b"-NOPERM no permissions", Reason.DENIED),
    ],
    ids=repr,
)
async def test_the_primary_must_confirm_its_role(role: bytes, reason: Reason | None) -> None:
    async with serving(primary(role)) as port:
        address = array("127.0.0.1", str(port))
        async with (
            serving({LOOKUP: address}) as sentinel,
            redis(
                f"redis+sentinel://127.0.0.1:{sentinel}/main", None, require="query", renew_after=60
            ) as probe,
        ):
            if reason:
                assert await failure(probe) is reason
            else:
                await probe()
                await probe()


@pytest.mark.parametrize("auth", ["none", "password"])
@pytest.mark.parametrize(
    ("command", "refusal"),
    [
        (LOOKUP, b"-NOAUTH Authentication required."),
        (b"AUTH word", b"-ERR AUTH <password> called without any password configured"),
        (b"AUTH word", b"-WRONGPASS invalid username-password pair"),
    ],
    ids=repr,
)
async def test_the_advice_names_the_secret_of_the_sentinels(
    auth: str, command: bytes, refusal: bytes
) -> None:
    """Not the one with the password of the primary, which was not asked."""
    secrets = {"my_a_password": "own"}
    if command != LOOKUP:
        secrets["my_a_sentinel_password"] = "word"  # noqa: S105 - of this test
    resources = Resources(secrets.__getitem__, 15, has_secret=secrets.__contains__)
    async with serving({command: refusal}) as port:
        options = RedisOptions.model_validate(
            {"url": f"redis+sentinel://127.0.0.1:{port}/main", "auth": auth}
        )
        spec = CheckSpec("my-a", KIND, options)
        async with KIND.open(spec, resources) as probe:
            with pytest.raises(Exception, match=r"assword|uthentication") as caught:
                await probe()
            assert probe.explain(caught.value) is Reason.AUTH
            assert "secret my_a_sentinel_password," in str(advise(spec, probe, caught.value))


async def test_another_sentinel_is_asked_if_the_named_server_is_no_primary() -> None:
    """The first one is behind."""
    async with (
        serving(primary(array("slave", "127.0.0.1", "1", "connect", "-1"))) as old,
        serving(primary(array("master", "0"))) as new,
        serving({LOOKUP: array("127.0.0.1", str(old))}) as first,
        serving({LOOKUP: array("127.0.0.1", str(new))}) as second,
        redis(
            f"redis+sentinel://127.0.0.1:{first},127.0.0.1:{second}/main",
            None,
            require="query",
            renew_after=60,
        ) as probe,
    ):
        await probe()
        await probe()


async def test_after_a_failover_the_new_primary_is_asked() -> None:
    """The former one is a replica by then."""
    named = dict[bytes, bytes]()
    async with (
        serving(former := primary(array("master", "0"))) as old,
        serving(primary(array("master", "0"))) as new,
        serving(named) as sentinel,
        redis(
            f"redis+sentinel://127.0.0.1:{sentinel}/main", None, require="query", renew_after=0
        ) as probe,
    ):
        named[LOOKUP] = array("127.0.0.1", str(old))
        await probe()
        former[b"ROLE"] = array("slave", "127.0.0.1", "1", "connect", "-1")
        named[LOOKUP] = array("127.0.0.1", str(new))
        await probe()
