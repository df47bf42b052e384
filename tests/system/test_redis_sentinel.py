"""Redis Sentinel: the check follows the primary."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any

import pytest
from redis.exceptions import RedisError

from app.checks.kind import CheckSpec, Resources
from app.checks.redis import KIND, RedisOptions
from app.health import Reason
from tests.support.faults.servers import command, freeze, frozen, kill, killed, thaw
from tests.support.ports import free_port
from tests.system.redis_sentinel import (
    PASSWORD,
    SENTINEL_PASSWORD,
    SERVICE,
    Sentinel,
    SentinelGroup,
    running_sentinels,
)
from tests.system.servers import wait_for
from tests.unit.checks.attempt import failure


SECRETS = {"it_password": PASSWORD, "it_sentinel_password": SENTINEL_PASSWORD}


@pytest.fixture(name="group", scope="module")
def _group() -> Iterator[SentinelGroup]:
    with running_sentinels() as group:
        yield group


def opened(
    sentinels: Sequence[Sentinel],
    *,
    service: str = SERVICE,
    depth: str = "writable",
    **secrets: str,
) -> AbstractAsyncContextManager[Any]:
    """Open a probe of the primary that Sentinels name."""
    known = SECRETS | secrets
    hosts = ",".join(f"127.0.0.1:{one.port}" for one in sentinels)
    url = f"redis+sentinel://{hosts}/{service}"
    options = RedisOptions.model_validate({"url": url, "depth": depth})
    resources = Resources(known.__getitem__, 86400, has_secret=lambda name: bool(known[name]))
    return KIND.open(CheckSpec("it", KIND, options), resources)


async def recovers(probe: Any) -> None:
    """Assert that a probe passes soon after the Sentinels name another primary."""
    with suppress(RedisError):  # the new primary may learn of its role a moment later
        await probe()
    await probe()


@pytest.mark.parametrize("depth", ["connect", "query", "writable"])
async def test_the_primary_passes(group: SentinelGroup, depth: str) -> None:
    """Each new session has found it with a Sentinel."""
    async with opened(group.sentinels, depth=depth) as probe:
        await probe()
        await probe()


async def test_a_frozen_primary_is_replaced(group: SentinelGroup) -> None:
    """The check is `timeout` until the Sentinels have promoted a replica."""
    old = group.primary
    async with opened(group.sentinels) as probe:
        await probe()
        freeze(old)
        assert await failure(probe) is Reason.TIMEOUT
        group.wait_failover(old)
        await recovers(probe)
        thaw(old)
        await recovers(probe)
    group.wait_healthy()


async def test_a_killed_primary_is_replaced(group: SentinelGroup) -> None:
    """The check is `refused` until then. A restarted one is not mistaken for the primary."""
    old = group.primary
    async with opened(group.sentinels) as probe:
        await probe()
        kill(old)
        assert await failure(probe) is Reason.REFUSED
        group.wait_failover(old)
        await recovers(probe)
        old.start()
        await probe()
    group.wait_healthy()


async def test_a_planned_failover_is_followed(group: SentinelGroup) -> None:
    old = group.primary
    async with opened(group.sentinels) as probe:
        await probe()
        command(group.sentinels[1], "SENTINEL", "FAILOVER", SERVICE)
        group.wait_failover(old)
        wait_for(lambda: old.role == "slave")
        await recovers(probe)
    group.wait_healthy()


@pytest.mark.parametrize("dead", [1, 2])
async def test_dead_sentinels_do_not_matter(group: SentinelGroup, dead: int) -> None:
    """Killed ones, and frozen ones, which do not use up the deadline."""
    for broken in (killed, frozen):
        with broken(*group.sentinels[:dead]):
            async with opened(group.sentinels) as probe:
                await probe()
    group.wait_healthy()


async def test_without_any_sentinel_the_first_one_has_the_reason(group: SentinelGroup) -> None:
    """An open session stays until it is renewed."""
    async with opened(group.sentinels) as kept, opened(group.sentinels) as new:
        await kept()
        with frozen(group.sentinels[0]), killed(*group.sentinels[1:]):
            await kept()
            assert await failure(new, within=1) is Reason.TIMEOUT
        await new()
    group.wait_healthy()


async def test_an_unknown_service_is_no_primary(group: SentinelGroup) -> None:
    """Even if the first Sentinel is dead."""
    async with opened(group.sentinels, service="unknown") as probe:
        assert await failure(probe) is Reason.NO_PRIMARY
        with killed(group.sentinels[0]):
            assert await failure(probe) is Reason.NO_PRIMARY
    group.wait_healthy()


async def test_a_server_that_is_no_primary_is_refused(group: SentinelGroup) -> None:
    """A Sentinel may watch a replica for a moment."""
    replica = next(node for node in group.nodes if node is not group.primary)
    sentinel = group.sentinels[0]
    command(sentinel, "SENTINEL", "MONITOR", "wrong", "127.0.0.1", str(replica.port), "2")
    async with opened([sentinel], service="wrong") as probe:
        assert await failure(probe) is Reason.NO_PRIMARY
    command(sentinel, "SENTINEL", "REMOVE", "wrong")


@pytest.mark.parametrize("password", ["", "wrong"])
async def test_a_wrong_password_of_the_sentinels_is_auth(
    group: SentinelGroup, password: str
) -> None:
    """Without the secret none is sent."""
    async with opened(group.sentinels, it_sentinel_password=password) as probe:
        assert await failure(probe) is Reason.AUTH


async def test_a_closed_port_is_refused() -> None:
    url = f"redis+sentinel://127.0.0.1:{free_port()}/main"
    spec = CheckSpec("it", KIND, RedisOptions(url=url, auth="none"))
    async with KIND.open(spec, Resources(str, 86400)) as probe:
        assert await failure(probe) is Reason.REFUSED
