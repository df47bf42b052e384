import pickle

import pytest

from app.health import Instant, LatencyTrend, Reason, Result, Slot
from app.health.history import SLOT_SECONDS, SLOTS


START = Instant(6000.0, 0.0)


def trend(*results: tuple[float, float, Reason | None]) -> LatencyTrend:
    """What has been heard: when after the start, how slow, and why it failed."""
    heard = LatencyTrend()
    for seconds, latency, reason in results:
        heard.add(Result(at=START + seconds, latency=latency, reason=reason))
    return heard


def slot(number: int, latency: float | None, *, failed: bool = False) -> Slot:
    """A slot in which nothing has failed, unless it is said."""
    return Slot(number, latency, failed)


def test_a_slot_keeps_its_slowest_answer() -> None:
    """A spike of one second shows among ten."""
    heard = trend((0, 0.001, None), (4, 0.5, None), (9.9, 0.002, None), (10, 0.003, None))
    assert heard.at(START + 12)[-2:] == [slot(600, 0.5), slot(601, 0.003)]


def test_a_failure_is_marked_and_its_time_is_no_latency() -> None:
    """How long a refusal or a missed deadline took says nothing of how fast the answers are."""
    heard = trend((0, 0.001, None), (1, 9.0, Reason.TIMEOUT), (10, 0.1, Reason.REFUSED))
    assert heard.at(START + 12)[-2:] == [
        slot(600, 0.001, failed=True),
        slot(601, None, failed=True),
    ]


@pytest.mark.parametrize("length", [1, 600, 100_000])
def test_ten_minutes_are_told_however_many_are_heard(length: int) -> None:
    """Sixty slots, the oldest first, and nothing of before the first result."""
    heard = trend(*((second, 0.001, None) for second in range(length)))
    slots = heard.at(START + (length - 1))
    known = [one.number for one in slots if one]
    last = 600 + (length - 1) // SLOT_SECONDS
    assert len(slots) == SLOTS
    assert known == list(range(max(600, last - SLOTS + 1), last + 1))


def test_what_is_older_than_ten_minutes_is_told_no_more() -> None:
    """Also where nothing has been heard since, and where little is heard at all."""
    heard = trend(*((minute * 60, 0.001, None) for minute in range(40)))
    assert sum(one is not None for one in heard.at(START + 39 * 60)) == 10
    assert heard.at(START + 50 * 60) == [None] * SLOTS


def test_a_trend_does_not_grow() -> None:
    """A day at an attempt a second is kept in no more than the first ten minutes were."""
    heard = trend(*((second, 0.001, None) for second in range(600)))
    before = len(pickle.dumps(heard))
    for second in range(600, 86400):
        heard.add(Result(at=START + second, latency=0.001))
    assert len(pickle.dumps(heard)) < 1.1 * before
