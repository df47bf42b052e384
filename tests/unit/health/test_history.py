import pytest

from app.health import Check, History, Instant, Observation, Reason, Result, Status, Transition
from app.health.history import detect_transition
from tests.support.fakes import answers


START = Instant(100.0, 1000.0)
CHECK = Check(name="it", probe=answers)
PASSING = Observation(check=CHECK, since=Instant(10.0, 1000.0), status=Status.PASS)
FAILING = Observation(
    check=CHECK, since=Instant(40.0, 500.0), status=Status.FAIL, reason=Reason.REFUSED
)


def transition(after: Status) -> Transition:
    """Return a transition from `pass` to that status."""
    return Transition(name="it", before=Status.PASS, after=after, reason=None, at=START, lasted=1.0)


def changed(before: Observation, after: Observation) -> Transition:
    """Return the transition between two observations with different statuses."""
    transition = detect_transition(before, after)
    assert transition
    return transition


def test_a_change_of_status_is_a_transition() -> None:
    """It has both statuses, the reason, the time, and the duration of the earlier status."""
    assert detect_transition(PASSING, FAILING) == Transition(
        name="it",
        before=Status.PASS,
        after=Status.FAIL,
        reason=Reason.REFUSED,
        at=FAILING.since,
        lasted=30.0,
    )


def test_another_reason_for_the_same_status_is_no_transition() -> None:
    """A check that fails for another reason has not changed its status."""
    stuck = Observation(check=CHECK, since=FAILING.since, status=Status.FAIL, reason=Reason.STUCK)
    assert detect_transition(FAILING, stuck) is None


def test_the_history_drops_the_oldest_transitions_first() -> None:
    """A check that flaps for a year must not fill the memory."""
    history = History(2)
    for after in (Status.UNKNOWN, Status.PASS, Status.FAIL):
        history.add(transition(after))
    assert [one.after for one in history.transitions] == [Status.PASS, Status.FAIL]


def test_availability_counts_from_the_first_result() -> None:
    """Before it, and at the same moment, there is no availability."""
    history = History(9)
    unknown = Observation(check=CHECK, since=START)
    assert history.availability(unknown, START + 5) is None
    first = unknown.after(Result(at=START + 10, latency=0.1))
    history.add(changed(unknown, first))
    assert history.availability(first, START + 10) is None
    assert history.availability(first, START + 10.5) == 1
    assert history.begun == START + 10


def test_availability_includes_transitions_that_were_dropped() -> None:
    """Ten failures of a second each in a hundred seconds, with one transition kept."""
    history = History(1)
    known = Observation(check=CHECK, since=START)
    for second in range(100):
        reason = Reason.REFUSED if second % 10 == 5 else None
        before, known = known, known.after(Result(at=START + second, latency=0.1, reason=reason))
        if one := detect_transition(before, known):
            history.add(one)
    assert history.availability(known, START + 100) == pytest.approx(0.9)


def test_availability_includes_a_failure_that_continues() -> None:
    """Also one without a transition: a check becomes stale when its runner has died."""
    history = History(9)
    unknown = Observation(check=CHECK, since=START)
    passing = unknown.after(Result(at=START, latency=0.1))
    history.add(changed(unknown, passing))
    stale = passing.at(START + 12)
    assert stale.reason is Reason.STALE
    assert history.availability(stale, START + 12) == pytest.approx(CHECK.lifetime / 12)


def test_a_check_that_never_passed_has_an_availability_of_zero() -> None:
    """Exactly zero, without a rounding error."""
    history = History(9)
    unknown = Observation(check=CHECK, since=START)
    failing = unknown.after(Result(at=START + 0.1, latency=0.1, reason=Reason.DNS))
    history.add(changed(unknown, failing))
    assert history.availability(failing, START + 1.3) == 0
