import pytest

from tests.chaos.document import TIMES, figure


@pytest.mark.parametrize(
    ("before", "seconds", "expected"),
    [
        ("", 0.2, "0.5 s"),
        ("", 0.5, "0.5 s"),
        ("", 60, "more"),
        ("1.0 s", 0.2, "1.0 s"),
        ("0.5 s", 0.9, "0.5 s"),
        ("0.5 s", 1.1, "1.5 s"),
        ("1.5 s", 0.5, "0.5 s"),
    ],
)
def test_a_figure_changes_only_by_more_than_one_step(
    before: str, seconds: float, expected: str
) -> None:
    """A new figure is rounded up. So noise does not change the page, and a real change does."""
    assert figure(seconds, TIMES, before) == expected
