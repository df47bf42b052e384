import asyncio
from dataclasses import dataclass, field
from functools import partial

import pytest

from app.checks.network import Dialer, explain_network
from app.checks.session import SessionProbe


@dataclass
class FakeSession:
    """A session that does what its server tells it to."""

    server: "FakeServer"
    ended: str = ""

    async def ask(self) -> None:
        if self.ended:
            raise EOFError
        await self.server.answer()

    async def close(self) -> None:
        self.ended = "closed"

    def terminate(self) -> None:
        self.ended = "terminated"


@dataclass
class FakeServer:
    """Counts its sessions and answers, fails or hangs as it is told."""

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


async def test_a_session_is_kept_until_it_is_old(server: FakeServer) -> None:
    """It is left politely, and before the next is opened: a slot may be all there is."""
    probe = server.probe(renew_after=15)
    for server.now in (0.0, 14.9):
        await probe()
    assert server.ended == [""]
    server.now = 15.0
    await probe()
    assert server.ended == ["closed", ""]


async def test_renewals_keep_to_times_of_their_own_whatever_fails(server: FakeServer) -> None:
    """So instances that lost their sessions in one moment do not renew them in one moment."""
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


async def test_a_session_that_is_renewed_each_time_asks_once_each(server: FakeServer) -> None:
    """No age is young enough when renewal is due after 0 seconds."""
    probe = server.probe(renew_after=0)
    for _ in range(3):
        await probe()
    assert server.ended == ["closed", "closed", ""]


async def test_a_dead_idle_session_is_not_the_dependencys_failure(server: FakeServer) -> None:
    """The question is put once more, on a new session."""
    probe = server.probe()
    await probe()
    server.sessions[0].ended = "cut by the server"
    await probe()
    assert len(server.sessions) == 2


async def test_a_failure_ends_the_session(server: FakeServer) -> None:
    """The second failure is told, and the next attempt begins anew."""
    probe = server.probe()
    await probe()
    server.error = OSError("down")
    with pytest.raises(OSError, match="down"):
        await probe()
    assert server.ended == ["terminated", "terminated"]
    server.error = None
    await probe()
    assert server.ended == ["terminated", "terminated", ""]


async def test_a_new_session_that_is_cut_once_is_not_the_dependencys_failure(
    server: FakeServer,
) -> None:
    """Somebody may end it as soon as it is there; a second that is cut is told."""
    server.cut = 1
    probe = server.probe(renew_after=0)
    await probe()
    assert server.ended == ["terminated", ""]
    server.cut = 2
    with pytest.raises(EOFError):
        await probe()
    assert server.ended == ["terminated", "closed", "terminated", "terminated"]


async def test_a_cancelled_attempt_leaves_no_session(server: FakeServer) -> None:
    """What may still hear an old answer is never asked again."""
    probe = server.probe()
    await probe()
    server.answering.clear()
    attempt = asyncio.create_task(probe())
    await asyncio.sleep(0)
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    assert server.ended == ["terminated"]


async def test_of_two_attempts_at_once_one_session_is_kept(server: FakeServer) -> None:
    """An attempt that outlives its deadline has a session of its own, and gives it up."""
    probe = server.probe()
    server.answering.clear()
    attempts = [asyncio.create_task(probe()) for _ in range(2)]
    await asyncio.sleep(0)
    server.answering.set()
    await asyncio.gather(*attempts)
    assert server.ended == ["", "terminated"]


async def test_closing_leaves_politely(server: FakeServer) -> None:
    """Closing twice, or with nothing open, is nothing."""
    probe = server.probe()
    await probe.aclose()
    await probe()
    await probe.aclose()
    await probe.aclose()
    assert server.ended == ["closed"]
