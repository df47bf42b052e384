import pytest

from tests.chaos.storm import Inaccuracy
from tests.chaos.table import repeat_inconclusive
from tests.chaos.verdict import TRIES, ChaosResult


def result(seconds: float, stalled: float, *leaks: str) -> ChaosResult:
    """Return a result whose worst inaccuracy has a limit of one second."""
    return ChaosResult([Inaccuracy("green", seconds, 1.0)], leaks, stalled)


GOOD, INCONCLUSIVE = result(0.9, 0.05), result(0.9, 0.2)
WRONG, LEAKING = result(1.1, 0.2), result(0.9, 0.2, "sockets")


@pytest.mark.parametrize(
    "results", [[GOOD], [WRONG], [LEAKING], [INCONCLUSIVE, GOOD], [INCONCLUSIVE] * TRIES]
)
def test_a_clean_run_on_a_stalled_machine_is_repeated(
    results: list[ChaosResult], capsys: pytest.CaptureFixture[str]
) -> None:
    """A run that found a problem counts, however long the machine stalled."""
    left = iter(results)
    assert repeat_inconclusive(lambda: next(left), TRIES) is results[-1]
    assert not [*left]
    assert capsys.readouterr().out.count("machine stalled:") == len(results)


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (WRONG, "wrong for too long"),
        (LEAKING, "leaked: sockets"),
        (INCONCLUSIVE, "stalled for too long"),
    ],
)
def test_a_result_names_its_problem(result: ChaosResult, expected: str) -> None:
    """The three results have different problems, and a good one has none."""
    assert not GOOD.problems
    (problem,) = result.problems
    assert expected in problem
