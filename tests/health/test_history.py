from app.health import Check, History, Instant, Observation, Reason, Status, Transition
from app.health.history import turn
from tests.fakes import answers


CHECK = Check(name="it", probe=answers)
PASSING = Observation(check=CHECK, since=Instant(10.0, 1000.0), status=Status.PASS)
FAILING = Observation(
    check=CHECK, since=Instant(40.0, 500.0), status=Status.FAIL, reason=Reason.REFUSED
)


def transition(name: str, after: Status = Status.FAIL) -> Transition:
    """A turn of the check of that name."""
    return Transition(
        name=name, before=Status.PASS, after=after, reason=None, at=Instant(0, 0), lasted=1.0
    )


def test_a_change_of_status_is_a_transition() -> None:
    """It tells what was, what is, why, since when, and how long the earlier status had held."""
    assert turn(PASSING, FAILING) == Transition(
        name="it",
        before=Status.PASS,
        after=Status.FAIL,
        reason=Reason.REFUSED,
        at=FAILING.since,
        lasted=30.0,
    )


def test_another_reason_for_the_same_status_is_no_transition() -> None:
    """A check that goes on failing has not turned."""
    stuck = Observation(check=CHECK, since=FAILING.since, status=Status.FAIL, reason=Reason.STUCK)
    assert turn(FAILING, stuck) is None


def test_history_tells_the_transitions_of_one_check_oldest_first() -> None:
    """Another check's turns are not among them."""
    history = History(9)
    red, other, green = transition("it"), transition("other"), transition("it", Status.PASS)
    for one in (red, other, green):
        history.add(one)
    assert history.of("it") == [red, green]
    assert history.of("nobody") == []


def test_history_forgets_the_oldest_first() -> None:
    """A check that flaps for a year must not fill the memory."""
    history = History(2)
    for after in (Status.UNKNOWN, Status.PASS, Status.FAIL):
        history.add(transition("it", after))
    assert [one.after for one in history.of("it")] == [Status.PASS, Status.FAIL]


def test_a_check_that_flaps_crowds_out_no_other() -> None:
    """Each has a memory of its own."""
    history = History(2)
    history.add(transition("steady"))
    for _ in range(9):
        history.add(transition("flaps"))
    assert len(history.of("flaps")) == 2
    assert len(history.of("steady")) == 1
