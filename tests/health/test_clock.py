import time
from dataclasses import FrozenInstanceError
from importlib.util import find_spec, module_from_spec
from typing import Any

import pytest

from app.health import Clock, Instant


def test_a_later_moment_is_later_on_both_clocks() -> None:
    """Adding seconds moves the steady time and the date alike."""
    assert Instant(5.0, 1000.0) + 2.5 == Instant(7.5, 1002.5)


def test_the_time_between_two_moments_is_told_by_the_steady_clock_alone() -> None:
    """A wall clock set back an hour makes nothing younger."""
    assert Instant(7.0, 1000.0 - 3600) - Instant(5.0, 1000.0) == 2.0


def test_the_order_of_moments_is_told_by_the_steady_clock() -> None:
    """What happened after the wall clock was set back still happened later."""
    assert Instant(1.0, 5000.0) < Instant(2.0, 1400.0)


def test_a_clock_reads_both_of_its_sources() -> None:
    """Whoever passes the sources in decides what time it is."""
    assert Clock(steady=lambda: 3.0, wall=lambda: 9.0).now() == Instant(3.0, 9.0)


def test_the_steady_clock_never_steps_back() -> None:
    """By default the steady time only grows, and the wall's is that of the machine."""
    clock = Clock()
    moments = [clock.now() for _ in range(100)]
    assert moments == sorted(moments)
    assert abs(moments[-1].wall - time.time()) < 60


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="no such clock on this system")
def test_the_steady_clock_goes_on_while_the_machine_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A result that is an hour old after an hour of suspension must not look fresh."""
    monkeypatch.setattr(time, "clock_gettime", {time.CLOCK_BOOTTIME: 3600.0}.get)
    assert Clock().steady() == 3600.0


def test_a_system_without_that_clock_has_a_steady_one_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As macOS: one that may stand still while the machine sleeps."""
    monkeypatch.delattr(time, "CLOCK_BOOTTIME", raising=False)
    monkeypatch.setattr(time, "clock_gettime", {time.CLOCK_MONOTONIC: 3600.0}.get)
    assert anew("app.health.model").Clock().steady() == 3600.0


def anew(name: str) -> Any:
    """Import a module as if for the first time, and for the caller alone."""
    spec = find_spec(name)
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_moment_can_not_be_changed() -> None:
    """Answers are shared between requests, so the moments in them are fixed."""
    with pytest.raises(FrozenInstanceError):
        Instant(1.0, 2.0).steady = 3.0  # type: ignore[misc]  # that it can't is what is tested
