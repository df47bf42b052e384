"""Random faults between a service and a PostgreSQL cluster: what a writing client meets shows."""

import asyncio
import random
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack, suppress

import pytest

from app.health import Check, Clock, Monitor, Status, Transition
from tests.chaos.priority import come_first
from tests.support.faults.fault import Blackhole, Cut, Fault, Refuse, Reset, Silent
from tests.support.faults.proxy import Proxy
from tests.support.specs import postgres
from tests.system.replicas import Replica
from tests.system.servers import SystemPostgres


pytestmark = pytest.mark.waits

INTERVAL, TIMEOUT = 0.1, 0.6
BOUND = INTERVAL + TIMEOUT + 0.5
FAULTS: tuple[Fault, ...] = (Blackhole(), Cut(), Refuse(), Reset(), Silent())
ROUNDS = 6


@pytest.fixture(name="cluster", scope="module")
def _cluster() -> Iterator[list[SystemPostgres]]:
    """Run a primary and two replicas, before usual programs."""
    come_first()
    with SystemPostgres() as primary, ExitStack() as stack:
        yield [primary, *(stack.enter_context(Replica(primary)) for _ in range(2))]


class Watch:
    """Waits for the transitions of the only check."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        self._turned = asyncio.Event()
        monitor.subscribe(on_transition=self._on_transition)

    def _on_transition(self, _: Transition, __: str) -> None:
        self._turned.set()

    @property
    def status(self) -> Status:
        """The status of the check."""
        return self._monitor.report().checks[0].status

    async def until(self, status: Status) -> None:
        """Wait for a status, for as long as the bound allows."""
        async with asyncio.timeout(BOUND):
            while self.status is not status:
                self._turned.clear()
                await self._turned.wait()

    async def unchanged(self) -> bool:
        """Return whether there is no transition within the bound."""
        self._turned.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(BOUND):
                await self._turned.wait()
        return not self._turned.is_set()


@pytest.mark.parametrize("position", range(3))
async def test_faults_of_the_primary_show_and_those_of_replicas_do_not(
    cluster: list[SystemPostgres], position: int
) -> None:
    """Wherever the primary stands in the URL. Each change shows within the bound."""
    rng = random.Random(29 + position)
    primary, *replicas = cluster
    order = [*replicas[:position], primary, *replicas[position:]]
    async with AsyncExitStack() as stack:
        proxies = [
            await stack.enter_async_context(Proxy("127.0.0.1", server.port)) for server in order
        ]
        hosts = ",".join(f"127.0.0.1:{proxy.port}" for proxy in proxies)
        url = f"postgresql://vitals@{hosts}/postgres?target_session_attrs=read-write"
        read = primary.password_file.read_text
        opening = postgres(url, read, require="query", renew_after=15, give_up_after=TIMEOUT)
        probe = await stack.enter_async_context(opening)
        check = Check(
            name="orders",
            probe=probe,
            explain=probe.explain,
            interval=INTERVAL,
            timeout=TIMEOUT,
        )
        monitor = await stack.enter_async_context(Monitor([check], clock=Clock()))
        watch = Watch(monitor)
        await watch.until(Status.PASS)
        for _ in range(ROUNDS):
            broken = rng.sample(range(3), rng.randint(1, 2))
            for index in broken:
                proxies[index].break_with(rng.choice(FAULTS))
            if position in broken:
                await watch.until(Status.FAIL)
            else:
                assert await watch.unchanged()
            for index in broken:
                proxies[index].heal()
            await watch.until(Status.PASS)
