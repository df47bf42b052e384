import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.health import Instant, Reason, Result, Status
from app.health.reasons import ADVICE, Advice
from tests.health.helpers import START, after


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
    assert after(story, (2, 2)).since == START + seconds


def test_advice_is_that_of_the_last_result_or_of_its_reason() -> None:
    """A success may have some; a result that is too old has that of `stale`."""
    hint = Advice("It is odd.", "Look at it.")
    passing = after("P")
    assert passing.advice is None
    hinted = passing.after(Result(at=START + 1, latency=0.1, hint=hint))
    assert hinted.advice is hint
    assert hinted.at(START + 9).advice is ADVICE[Reason.STALE]
    failing = hinted.after(Result(at=START + 2, latency=0.1, reason=Reason.AUTH, hint=hint))
    assert failing.advice is hint
    plain = failing.after(Result(at=START + 3, latency=0.1, reason=Reason.DNS))
    assert plain.advice is ADVICE[Reason.DNS]


def test_before_the_first_result_nothing_is_counted() -> None:
    """Nor has anything taken any time."""
    known = after("")
    assert (known.failures, known.successes, known.latency) == (0, 0, 0)


def test_the_latest_result_shows_its_time_and_its_latency() -> None:
    """They are the latest attempt's, held back by a threshold or not."""
    known = after("PPF", (3, 3))
    assert (known.observed, known.latency) == (START + 2, 0.25)


@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize("story", ["P", "F"])
def test_a_result_is_stale_once_it_is_older_than_it_may_be(story: str, *, required: bool) -> None:
    """At exactly interval + timeout + 0.4 s it still holds; the least moment later it does not."""
    known = after(story, required=required)
    limit = START.steady + 2.4
    assert known.expires == limit
    assert known.at(Instant(limit, 0)) == known
    stale = known.at(Instant(math.nextafter(limit, math.inf), 0))
    assert (stale.status, stale.reason, stale.expires) == (Status.FAIL, Reason.STALE, math.inf)


@pytest.mark.parametrize("story", ["", "S", "PFS"])
def test_what_is_not_known_or_is_stuck_never_goes_stale(story: str) -> None:
    """There is no result that could be too old, or what it says is worse than old."""
    known = after(story)
    assert known.expires == math.inf
    assert known.at(START + 1e9) == known


def test_a_result_after_stale_applies_at_once_though_nobody_looked_meanwhile() -> None:
    """What a result does depends on when it comes, not on who has asked before."""
    known = after("P", (3, 3))
    late = Result(at=START + 2.5, latency=0.25, reason=Reason.REFUSED)
    assert known.after(late) == known.at(late.at).after(late)
    assert known.after(late).status is Status.FAIL


@settings(derandomize=True, database=None, deadline=None, max_examples=200)
@given(
    story=st.text("PFTS-", max_size=12),
    thresholds=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    step=st.floats(-3600, 3600),
)
def test_a_wall_clock_that_is_set_changes_nothing_but_the_dates(
    story: str, thresholds: tuple[int, int], step: float
) -> None:
    """By an hour back or forth: no status, reason, count or age is another."""
    here = after(story, thresholds)
    there = after(story, thresholds, step=step)
    assert (here.status, here.reason, here.failures) == (there.status, there.reason, there.failures)
    assert (here.expires, here.since.steady) == (there.expires, there.since.steady)
