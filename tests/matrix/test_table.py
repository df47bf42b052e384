import pytest

from tests.matrix.table import ROWS, tried
from tests.matrix.trial import Outcome


RIGHT, LATE = Outcome(row=ROWS[0]), Outcome(row=ROWS[0], late=["p99"])
WRONG, BOTH = (Outcome(row=ROWS[0], problems=["red"], late=late) for late in ([], ["p99"]))


@pytest.mark.parametrize(
    "outcomes",
    [[RIGHT], [LATE, RIGHT], [LATE, LATE], [LATE, WRONG], [WRONG], [BOTH]],
)
def test_a_row_is_tried_again_for_late_answers_alone(
    outcomes: list[Outcome], capsys: pytest.CaptureFixture[str]
) -> None:
    """The second time counts, and both are told."""
    left = iter(outcomes)
    assert tried(lambda: next(left)) is outcomes[-1]
    assert not [*left]
    told = capsys.readouterr().out
    assert told.count(f"{ROWS[0].name}: ") == len(outcomes)
    assert told.count("*** p99") == sum("p99" in outcome.wrong for outcome in outcomes)
