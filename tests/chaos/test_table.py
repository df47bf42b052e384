import pytest

from tests.chaos import http
from tests.chaos.table import TRIES, repeat_inconclusive
from tests.chaos.trial import Outcome


ROW = http.ROWS[0]
PASSED, LATE = Outcome(row=ROW), Outcome(row=ROW, late=["p99"])
FAILED, BOTH = (Outcome(row=ROW, problems=["red"], late=late) for late in ([], ["p99"]))


@pytest.mark.parametrize(
    "outcomes",
    [[PASSED], [LATE, PASSED], [LATE, LATE], [LATE, FAILED], [FAILED], [BOTH]],
)
def test_a_row_runs_again_only_if_nothing_but_latency_failed(
    outcomes: list[Outcome], capsys: pytest.CaptureFixture[str]
) -> None:
    """The second outcome counts, and both are printed."""
    left = iter(outcomes)
    assert repeat_inconclusive(lambda: next(left), TRIES) is outcomes[-1]
    assert not [*left]
    printed = capsys.readouterr().out
    assert printed.count(f"{ROW.name}: ") == len(outcomes)
    assert printed.count("*** p99") == sum("p99" in outcome.failures for outcome in outcomes)
