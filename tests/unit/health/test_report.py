import math

import pytest

from app.health import Check, Instant, Observation, Reason, Report, Status
from tests.support.fakes import answers


def known(name: str, status: Status, *, required: bool = True) -> Observation:
    """Return an observation of second 0."""
    start = Instant(0.0, 1.8e9)
    return Observation(
        check=Check(name=name, probe=answers, required=required),
        since=start,
        status=status,
        observed=None if status is Status.UNKNOWN else start,
    )


@pytest.mark.parametrize(
    ("required", "optional", "expected"),
    [
        ("pass", "pass", "pass"),
        ("pass", "fail", "warn"),
        ("pass", "unknown", "warn"),
        ("fail", "pass", "fail"),
        ("unknown", "pass", "fail"),
        ("unknown", "fail", "fail"),
        ("fail", "fail", "fail"),
    ],
)
def test_a_required_check_fails_the_report_and_an_optional_one_warns(
    required: str, optional: str, expected: str
) -> None:
    """An unknown check counts like a failed one."""
    report = Report(
        (
            known("green", Status.PASS),
            known("required", Status[required.upper()]),
            known("optional", Status[optional.upper()], required=False),
        )
    )
    assert report.status.word == expected


def test_a_report_without_checks_passes() -> None:
    """And it never expires."""
    report = Report(())
    assert (report.status, report.complete, report.expires) == (Status.PASS, True, math.inf)


@pytest.mark.parametrize(("required", "expected"), [(True, Status.FAIL), (False, Status.WARN)])
def test_a_stale_check_counts_like_a_failed_one(*, required: bool, expected: Status) -> None:
    """The report fails, or warns, right after it expires, without any task running."""
    report = Report((known("it", Status.PASS, required=required),))
    assert report.expires == 2.4
    assert report.at(Instant(2.4, 0)) is report
    later = report.at(Instant(math.nextafter(2.4, math.inf), 0))
    assert (later.status, later.checks[0].reason) == (expected, Reason.STALE)


def test_a_report_expires_with_the_first_of_its_checks() -> None:
    """A check without a result does not expire."""
    slow = Observation(
        check=Check(name="slow", probe=answers, interval=30),
        since=Instant(0, 0),
        status=Status.PASS,
        observed=Instant(0, 0),
    )
    assert Report((slow, known("new", Status.UNKNOWN), known("it", Status.PASS))).expires == 2.4


def test_a_report_is_complete_when_every_check_has_a_result() -> None:
    """Optional checks count, and a failure is a result, too."""
    failed, new = known("failed", Status.FAIL), known("new", Status.UNKNOWN, required=False)
    assert not Report((failed, new)).complete
    assert Report((failed,)).complete


def test_checks_can_be_excluded_by_name() -> None:
    """An unknown name excludes nothing."""
    red, green = known("red", Status.FAIL), known("green", Status.PASS)
    report = Report((red, green))
    assert report.without(["red", "missing"]) == Report((green,))
    assert report.status is Status.FAIL
