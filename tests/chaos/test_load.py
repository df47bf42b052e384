import pytest

from tests.chaos.load import waiting_time
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
