import asyncio
from dataclasses import dataclass, field
from functools import partial

import pytest

from app.checks.network import Dialer, explain_network
from app.checks.session import SessionProbe


@dataclass
class FakeSession:
    """A session whose result its server decides."""

    server: "FakeServer"
    ended: str = ""

    async def query(self) -> None:
        if self.ended:
            raise EOFError
        await self.server.answer()

    async def close(self) -> None:
        self.ended = "closed"

    def terminate(self) -> None:
        self.ended = "terminated"


@dataclass
class FakeServer:
    """Keeps its sessions, and answers, fails or hangs as a test sets it."""

    sessions: list[FakeSession] = field(default_factory=list)
    error: Exception | None = None
    cut: int = 0
    answering: asyncio.Event = field(default_factory=asyncio.Event)
    now: float = 0.0
    phase: float = 0.0

    async def open(self) -> FakeSession:
        self.sessions.append(FakeSession(self))
        return self.sessions[-1]

    async def answer(self) -> None:
        await self.answering.wait()
        if self.cut:
            self.cut -= 1
            raise EOFError
        if self.error:
            raise self.error

    def probe(self, renew_after: float = 15.0) -> SessionProbe:
        explain = partial(explain_network, dialer=Dialer("127.0.0.1"))
        return SessionProbe(self.open, explain, renew_after, lambda: self.now, lambda: self.phase)

    @property
    def ended(self) -> list[str]:
        return [session.ended for session in self.sessions]


@pytest.fixture(name="server")
def _server() -> FakeServer:
    server = FakeServer()
    server.answering.set()
    return server


async def test_a_session_is_kept_until_its_renewal(server: FakeServer) -> None:
    """It is closed before the next one opens, as the server may have only one slot."""
    probe = server.probe(renew_after=15)
    for server.now in (0.0, 14.9):
        await probe()
    assert server.ended == [""]
    server.now = 15.0
    await probe()
    assert server.ended == ["closed", ""]


async def test_renewal_times_do_not_depend_on_failures(server: FakeServer) -> None:
    """Instances that lost their sessions at once do not renew them at once."""
    server.phase = 0.6
    probe = server.probe(renew_after=15)
    for server.now, ended in ((0.0, 0), (5.9, 0), (6.0, 1), (20.9, 1)):
        await probe()
        assert server.ended == ["closed"] * ended + [""]
    server.sessions[-1].ended = "cut by the server"
    await probe()
    server.now = 21.0
    await probe()
    assert server.ended == ["closed", "terminated", "closed", ""]


async def test_renewal_after_0_seconds_replaces_the_session_at_each_attempt(
    server: FakeServer,
) -> None:
    """Each session serves one attempt."""
    probe = server.probe(renew_after=0)
    for _ in range(3):
        await probe()
    assert server.ended == ["closed", "closed", ""]


async def test_a_dead_idle_session_does_not_fail_the_attempt(server: FakeServer) -> None:
    """The query is repeated over a new session."""
    probe = server.probe()
    await probe()
    server.sessions[0].ended = "cut by the server"
    await probe()
    assert len(server.sessions) == 2


async def test_a_failure_ends_the_session(server: FakeServer) -> None:
    """The attempt fails if the new session fails too. The next attempt opens another."""
    probe = server.probe()
    await probe()
    server.error = OSError("down")
    with pytest.raises(OSError, match="down"):
        await probe()
    assert server.ended == ["terminated", "terminated"]
    server.error = None
    await probe()
    assert server.ended == ["terminated", "terminated", ""]


async def test_a_new_session_that_is_cut_once_does_not_fail_the_attempt(
    server: FakeServer,
) -> None:
    """An administrator may end it as soon as it opens. A second cut fails the attempt."""
    server.cut = 1
    probe = server.probe(renew_after=0)
    await probe()
    assert server.ended == ["terminated", ""]
    server.cut = 2
    with pytest.raises(EOFError):
        await probe()
    assert server.ended == ["terminated", "closed", "terminated", "terminated"]


async def test_a_cancelled_attempt_leaves_no_session(server: FakeServer) -> None:
    """It could still receive the old answer, so it is never used again."""
    probe = server.probe()
    await probe()
    server.answering.clear()
    attempt = asyncio.create_task(probe())
    await asyncio.sleep(0)
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    assert server.ended == ["terminated"]


async def test_two_attempts_at_once_keep_one_session(server: FakeServer) -> None:
    """An attempt that outlives its deadline has its own session, and closes it."""
    probe = server.probe()
    server.answering.clear()
    attempts = [asyncio.create_task(probe()) for _ in range(2)]
    await asyncio.sleep(0)
    server.answering.set()
    await asyncio.gather(*attempts)
    assert server.ended == ["", "terminated"]


async def test_closing_the_probe_closes_its_session(server: FakeServer) -> None:
    """Closing twice, or without a session, does nothing."""
    probe = server.probe()
    await probe.aclose()
    await probe()
    await probe.aclose()
    await probe.aclose()
    assert server.ended == ["closed"]
