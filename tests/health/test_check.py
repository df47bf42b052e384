from asyncio import CancelledError
from dataclasses import FrozenInstanceError

import pytest

from app.health import Check, Reason
from app.health.reasons import Advice
from tests.fakes import answers


def broken(error: BaseException) -> Reason:
    """An explanation that fails itself."""
    raise error


def test_a_check_is_judged_on_the_terms_of_the_interface_by_default() -> None:
    """A required check each second, with a second to answer, that turns at the first result."""
    check = Check(name="it", probe=answers)
    assert (check.interval, check.timeout, check.required) == (1, 1, True)
    assert (check.failure_threshold, check.success_threshold) == (1, 1)


@pytest.mark.parametrize(("interval", "timeout"), [(1, 1), (0.5, 2), (15, 3)])
def test_a_result_lives_for_interval_and_timeout_and_four_tenths(
    interval: float, timeout: float
) -> None:
    """The age beyond which a result is stale is a promise."""
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
def test_a_probe_without_an_explanation_fails_by_timeout_or_error(
    error: BaseException, reason: Reason
) -> None:
    """What nobody explains is told as no more than it certainly is."""
    assert Check(name="it", probe=answers).reason_for(error) is reason


def test_the_explanation_of_the_check_is_the_reason() -> None:
    """Who wrote the probe knows what its errors mean."""
    check = Check(name="it", probe=answers, explain=lambda _: Reason.AUTH)
    assert check.reason_for(OSError()) is Reason.AUTH


@pytest.mark.parametrize("error", [ValueError(), SystemExit(1), CancelledError()])
def test_an_explanation_that_fails_makes_it_an_error(error: BaseException) -> None:
    """A bad explanation, one that raises what it was given included, must not end the check."""
    assert Check(name="it", probe=answers, explain=broken).reason_for(error) is Reason.ERROR


@pytest.mark.parametrize("error", [ValueError(), SystemExit(1), CancelledError()])
def test_advice_that_fails_is_none(error: BaseException) -> None:
    """A check has none of its own by default, and one that raises must not end it."""
    assert Check(name="it", probe=answers).hint_after(error) is None

    def refuse(_: BaseException | None) -> Advice | None:
        raise error

    assert Check(name="it", probe=answers, advise=refuse).hint_after(error) is None


def test_a_check_can_not_be_changed() -> None:
    """The terms are set once, where the application is put together."""
    with pytest.raises(FrozenInstanceError):
        Check(name="it", probe=answers).timeout = 9.0  # type: ignore[misc]  # that it can't is what is tested
