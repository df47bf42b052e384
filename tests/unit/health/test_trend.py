import pickle

import pytest

from app.health import Instant, LatencyTrend, Reason, Result, Slot
from app.health.history import SLOT_SECONDS, SLOTS


START = Instant(6000.0, 0.0)


def trend(*results: tuple[float, float, Reason | None]) -> LatencyTrend:
    """Return a trend of results: seconds after the start, latency, and reason."""
    latencies = LatencyTrend()
    for seconds, latency, reason in results:
        latencies.add(Result(at=START + seconds, latency=latency, reason=reason))
    return latencies


def slot(number: int, latency: float | None, *, failed: bool = False) -> Slot:
    """Return a slot, by default without a failure."""
    return Slot(number, latency, failed)


def test_a_slot_keeps_its_slowest_success() -> None:
    """A spike of one second is visible in ten seconds."""
    latencies = trend((0, 0.001, None), (4, 0.5, None), (9.9, 0.002, None), (10, 0.003, None))
    assert latencies.at(START + 12)[-2:] == [slot(600, 0.5), slot(601, 0.003)]


def test_a_failure_marks_its_slot_without_a_latency() -> None:
    """The duration of a refusal or a timeout says nothing about how fast answers are."""
    latencies = trend((0, 0.001, None), (1, 9.0, Reason.TIMEOUT), (10, 0.1, Reason.REFUSED))
    assert latencies.at(START + 12)[-2:] == [
        slot(600, 0.001, failed=True),
        slot(601, None, failed=True),
    ]


@pytest.mark.parametrize(
    ("length", "covered"), [(1, 6), (60, 6), (61, 7), (600, SLOTS), (100_000, SLOTS)]
)
def test_a_trend_covers_the_time_since_the_first_result(length: int, covered: int) -> None:
    """At least a minute and at most ten, the oldest slot first."""
    latencies = trend(*((second, 0.001, None) for second in range(length)))
    slots = latencies.at(START + (length - 1))
    known = [one.number for one in slots if one]
    last = 600 + (length - 1) // SLOT_SECONDS
    assert len(slots) == covered
    assert known == list(range(max(600, last - SLOTS + 1), last + 1))


def test_a_trend_without_a_result_is_empty() -> None:
    """It covers a minute."""
    assert LatencyTrend().at(START) == [None] * 6


def test_results_older_than_ten_minutes_are_dropped() -> None:
    """Also if there are few results, or none since."""
    latencies = trend(*((minute * 60, 0.001, None) for minute in range(40)))
    assert sum(one is not None for one in latencies.at(START + 39 * 60)) == 10
    assert latencies.at(START + 50 * 60) == [None] * SLOTS


def test_a_trend_does_not_grow() -> None:
    """A day of results takes no more memory than ten minutes of them."""
    latencies = trend(*((second, 0.001, None) for second in range(600)))
    before = len(pickle.dumps(latencies))
    for second in range(600, 86400):
        latencies.add(Result(at=START + second, latency=0.001))
    assert len(pickle.dumps(latencies)) < 1.1 * before
