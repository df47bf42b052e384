import pytest

from app.health import Certificate, Check, Facts, Observation, Reason, Report, Result, Status
from tests.support.fakes import EPOCH, answers
from tests.unit.health.helpers import START


DAY = 86400
YEAR = 365 * DAY


def observe(
    validity: float, left: float, *, warn_days: float = 14, **fields: object
) -> Observation:
    """Return the observation of a check whose certificate has so many seconds left."""
    certificate = Certificate(EPOCH + left - validity, EPOCH + left)
    subject = Check(name="it", probe=answers, certificate_warning=warn_days * DAY)
    result = Result(at=START, latency=0.1, facts=Facts(certificate), **fields)  # type: ignore[arg-type]
    return Observation(check=subject, since=START).after(result)


@pytest.mark.parametrize(
    ("validity", "left", "warns"),
    [
        (YEAR, 40 * DAY, False),
        (YEAR, 14 * DAY, False),
        (YEAR, 14 * DAY - 1, True),
        (YEAR, 600, True),
        (DAY, DAY, False),
        (DAY, DAY / 3, False),
        (DAY, DAY / 3 - 1, True),
        (DAY, 600, True),
        (DAY, 0, True),  # it is the next attempt that fails
        (YEAR, 0, True),
        (YEAR, -1, True),
    ],
)
def test_it_warns_in_the_last_days_and_the_last_third(
    validity: float, left: float, *, warns: bool
) -> None:
    """A PKI that issues for a day is quiet until the last eight hours."""
    status = Report((observe(validity, left),)).status
    assert status is (Status.WARN if warns else Status.PASS)


def test_zero_days_switch_the_warning_off() -> None:
    """Even a second before the end."""
    assert Report((observe(YEAR, 1, warn_days=0),)).status is Status.PASS


def test_a_failure_is_worse_than_a_certificate_about_to_expire() -> None:
    """The check keeps what it knows of the certificate."""
    known = observe(YEAR, 600, reason=Reason.REFUSED)
    assert Report((known,)).status is Status.FAIL
    assert known.expiring


def test_a_renewed_certificate_ends_the_warning() -> None:
    """With the next result."""
    renewed = Certificate(EPOCH, EPOCH + YEAR)
    known = observe(YEAR, 600).after(Result(at=START, latency=0.1, facts=Facts(renewed)))
    assert known.expiring is None
