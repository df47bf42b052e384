import pytest

from tests.chaos.table import ROWS, run_with_retry
from tests.chaos.trial import Outcome


PASSED, LATE = Outcome(row=ROWS[0]), Outcome(row=ROWS[0], late=["p99"])
FAILED, BOTH = (Outcome(row=ROWS[0], problems=["red"], late=late) for late in ([], ["p99"]))


@pytest.mark.parametrize(
    "outcomes",
    [[PASSED], [LATE, PASSED], [LATE, LATE], [LATE, FAILED], [FAILED], [BOTH]],
)
def test_a_row_runs_again_only_if_nothing_but_latency_failed(
    outcomes: list[Outcome], capsys: pytest.CaptureFixture[str]
) -> None:
    """The second outcome counts, and both are printed."""
    left = iter(outcomes)
    assert run_with_retry(lambda: next(left)) is outcomes[-1]
    assert not [*left]
    printed = capsys.readouterr().out
    assert printed.count(f"{ROWS[0].name}: ") == len(outcomes)
    assert printed.count("*** p99") == sum("p99" in outcome.failures for outcome in outcomes)
