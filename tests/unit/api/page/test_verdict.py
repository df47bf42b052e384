import pytest

from app.api.page import banner
from app.api.verdict import readiness_query, single_check_query
from app.health import Check, Instant, Observation, Report, Status
from app.lifecycle import Phase
from tests.support.fakes import answers


# A letter for each check: p passes, f fails, u is unknown; a capital letter is required.
STATUSES = {"p": Status.PASS, "f": Status.FAIL, "u": Status.UNKNOWN}


def report(letters: str) -> Report:
    """Return a report of checks named a, b, c and so on."""
    return Report(
        tuple(
            Observation(
                check=Check(name=name, probe=answers, required=letter.isupper()),
                since=Instant(0, 0),
                status=STATUSES[letter.lower()],
            )
            for name, letter in zip("abcde", letters, strict=False)
        )
    )


@pytest.mark.parametrize(
    ("phase", "letters", "kind", "words"),
    [
        ("serving", "Pp", "pass", "Every check passes. This instance accepts traffic."),
        (
            "serving",
            "Pf",
            "warn",
            "b fails. It is optional, so this instance still accepts traffic.",
        ),
        (
            "serving",
            "Pff",
            "warn",
            "b and c fail. They are optional, so this instance still accepts traffic.",
        ),
        ("serving", "Fpf", "fail", "a fails, so this instance is not ready for traffic."),
        (
            "serving",
            "FFFFF",
            "fail",
            "a, b, c and 2 more fail, so this instance is not ready for traffic.",
        ),
        (
            "starting",
            "PUu",
            "unknown",
            "This instance is not ready for traffic until the first result of b and c arrives.",
        ),
        (
            "starting",
            "P",
            "unknown",
            "This instance is not ready for traffic until the first result arrives.",
        ),
        (
            "maintenance",
            "Pf",
            "maintenance",
            "An operator has taken this instance out of rotation. b fails.",
        ),
        (
            "draining",
            "Pp",
            "draining",
            "This instance is shutting down and accepts no new traffic. Every check passes.",
        ),
    ],
)
def test_the_banner_names_the_checks_that_fail(
    phase: str, letters: str, kind: str, words: str
) -> None:
    """And it says whether the instance accepts traffic."""
    known = report(letters)
    verdict = readiness_query()(known, Phase(phase))
    shown = banner(verdict, known)
    assert (shown.kind, shown.words) == (kind, words)


@pytest.mark.parametrize(
    ("letters", "kind", "words"),
    [
        ("P", "pass", "a passes."),
        ("f", "fail", "a fails."),
        ("U", "unknown", "a has no result yet."),
    ],
)
def test_the_banner_of_a_single_check_ignores_the_phase(
    letters: str, kind: str, words: str
) -> None:
    """And whether the check is required."""
    known = report(letters)
    verdict = single_check_query("a")(known, Phase.DRAINING)
    assert verdict
    shown = banner(verdict, known)
    assert (shown.kind, shown.words) == (kind, words)
