"""Several hosts on a simulated event loop. Each has a real session probe, and no driver."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest

from app.checks.hosts import HostsProbe
from app.checks.race import START_DELAY
from app.checks.session import SessionProbe
from app.health import Reason
from tests.support.fakes import hangs, simulate
from tests.unit.checks.attempt import failure


class ReasonError(Exception):
    """An error whose reason a test chooses."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass
class Host:
    """Passes, at once or after some seconds, fails for a reason, or hangs."""

    result: Reason | str | float = "passes"
    asked: list[float] = field(default_factory=list)
    open_sessions: int = 0

    async def open(self) -> "Host":
        """Open a session, which is this object too."""
        self.open_sessions += 1
        return self

    async def query(self) -> None:
        """Answer as `result` says."""
        self.asked.append(asyncio.get_running_loop().time())
        if isinstance(self.result, Reason):
            raise ReasonError(self.result)
        if isinstance(self.result, float):
            await asyncio.sleep(self.result)
        if self.result == "hangs":
            await hangs()

    async def close(self) -> None:
        """Close the session."""
        self.terminate()

    def terminate(self) -> None:
        """Close the session."""
        self.open_sessions -= 1

    def explain(self, error: BaseException) -> Reason:
        """Return the reason; a deadline during the connection is `connect_timeout`."""
        if isinstance(error, ReasonError):
            return error.reason
        error.add_note(f"attempts: {len(self.asked)}")
        return Reason.CONNECT_TIMEOUT

    def probe(self) -> SessionProbe:
        """Return a probe of the host."""
        return SessionProbe(self.open, self.explain, 15, lambda: 0.0)


def hosts_of(*results: Reason | str | float) -> tuple[list[Host], HostsProbe[SessionProbe]]:
    """Return hosts, and their probe with a timeout of one second."""
    hosts = [Host(result) for result in results]
    return hosts, HostsProbe([host.probe() for host in hosts], 1)


def attempts(*probes: Coroutine[Any, Any, None]) -> None:
    """Run attempts one after the other."""

    async def run() -> None:
        for probe in probes:
            await probe

    simulate(run())


def test_the_host_that_passed_is_asked_first_the_next_time() -> None:
    """It keeps its session. No other host has one."""
    hosts, probe = hosts_of(Reason.NO_PRIMARY, "passes", "passes")
    attempts(probe(), probe(), probe())
    assert [len(host.asked) for host in hosts] == [1, 3, 0]
    assert [host.open_sessions for host in hosts] == [0, 1, 0]


def test_another_host_passes_in_the_attempt_in_which_one_fails() -> None:
    hosts, probe = hosts_of("passes", "passes")

    async def run() -> None:
        await probe()
        hosts[0].result = Reason.NO_PRIMARY
        await probe()
        assert [host.open_sessions for host in hosts] == [0, 1]

    simulate(run())


def test_a_host_that_hangs_does_not_hide_the_next() -> None:
    """Neither a new one nor the one with the session."""
    hosts, probe = hosts_of("hangs", "passes")

    async def run() -> None:
        await probe()
        assert asyncio.get_running_loop().time() == START_DELAY
        hosts[0].result, hosts[1].result = "passes", "hangs"
        await probe()
        await asyncio.sleep(1)  # the cancelled attempt ends
        assert [host.open_sessions for host in hosts] == [1, 0]

    simulate(run())


def test_of_two_hosts_that_pass_at_the_same_moment_one_keeps_its_session() -> None:
    hosts, probe = hosts_of(START_DELAY + 0.5, 0.5)
    attempts(probe())
    assert [host.open_sessions for host in hosts] == [1, 0]


def test_every_host_is_asked_within_the_timeout() -> None:
    hosts, probe = hosts_of(*["hangs"] * 9)
    assert simulate(failure(probe, within=1)) is Reason.CONNECT_TIMEOUT
    assert all(len(host.asked) == 1 for host in hosts)


@pytest.mark.parametrize(
    ("results", "reason"),
    [
        ([Reason.NO_PRIMARY, Reason.NO_PRIMARY], Reason.NO_PRIMARY),
        ([Reason.NOT_REPLICA, Reason.NOT_REPLICA], Reason.NOT_REPLICA),
        ([Reason.READ_ONLY, Reason.NO_PRIMARY], Reason.READ_ONLY),
        ([Reason.NO_PRIMARY, Reason.READ_ONLY], Reason.READ_ONLY),
        ([Reason.NOT_REPLICA, Reason.LAGGING], Reason.LAGGING),
        ([Reason.LAGGING, Reason.REFUSED], Reason.REFUSED),
        ([Reason.NO_PRIMARY, Reason.REFUSED, Reason.CONDITION], Reason.CONDITION),
        ([Reason.NO_PRIMARY, Reason.REFUSED], Reason.REFUSED),
        ([Reason.REFUSED, Reason.NO_PRIMARY], Reason.REFUSED),
        ([Reason.NO_PRIMARY, Reason.AUTH, Reason.REFUSED], Reason.AUTH),
        ([Reason.NO_PRIMARY, "hangs"], Reason.CONNECT_TIMEOUT),
        (["hangs", Reason.REFUSED], Reason.CONNECT_TIMEOUT),
        ([Reason.REFUSED, "hangs"], Reason.REFUSED),
    ],
)
def test_the_first_unreachable_host_has_the_reason(
    results: list[Reason | str], reason: Reason
) -> None:
    """A host that has been found goes before it. If all answer, one that qualifies goes first."""
    assert simulate(failure(hosts_of(*results)[1], within=1)) is reason


def test_the_cause_names_the_host_that_decides() -> None:
    """An error of the operating system does not say which host it belongs to."""
    _, probe = hosts_of(Reason.NO_PRIMARY, Reason.REFUSED)

    async def run() -> list[str]:
        with pytest.raises(ReasonError) as caught:
            await probe()
        probe.explain(caught.value)
        probe.explain(caught.value)
        return caught.value.__notes__

    assert simulate(run()) == ["host 2 of 2 in the URL"]


def test_a_deadline_has_only_the_notes_of_the_host_that_decides() -> None:
    """The advice follows from the notes."""
    _, probe = hosts_of("hangs", "hangs")
    error = TimeoutError("no answer within the deadline")

    async def run() -> None:
        attempt = asyncio.create_task(probe())
        await asyncio.wait({attempt}, timeout=START_DELAY / 2)
        probe.explain(error)
        attempt.cancel()

    simulate(run())
    assert error.__notes__ == ["host 1 of 2 in the URL", "attempts: 1"]


def test_a_deadline_has_the_cause_of_the_host_that_decides() -> None:
    """Another host has not answered in time."""
    hosts, probe = hosts_of(Reason.REFUSED, "hangs")
    error = TimeoutError("no answer within the deadline")

    async def run() -> Reason:
        attempt = asyncio.create_task(probe())
        await asyncio.wait({attempt}, timeout=START_DELAY / 2)
        reason = probe.explain(error)
        attempt.cancel()
        return reason

    assert simulate(run()) is Reason.REFUSED
    assert error.__notes__ == ["host 1 of 2 in the URL", "ReasonError: refused"]
    assert [len(host.asked) for host in hosts] == [1, 1]
