import asyncio
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.health import Check, Probe, Status
from app.health.monitor import CANCEL_GRACE
from tests.support.fakes import Dependency, answers, fails, hangs, simulate, stubborn, takes
from tests.unit.health.helpers import at, check, make_monitor


SECONDS = st.floats(0.1, 5)
EXAMPLES = settings(derandomize=True, database=None, deadline=None, max_examples=150)
CLEANUP = CANCEL_GRACE * 0.9
FAULTS = [fails(OSError()), hangs, stubborn(CLEANUP), stubborn(CLEANUP, fails(OSError()))]


@dataclass
class Server:
    """A probe that answers after a while, unless the server is down at that moment."""

    latency: float
    fault: Probe
    down: bool = False

    async def __call__(self) -> None:
        await asyncio.sleep(self.latency)
        await (self.fault if self.down else answers)()


def bound(check: Check, threshold: int) -> float:
    """Return the guaranteed time in seconds from a fault or a repair to its report."""
    cycle = max(check.interval, check.timeout)
    return (threshold - 1) * cycle + check.interval + check.timeout + 0.5


async def fault_and_repair(
    subject: Check, server: Server, jitter: float, times: list[float]
) -> None:
    """Break and repair the server; check the status after the guaranteed time, and later."""
    async with make_monitor(subject, jitter=jitter) as monitor:
        await asyncio.sleep(times[0])
        for down, threshold in (
            (True, subject.failure_threshold),
            (False, subject.success_threshold),
        ):
            server.down = down
            await asyncio.sleep(bound(subject, threshold))
            assert monitor.report().status is (Status.FAIL if down else Status.PASS)
            await asyncio.sleep(times[1])
            assert monitor.report().status is (Status.FAIL if down else Status.PASS)


@EXAMPLES
@given(
    interval=SECONDS,
    timeout=SECONDS,
    thresholds=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    latency=st.floats(0, 0.95),
    fault=st.sampled_from(FAULTS),
    jitter=st.floats(0, 1),
    times=st.lists(st.floats(0, 10), min_size=2, max_size=2),
)
def test_a_fault_and_a_repair_show_within_the_guaranteed_time(
    *,
    interval: float,
    timeout: float,
    thresholds: tuple[int, int],
    latency: float,
    fault: Probe,
    jitter: float,
    times: list[float],
) -> None:
    """For any schedule, kind of fault and moment, if answers take less than the interval."""
    server = Server(latency * min(interval, timeout), fault)
    subject = check(
        server,
        interval=interval,
        timeout=timeout,
        failure_threshold=thresholds[0],
        success_threshold=thresholds[1],
    )
    simulate(fault_and_repair(subject, server, jitter, times))


@pytest.mark.parametrize("threshold", [1, 5, 20])
async def test_cleanup_times_do_not_add_up_past_the_guaranteed_time(threshold: int) -> None:
    """Many attempts whose cancellation takes a moment do not delay the result of the last one."""
    server = Server(0, stubborn(CLEANUP))
    subject = check(server, failure_threshold=threshold)
    await fault_and_repair(subject, server, 0, [0.01, 1])


@EXAMPLES
@given(
    interval=SECONDS,
    timeout=SECONDS,
    jitter=st.floats(0, 1),
    hung=st.integers(1, 2),
    latency=st.floats(0, 0.95),
)
def test_after_stuck_attempts_a_repair_shows_within_three_more_timeouts(
    *, interval: float, timeout: float, jitter: float, hung: int, latency: float
) -> None:
    """Counted from the start of the last stuck attempt, for one or two of them."""
    answer = takes(latency * min(interval, timeout))
    dependency = Dependency(answer, *[stubborn(1e4)] * hung, answer)
    subject = check(dependency, interval=interval, timeout=timeout, success_threshold=9)

    async def main() -> None:
        async with make_monitor(subject, jitter=jitter) as monitor:
            last_start = interval + (hung - 1) * max(interval, 3 * timeout)
            await at(last_start + 3 * timeout + bound(subject, 1))
            assert monitor.report().status is Status.PASS

    simulate(main())
