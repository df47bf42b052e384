import pytest

from tests.chaos import http
from tests.chaos.storm import KnownState, overlaps
from tests.support.service import Reply


BROKEN = KnownState(10.0, 20.0, http.ROWS[0])

# Times and statuses of answers, and the longest inaccuracy in seconds.
CASES = [
    ([(10, 503)], 0),
    ([(10, 200), (11, 200), (12, 503), (19, 503)], 2),
    ([(12, 503)], 2),
    ([(10, 503), (14, 200), (17, 503), (18, 200), (19, 503)], 3),
    ([(10, 503), (16, 200), (17, 200)], 4),
    ([(11, 200)], 10),
    ([(11, 0), (13, 503)], 3),
    ([], 10),
]


def reply(at: float, code: int, seconds: float = 0.01) -> Reply:
    """Return an answer without headers and body."""
    return Reply(at, code, {}, b"", seconds)


@pytest.mark.parametrize(("answers", "seconds"), CASES)
def test_an_inaccuracy_lasts_until_the_next_right_answer(
    answers: list[tuple[float, int]], seconds: float
) -> None:
    """It starts with the period, or with the first wrong answer after a right one.

    Without a right answer it lasts until the period ends. A code of 0 means no answer.
    """
    assert BROKEN.longest_inaccuracy(reply(*answer) for answer in answers) == seconds


def test_any_status_but_200_is_wrong_while_the_dependency_serves() -> None:
    """The time is measured as for a broken dependency."""
    serves = KnownState(10.0, 20.0)
    assert serves.longest_inaccuracy([reply(10, 200), reply(15, 503), reply(18, 200)]) == 3


def test_answers_that_overlap_a_change_are_ignored() -> None:
    """Requests sent before the period, and answers that arrived after it."""
    answers = [reply(9, 503), reply(11, 503), reply(19.9, 200, seconds=0.2)]
    assert BROKEN.longest_inaccuracy(answers) == 1


def test_overlaps_are_the_periods_in_which_both_serve() -> None:
    """Periods that only touch don't overlap."""
    some = [KnownState(0, 5), KnownState(8, 12)]
    others = [KnownState(3, 9), KnownState(12, 20)]
    assert [(both.start, both.end) for both in overlaps(some, others)] == [(3, 5), (8, 9)]
