import pytest

from tests.matrix.document import TIMES, figure


@pytest.mark.parametrize(
    ("before", "seconds", "told"),
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
def test_a_figure_stays_while_it_is_off_by_a_step_at_most(
    before: str, seconds: float, told: str
) -> None:
    """Otherwise it is rounded up, so that noise changes no page and a change does."""
    assert figure(seconds, TIMES, before) == told
