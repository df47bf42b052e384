import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.health import Check, Instant, Observation, Reason, Result, Status
from tests.fakes import answers


START = Instant(100.0, 1.8e9)
SILENCE = "-"
REASONS = {"P": None, "F": Reason.REFUSED, "T": Reason.TIMEOUT, "S": Reason.STUCK}


def check(failures: int = 1, successes: int = 1, *, required: bool = True) -> Check:
    """A check with these thresholds."""
    return Check(
        name="it",
        probe=answers,
        failure_threshold=failures,
        success_threshold=successes,
        required=required,
    )


def live(known: Observation, story: str, wall: float = 0.0) -> Observation:
    """What is known after *story*: a result each second, by its letter, or a long silence."""
    now = START
    for letter in story:
        if letter == SILENCE:
            now += known.check.lifetime
            known = known.at(now)
        else:
            at = Instant(now.steady, now.wall + wall)
            known = known.after(Result(at=at, latency=0.25, reason=REASONS[letter]))
        now += 1.0
    return known


def unknown(on: Check) -> Observation:
    """What is known at first."""
    return Observation(check=on, since=START)


@pytest.mark.parametrize(
    ("thresholds", "story", "statuses"),
    [
        # The first result applies at once.
        ((3, 3), "P", "P"),
        ((3, 3), "F", "F"),
        # With thresholds of one so does every other.
        ((1, 1), "PFPFFP", "PFPFFP"),
        # A change waits for as many results in a row as its own threshold says.
        ((3, 1), "PFFFP", "PPPFP"),
        ((1, 3), "FPPPF", "FFFPF"),
        ((2, 3), "PFTPPPF", "PPFFFPP"),
        # Failures that are not consecutive never accumulate, nor do successes.
        ((2, 1), "PFPFPF", "PPPPPP"),
        ((3, 1), "PFFPFFPFFF", "PPPPPPPPPF"),
        ((1, 2), "FPFPFP", "FFFFFF"),
        ((1, 3), "FPPFPPFPPP", "FFFFFFFFFP"),
        # What came before a turn does not count towards the next one.
        ((2, 2), "PPPPFFFFPP", "PPPPPFFFFP"),
        # Stuck applies at once, and so does the first result after it, but only the first.
        ((3, 3), "PS", "PF"),
        ((3, 3), "S", "F"),
        ((3, 3), "SP", "FP"),
        ((3, 3), "SFPPP", "FFFFP"),
        ((3, 3), "PSSPFFF", "PFFPPPF"),
        ((3, 3), "FPPSP", "FFFFP"),
        # So does stale, and the first result after it.
        ((3, 3), "P-", "PF"),
        ((3, 3), "P-P", "PFP"),
        ((3, 3), "P-FPPP", "PFFFFP"),
        ((3, 3), "PFF-PFFF", "PPPFPPPF"),
        ((3, 3), "FPP-P", "FFFFP"),
        ((3, 3), "P--FPPP", "PFFFFFP"),
        # Stuck stays stuck however long nothing is heard.
        ((3, 3), "PS-P", "PFFP"),
    ],
)
def test_a_status_turns_only_as_its_thresholds_allow(
    thresholds: tuple[int, int], story: str, statuses: str
) -> None:
    """Each line tells results and, letter by letter, the status that each of them leaves."""
    known = unknown(check(*thresholds))
    told = [live(known, story[: n + 1]).status.word[0].upper() for n in range(len(story))]
    assert "".join(told) == statuses


@pytest.mark.parametrize(
    ("story", "status", "reason", "failures"),
    [
        ("", Status.UNKNOWN, None, 0),
        ("P", Status.PASS, None, 0),
        ("PF", Status.PASS, Reason.REFUSED, 1),
        ("PFT", Status.PASS, Reason.TIMEOUT, 2),
        ("PFFP", Status.PASS, None, 0),
        ("PFFF", Status.FAIL, Reason.REFUSED, 3),
        ("PFFFT", Status.FAIL, Reason.TIMEOUT, 4),
        ("FP", Status.FAIL, Reason.REFUSED, 0),
        ("FPP", Status.FAIL, Reason.REFUSED, 0),
        ("FPPP", Status.PASS, None, 0),
        ("PS", Status.FAIL, Reason.STUCK, 1),
        ("PS-", Status.FAIL, Reason.STUCK, 1),
        ("P-", Status.FAIL, Reason.STALE, 0),
        ("FFF-", Status.FAIL, Reason.STALE, 3),
        ("P-P", Status.PASS, None, 0),
    ],
)
def test_failures_and_reason_show_while_a_threshold_holds_the_status(
    story: str, status: Status, reason: Reason | None, failures: int
) -> None:
    """What a status does not say yet, the count and the reason of the latest failure do."""
    known = live(unknown(check(3, 3)), story)
    assert (known.status, known.reason, known.failures) == (status, reason, failures)


@pytest.mark.parametrize(
    ("story", "seconds"),
    [
        ("", 0),
        ("P", 0),
        ("PPP", 0),
        ("PPFFF", 3),
        ("PPFFFFF", 3),
        ("P-", 2.4),
        ("P-F", 2.4),
        ("FF-", 0),
        ("PPPS", 3),
        ("FPPPP", 2),
    ],
)
def test_since_is_the_moment_of_the_latest_turn(story: str, seconds: float) -> None:
    """Results that only confirm a status leave the date of its beginning alone."""
    assert live(unknown(check(2, 2)), story).since == START + seconds


def test_the_latest_result_shows_its_time_and_its_latency() -> None:
    """They are the latest attempt's, held back by a threshold or not."""
    known = live(unknown(check(3, 3)), "PPF")
    assert (known.observed, known.latency) == (START + 2, 0.25)


@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize("story", ["P", "F"])
def test_a_result_is_stale_once_it_is_older_than_it_may_be(story: str, *, required: bool) -> None:
    """At exactly interval + timeout + 0.4 s it still holds; the least moment later it does not."""
    known = live(unknown(check(required=required)), story)
    limit = START.steady + 2.4
    assert known.expires == limit
    assert known.at(Instant(limit, 0)) == known
    stale = known.at(Instant(math.nextafter(limit, math.inf), 0))
    assert (stale.status, stale.reason, stale.expires) == (Status.FAIL, Reason.STALE, math.inf)


@pytest.mark.parametrize("story", ["", "S", "PFS"])
def test_what_is_not_known_or_is_stuck_never_goes_stale(story: str) -> None:
    """There is no result that could be too old, or what it says is worse than old."""
    known = live(unknown(check()), story)
    assert known.expires == math.inf
    assert known.at(START + 1e9) == known


def test_a_result_after_stale_applies_at_once_though_nobody_looked_meanwhile() -> None:
    """What a result does depends on when it comes, not on who has asked before."""
    known = live(unknown(check(3, 3)), "P")
    late = Result(at=START + 2.5, latency=0.25, reason=Reason.REFUSED)
    assert known.after(late) == known.at(late.at).after(late)
    assert known.after(late).status is Status.FAIL


@settings(derandomize=True, database=None, deadline=None, max_examples=200)
@given(
    story=st.text("PFTS-", max_size=12),
    thresholds=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    wall=st.floats(-3600, 3600),
)
def test_a_wall_clock_that_is_set_changes_nothing_but_the_dates(
    story: str, thresholds: tuple[int, int], wall: float
) -> None:
    """By an hour back or forth: no status, reason, count or age is another."""
    here = live(unknown(check(*thresholds)), story)
    there = live(unknown(check(*thresholds)), story, wall)
    assert (here.status, here.reason, here.failures) == (there.status, there.reason, there.failures)
    assert (here.expires, here.since.steady) == (there.expires, there.since.steady)
