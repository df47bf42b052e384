import pytest

from tests.matrix.load import unhindered, waited
from tests.service import Reply


@pytest.mark.parametrize(
    ("answers", "seconds"),
    [
        ([(1.0, 0.001), (1.1, 0.009)], 0.0),
        ([(1.0, 0.3)], 0.3),
        ([(1.0, 0.3), (1.1, 0.2), (1.2, 0.3)], 0.5),
        ([(1.0, 0.3), (1.1, 0.001), (2.0, 0.2)], 0.5),
    ],
)
def test_a_pause_counts_for_as_long_as_it_was(
    answers: list[tuple[float, float]], seconds: float
) -> None:
    """However many wait; what is answered promptly does not count."""
    replies = [Reply(at, 200, {}, b"", took) for at, took in answers]
    assert waited(replies) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("pauses", "left"),
    [
        ([], [1.0, 2.0]),
        ([(0.9, 1.1)], [2.0]),
        ([(1.005, 1.01)], [2.0]),
        ([(0.9, 0.95), (1.5, 1.9)], [1.0, 2.0]),
        ([(1.0, 1.03), (1.9, 2.1)], []),
    ],
)
def test_an_answer_is_not_late_while_the_machine_stands_still(
    pauses: list[tuple[float, float]], left: list[float]
) -> None:
    """Only then: before and after that it counts."""
    own = [Reply(at, 200, {}, b"", 0.02) for at in (1.0, 2.0)]
    assert [reply.at for reply in unhindered(own, pauses)] == left
