from asyncio import CancelledError
from dataclasses import FrozenInstanceError

import pytest

from app.health import Check, Facts, Reason
from app.health.reasons import Advice
from tests.support.fakes import answers


def broken(error: BaseException) -> Reason:
    """Raise an error instead of explaining one."""
    raise error


def test_a_check_has_the_documented_defaults() -> None:
    """Required, every second, with a timeout of a second and thresholds of one."""
    check = Check(name="it", probe=answers)
    assert (check.interval, check.timeout, check.required) == (1, 1, True)
    assert (check.failure_threshold, check.success_threshold) == (1, 1)
    assert (check.kind, check.facts()) == ("", Facts(certificate=None, replication_lag=None))
    assert check.certificate_warning == 14 * 24 * 60 * 60


@pytest.mark.parametrize(("interval", "timeout"), [(1, 1), (0.5, 2), (15, 3)])
def test_the_lifetime_of_a_result_is_interval_plus_timeout_plus_four_tenths(
    interval: float, timeout: float
) -> None:
    """The guarantees of the documentation depend on it."""
    check = Check(name="it", probe=answers, interval=interval, timeout=timeout)
    assert check.lifetime == interval + timeout + 0.4


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TimeoutError(), Reason.TIMEOUT),
        (ConnectionRefusedError(), Reason.ERROR),
        (KeyboardInterrupt(), Reason.ERROR),
    ],
)
def test_without_explain_the_reason_is_timeout_or_error(
    error: BaseException, reason: Reason
) -> None:
    """A missed deadline is a TimeoutError."""
    assert Check(name="it", probe=answers).reason_for(error) is reason


def test_explain_supplies_the_reason() -> None:
    """The author of a probe knows what its errors mean."""
    check = Check(name="it", probe=answers, explain=lambda _: Reason.AUTH)
    assert check.reason_for(OSError()) is Reason.AUTH


@pytest.mark.parametrize("error", [ValueError(), SystemExit(1), CancelledError()])
def test_an_error_in_explain_becomes_the_reason_error(error: BaseException) -> None:
    """It must not stop the check, even if it raises the error that it got."""
    assert Check(name="it", probe=answers, explain=broken).reason_for(error) is Reason.ERROR


@pytest.mark.parametrize("error", [OSError(), None])
def test_advise_gets_the_error_or_none_after_a_success(error: OSError | None) -> None:
    """Its advice may depend on the error, or on what an attempt that passed has learned."""
    hint = Advice("It is odd.", "Look at it.")
    check = Check(name="it", probe=answers, advise=lambda it: hint if it is error else None)
    assert check.hint_after(error) is hint


@pytest.mark.parametrize("error", [ValueError(), SystemExit(1), CancelledError()])
def test_an_error_in_advise_means_no_advice(error: BaseException) -> None:
    """A check has no advice by default, and an error must not stop it."""
    assert Check(name="it", probe=answers).hint_after(error) is None

    def refuse(_: BaseException | None) -> Advice | None:
        raise error

    assert Check(name="it", probe=answers, advise=refuse).hint_after(error) is None


def test_a_check_can_not_be_changed() -> None:
    """Its fields are set once, at the start."""
    with pytest.raises(FrozenInstanceError):
        Check(name="it", probe=answers).timeout = 9.0  # type: ignore[misc]  # that it can't is what is tested
