import math

import pytest

from app.health import Check, Instant, Observation, Reason, Report, Status
from tests.fakes import answers


def known(name: str, status: Status, *, required: bool = True) -> Observation:
    """What is known of one check, as heard at second 0."""
    start = Instant(0.0, 1.8e9)
    return Observation(
        check=Check(name=name, probe=answers, required=required),
        since=start,
        status=status,
        observed=None if status is Status.UNKNOWN else start,
    )


@pytest.mark.parametrize(
    ("required", "optional", "whole"),
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
def test_the_whole_fails_with_a_required_check_and_warns_with_an_optional_one(
    required: str, optional: str, whole: str
) -> None:
    """What is not known of a check weighs as much as its failure."""
    report = Report(
        (
            known("green", Status.PASS),
            known("required", Status[required.upper()]),
            known("optional", Status[optional.upper()], required=False),
        )
    )
    assert report.status.word == whole


def test_a_whole_without_checks_passes() -> None:
    """Nothing is wrong with nothing, nor will it ever be too old."""
    report = Report(())
    assert (report.status, report.complete, report.expires) == (Status.PASS, True, math.inf)


@pytest.mark.parametrize(("required", "whole"), [(True, Status.FAIL), (False, Status.WARN)])
def test_a_stale_check_weighs_what_its_failure_weighs(*, required: bool, whole: Status) -> None:
    """A report goes red, or warns, the moment after it expires, with nothing running."""
    report = Report((known("it", Status.PASS, required=required),))
    assert report.expires == 2.4
    assert report.at(Instant(2.4, 0)) == report
    later = report.at(Instant(math.nextafter(2.4, math.inf), 0))
    assert (later.status, later.checks[0].reason) == (whole, Reason.STALE)


def test_a_report_expires_with_the_first_of_its_checks() -> None:
    """What has no result yet does not expire."""
    slow = Observation(
        check=Check(name="slow", probe=answers, interval=30),
        since=Instant(0, 0),
        status=Status.PASS,
        observed=Instant(0, 0),
    )
    assert Report((slow, known("new", Status.UNKNOWN), known("it", Status.PASS))).expires == 2.4


def test_a_report_is_complete_when_every_check_has_had_a_result() -> None:
    """Optional checks count, and a failure is a result too."""
    failed, new = known("failed", Status.FAIL), known("new", Status.UNKNOWN, required=False)
    assert not Report((failed, new)).complete
    assert Report((failed,)).complete


def test_checks_can_be_left_out_by_name() -> None:
    """A name that nobody bears leaves nothing out."""
    red, green = known("red", Status.FAIL), known("green", Status.PASS)
    report = Report((red, green))
    assert report.without(["red", "nobody"]) == Report((green,))
    assert report.status is Status.FAIL
