import time
from dataclasses import FrozenInstanceError
from importlib.util import find_spec, module_from_spec
from typing import Any

import pytest

from app.health import Clock, Instant


def test_adding_seconds_moves_both_clocks() -> None:
    """The steady time and the date."""
    assert Instant(5.0, 1000.0) + 2.5 == Instant(7.5, 1002.5)


def test_the_difference_of_two_instants_uses_only_the_steady_clock() -> None:
    """Setting the wall clock back an hour makes nothing younger."""
    assert Instant(7.0, 1000.0 - 3600) - Instant(5.0, 1000.0) == 2.0


def test_the_order_of_instants_uses_the_steady_clock() -> None:
    """An event after the wall clock was set back is still the later one."""
    assert Instant(1.0, 5000.0) < Instant(2.0, 1400.0)


def test_a_clock_reads_both_of_its_sources() -> None:
    """Tests and simulations pass their own."""
    assert Clock(steady=lambda: 3.0, wall=lambda: 9.0).now() == Instant(3.0, 9.0)


def test_the_steady_clock_never_steps_back() -> None:
    """The wall clock is that of the machine."""
    clock = Clock()
    moments = [clock.now() for _ in range(100)]
    assert moments == sorted(moments)
    assert abs(moments[-1].wall - time.time()) < 60


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="no such clock on this system")
def test_the_steady_clock_includes_suspended_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """After an hour of suspension a result is an hour old."""
    monkeypatch.setattr(time, "clock_gettime", {time.CLOCK_BOOTTIME: 3600.0}.get)
    assert Clock().steady() == 3600.0


def test_a_system_without_boottime_uses_the_monotonic_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On macOS, where it may stand still during suspension."""
    monkeypatch.delattr(time, "CLOCK_BOOTTIME", raising=False)
    monkeypatch.setattr(time, "clock_gettime", {time.CLOCK_MONOTONIC: 3600.0}.get)
    assert import_fresh("app.health.model").Clock().steady() == 3600.0


def import_fresh(name: str) -> Any:
    """Import a module again, without changing sys.modules."""
    spec = find_spec(name)
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_an_instant_can_not_be_changed() -> None:
    """Requests share reports, and so the instants in them."""
    with pytest.raises(FrozenInstanceError):
        Instant(1.0, 2.0).steady = 3.0  # type: ignore[misc]  # that it can't is what is tested
