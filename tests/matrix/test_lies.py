import pytest

from tests.matrix.lies import Truth, overlaps
from tests.service import Reply


BROKEN = Truth(10.0, 20.0, serves=False)

# When something was asked for, and what was answered; and the longest lie, in seconds.
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
    """An answer."""
    return Reply(at, code, {}, b"", seconds)


@pytest.mark.parametrize(("answers", "lie"), CASES)
def test_a_lie_lasts_until_the_next_right_answer(
    answers: list[tuple[float, int]], lie: float
) -> None:
    """From the beginning of the truth, or from the first wrong answer after a right one.

    One that nobody contradicts lasts as long as the truth, and a code of 0 is no answer at all.
    """
    assert BROKEN.longest_lie(reply(*answer) for answer in answers) == lie


def test_what_serves_is_lied_about_by_any_other_code() -> None:
    """The two directions are one measure."""
    serves = Truth(10.0, 20.0, serves=True)
    assert serves.longest_lie([reply(10, 200), reply(15, 503), reply(18, 200)]) == 3


def test_what_was_asked_while_the_truth_changed_is_left_out() -> None:
    """Before it began, and where the answer came after it had ended."""
    answers = [reply(9, 503), reply(11, 503), reply(19.9, 200, seconds=0.2)]
    assert BROKEN.longest_lie(answers) == 1


def test_all_serve_where_their_truths_overlap() -> None:
    """Each stretch of one with each of another; those that only touch have nothing in common."""
    some = [Truth(0, 5, serves=True), Truth(8, 12, serves=True)]
    others = [Truth(3, 9, serves=True), Truth(12, 20, serves=True)]
    assert [(both.begin, both.end) for both in overlaps(some, others)] == [(3, 5), (8, 9)]
