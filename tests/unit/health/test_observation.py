import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.health import Facts, Instant, Observation, Reason, Result, Status
from app.health.reasons import ADVICE, Advice
from tests.unit.health.helpers import START, after


@pytest.mark.parametrize(
    ("results", "seconds"),
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
def test_since_is_the_time_of_the_last_transition(results: str, seconds: float) -> None:
    """Results that confirm a status do not change it."""
    assert after(results, (2, 2)).since == START + seconds


def test_advice_is_the_hint_of_the_last_result_or_that_of_its_reason() -> None:
    """A success may have a hint. A stale observation has the advice for `stale`."""
    hint = Advice("It is odd.", "Look at it.")
    passing = after("P")
    assert passing.advice is None
    hinted = passing.after(Result(at=START + 1, latency=0.1, hint=hint))
    assert hinted.advice is hint
    stale = hinted.at(START + 9)
    assert (stale.advice, stale.mismatch) == (ADVICE[Reason.STALE], "")
    failing = hinted.after(Result(at=START + 2, latency=0.1, reason=Reason.AUTH, hint=hint))
    assert failing.advice is hint
    plain = failing.after(Result(at=START + 3, latency=0.1, reason=Reason.DNS))
    assert plain.advice is ADVICE[Reason.DNS]


def test_nothing_is_known_before_the_first_result() -> None:
    """The status is unknown then."""
    known = after("")
    assert (known.failures, known.successes, known.latency) == (0, 0, 0)
    assert (known.mismatch, known.hint, known.facts, known.expiring) == ("", None, Facts(), None)


def test_a_plain_success_has_neither_hint_nor_mismatch_nor_facts() -> None:
    """A probe that says nothing more leaves them empty."""
    result = Result(at=START, latency=0.1)
    assert (result.hint, result.mismatch, result.facts) == (None, "", Facts())


@pytest.mark.parametrize("name", ["severity", "expires"])
def test_what_is_derived_can_not_be_set(name: str) -> None:
    """An observation would contradict itself."""
    with pytest.raises(TypeError):
        Observation(check=after("").check, since=START, **{name: 0})  # type: ignore[arg-type]  # as above


def test_an_observation_has_time_and_latency_of_the_last_result() -> None:
    """Even if a threshold keeps the old status."""
    known = after("PPF", (3, 3))
    assert (known.observed, known.latency) == (START + 2, 0.25)


def test_an_observation_has_the_facts_of_the_last_result() -> None:
    """A lag that ended is not shown any more."""
    facts = Facts(replication_lag=3)
    known = after("P").after(Result(at=START + 1, latency=0.1, facts=facts))
    assert known.facts is facts
    assert known.after(Result(at=START + 2, latency=0.1)).facts == Facts()


@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize("results", ["P", "F"])
def test_a_result_is_stale_after_its_lifetime(results: str, *, required: bool) -> None:
    """At exactly interval + timeout + 0.4 s it still counts, and at the next float it does not."""
    known = after(results, required=required)
    limit = START.steady + 2.4
    assert known.expires == limit
    assert known.at(Instant(limit, 0)) == known
    stale = known.at(Instant(math.nextafter(limit, math.inf), 0))
    assert (stale.status, stale.reason, stale.expires) == (Status.FAIL, Reason.STALE, math.inf)


@pytest.mark.parametrize("results", ["", "S", "PFS"])
def test_unknown_and_stuck_checks_never_become_stale(results: str) -> None:
    """There is no result that could be too old, or `stuck` says more than `stale`."""
    known = after(results)
    assert known.expires == math.inf
    assert known.at(START + 1e9) == known


def test_a_result_after_stale_applies_at_once_without_a_report_in_between() -> None:
    """The effect of a result does not depend on requests before it."""
    known = after("P", (3, 3))
    late = Result(at=START + 2.5, latency=0.25, reason=Reason.REFUSED)
    assert known.after(late) == known.at(late.at).after(late)
    assert known.after(late).status is Status.FAIL


@settings(derandomize=True, database=None, deadline=None, max_examples=200)
@given(
    results=st.text("PFTS-", max_size=12),
    thresholds=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    step=st.floats(-3600, 3600),
)
def test_setting_the_wall_clock_changes_only_the_dates_of_an_observation(
    results: str, thresholds: tuple[int, int], step: float
) -> None:
    """By up to an hour: status, reason, counters and ages stay the same."""
    here = after(results, thresholds)
    there = after(results, thresholds, step=step)
    assert (here.status, here.reason, here.failures) == (there.status, there.reason, there.failures)
    assert (here.expires, here.since.steady) == (there.expires, there.since.steady)
