import pytest

from tests.chaos.load import outside_stalls, waiting_time
from tests.support.service import Reply


@pytest.mark.parametrize(
    ("answers", "seconds"),
    [
        ([(1.0, 0.001), (1.1, 0.009)], 0.0),
        ([(1.0, 0.3)], 0.3),
        ([(1.0, 0.3), (1.1, 0.2), (1.2, 0.3)], 0.5),
        ([(1.0, 0.3), (1.1, 0.001), (2.0, 0.2)], 0.5),
    ],
)
def test_overlapping_waits_count_once(answers: list[tuple[float, float]], seconds: float) -> None:
    """Prompt answers don't count."""
    replies = [Reply(at, 200, {}, b"", took) for at, took in answers]
    assert waiting_time(replies) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("stalls", "left"),
    [
        ([], [1.0, 2.0]),
        ([(0.9, 1.1)], [2.0]),
        ([(1.005, 1.01)], [2.0]),
        ([(0.9, 0.95), (1.5, 1.9)], [1.0, 2.0]),
        ([(1.0, 1.03), (1.9, 2.1)], []),
    ],
)
def test_answers_during_a_stall_of_the_machine_are_excluded(
    stalls: list[tuple[float, float]], left: list[float]
) -> None:
    """Answers before and after the stall count."""
    replies = [Reply(at, 200, {}, b"", 0.02) for at in (1.0, 2.0)]
    assert [reply.at for reply in outside_stalls(replies, stalls)] == left
