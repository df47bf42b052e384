import pytest

from tests.matrix.storm import Lie
from tests.matrix.verdict import TRIES, Verdict, shown


def a_verdict(seconds: float, held_up: float, *grown: str) -> Verdict:
    """What a storm came to whose worst lie had a bound of one second."""
    return Verdict([Lie("green", seconds, 1.0)], {}, {}, grown, held_up)


GOOD, VOID = a_verdict(0.9, 0.05), a_verdict(0.9, 0.2)
LYING, LEAKING = a_verdict(1.1, 0.2), a_verdict(0.9, 0.2, "sockets")


@pytest.mark.parametrize("verdicts", [[GOOD], [LYING], [LEAKING], [VOID, GOOD], [VOID] * TRIES])
def test_nothing_is_shown_by_what_is_not_seen_while_the_machine_stands_still(
    verdicts: list[Verdict], capsys: pytest.CaptureFixture[str]
) -> None:
    """So it is looked for again; what is seen counts however long the machine stood still."""
    left = iter(verdicts)
    assert shown(lambda: next(left)) is verdicts[-1]
    assert not [*left]
    assert capsys.readouterr().out.count("held up by the machine") == len(verdicts)


@pytest.mark.parametrize(
    ("verdict", "problem"),
    [(LYING, "too long a lie"), (LEAKING, "more than before: sockets"), (VOID, "stood still")],
)
def test_a_verdict_tells_its_problem(verdict: Verdict, problem: str) -> None:
    """One each."""
    assert not GOOD.problems
    (told,) = verdict.problems
    assert problem in told
