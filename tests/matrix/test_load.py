import pytest

from tests.matrix.load import waited
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
