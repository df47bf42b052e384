import asyncio
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.health import Check, Probe, Status
from app.health.monitor import CANCEL_GRACE
from tests.fakes import Dependency, answers, fails, hangs, simulate, stubborn, takes
from tests.health.helpers import at, check, make_monitor


SECONDS = st.floats(0.1, 5)
QUICKLY = settings(derandomize=True, database=None, deadline=None, max_examples=150)
TIDY = CANCEL_GRACE * 0.9
FAULTS = [fails(OSError()), hangs, stubborn(TIDY), stubborn(TIDY, fails(OSError()))]


@dataclass
class Server:
    """Answers after a while, unless it is down at the moment of its answer."""

    latency: float
    fault: Probe
    down: bool = False

    async def __call__(self) -> None:
        await asyncio.sleep(self.latency)
        await (self.fault if self.down else answers)()


def bound(check: Check, threshold: int) -> float:
    """The longest time from a fault or a repair to its answer, as the interface promises it."""
    cycle = max(check.interval, check.timeout)
    return (threshold - 1) * cycle + check.interval + check.timeout + 0.5


async def fault_and_repair(terms: Check, server: Server, jitter: float, times: list[float]) -> None:
    """Break and mend the server, and look when the promised time is over, and later."""
    async with make_monitor(terms, jitter=jitter) as monitor:
        await asyncio.sleep(times[0])
        for down, threshold in ((True, terms.failure_threshold), (False, terms.success_threshold)):
            server.down = down
            await asyncio.sleep(bound(terms, threshold))
            assert monitor.report().status is (Status.FAIL if down else Status.PASS)
            await asyncio.sleep(times[1])
            assert monitor.report().status is (Status.FAIL if down else Status.PASS)


@QUICKLY
@given(
    interval=SECONDS,
    timeout=SECONDS,
    thresholds=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    latency=st.floats(0, 0.95),
    fault=st.sampled_from(FAULTS),
    jitter=st.floats(0, 1),
    times=st.lists(st.floats(0, 10), min_size=2, max_size=2),
)
def test_a_fault_and_a_repair_show_within_the_promised_time(
    *,
    interval: float,
    timeout: float,
    thresholds: tuple[int, int],
    latency: float,
    fault: Probe,
    jitter: float,
    times: list[float],
) -> None:
    """Whatever the terms, the kind of fault and its moment, for an answer within the interval."""
    server = Server(latency * min(interval, timeout), fault)
    terms = check(
        server,
        interval=interval,
        timeout=timeout,
        failure_threshold=thresholds[0],
        success_threshold=thresholds[1],
    )
    simulate(fault_and_repair(terms, server, jitter, times))


@pytest.mark.parametrize("threshold", [1, 5, 20])
async def test_clean_ups_do_not_add_up_past_the_promised_time(threshold: int) -> None:
    """A driver that takes a moment to end each attempt does not delay the last by all of them."""
    server = Server(0, stubborn(TIDY))
    terms = check(server, failure_threshold=threshold)
    await fault_and_repair(terms, server, 0, [0.01, 1])


@QUICKLY
@given(
    interval=SECONDS,
    timeout=SECONDS,
    jitter=st.floats(0, 1),
    hung=st.integers(1, 2),
    latency=st.floats(0, 0.95),
)
def test_a_repair_shows_three_timeouts_later_at_most_where_attempts_got_stuck(
    *, interval: float, timeout: float, jitter: float, hung: int, latency: float
) -> None:
    """Unless three hang: counted from the start of the last that did, whatever the threshold."""
    answer = takes(latency * min(interval, timeout))
    dependency = Dependency(answer, *[stubborn(1e4)] * hung, answer)
    terms = check(dependency, interval=interval, timeout=timeout, success_threshold=9)

    async def story() -> None:
        async with make_monitor(terms, jitter=jitter) as monitor:
            last_begins = interval + (hung - 1) * max(interval, 3 * timeout)
            await at(last_begins + 3 * timeout + bound(terms, 1))
            assert monitor.report().status is Status.PASS

    simulate(story())
