import pytest

from app.api.page import headline
from app.api.verdict import readiness, single_check
from app.health import Check, Instant, Observation, Report, Status
from app.lifecycle import Phase
from tests.fakes import answers


# A letter for each check: capitals are required, p passes, f fails, u is not known yet.
STATUSES = {"p": Status.PASS, "f": Status.FAIL, "u": Status.UNKNOWN}


def report(story: str) -> Report:
    """A report of checks named a, b, c ..."""
    return Report(
        tuple(
            Observation(
                check=Check(name=name, probe=answers, required=letter.isupper()),
                since=Instant(0, 0),
                status=STATUSES[letter.lower()],
            )
            for name, letter in zip("abcde", story, strict=False)
        )
    )


@pytest.mark.parametrize(
    ("phase", "story", "kind", "told"),
    [
        ("serving", "Pp", "pass", "Every check passes, and this instance takes work."),
        (
            "serving",
            "Pf",
            "warn",
            "b fails. It is optional, so this instance still takes work.",
        ),
        (
            "serving",
            "Pff",
            "warn",
            "b and c fail. They are optional, so this instance still takes work.",
        ),
        ("serving", "Fpf", "fail", "a fails, so whoever asks is told to send no work here."),
        (
            "serving",
            "FFFFF",
            "fail",
            "a, b, c and 2 more fail, so whoever asks is told to send no work here.",
        ),
        (
            "starting",
            "PUu",
            "unknown",
            "Waiting for the first result of b and c; until then no work is taken.",
        ),
        (
            "starting",
            "P",
            "unknown",
            "Waiting for the first result; until then no work is taken.",
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
            "This instance is shutting down and takes no new work. Every check passes.",
        ),
    ],
)
def test_the_verdict_says_whether_to_worry_and_why(
    phase: str, story: str, kind: str, told: str
) -> None:
    """In words that name whoever is to blame."""
    known = report(story)
    found = readiness()(known, Phase(phase))
    judged = headline(found, known)
    assert (judged.kind, judged.words) == (kind, told)


@pytest.mark.parametrize(
    ("story", "kind", "told"),
    [
        ("P", "pass", "a passes."),
        ("f", "fail", "a fails."),
        ("U", "unknown", "a has no result yet."),
    ],
)
def test_one_check_alone_is_judged_by_itself(story: str, kind: str, told: str) -> None:
    """Whatever the phase, and whether it is required or not."""
    known = report(story)
    found = single_check("a")(known, Phase.DRAINING)
    assert found
    judged = headline(found, known)
    assert (judged.kind, judged.words) == (kind, told)
