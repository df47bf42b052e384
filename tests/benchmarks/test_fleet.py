"""The simulation of a fleet, at a small size, against arithmetic."""

import math
from functools import partial

import pytest

from app.health.monitor import JITTER
from benchmarks.simulation.database import Database
from benchmarks.simulation.instances import setting
from benchmarks.simulation.stories import Fault, bound, busiest, outage, steady


SIZE = 20
LOOK = 0.1


@pytest.mark.parametrize("interval", [0.5, 1, 4])
def test_statements_are_as_many_as_the_interval_says(interval: float) -> None:
    """One each interval, which jitter shortens by a twentieth on the average; one connection."""
    costs = steady(setting(check_interval=interval), SIZE, 20 * interval)
    assert costs.connections == 1
    assert costs.statements == pytest.approx(1 / interval / (1 - JITTER / 2), rel=0.02)


def test_a_connection_is_made_anew_once_in_its_interval() -> None:
    """Counted over three of them, by each instance; or each time, where that is the question."""
    costs = steady(setting(reconnect_interval=10), SIZE, 30)
    assert costs.renewals == pytest.approx(1 / 10, rel=0.02)
    costs = steady(setting(postgres_require="connect"), SIZE, 20)
    assert costs.renewals == pytest.approx(1 / (1 - JITTER / 2), rel=0.02)
    assert costs.statements == 0


def test_what_one_instance_costs_does_not_depend_on_how_many_there_are() -> None:
    """So a fleet that is too large to be simulated is told in proportion."""
    few, many = (steady(setting(), size, 30) for size in (10, 100))
    assert few.statements == pytest.approx(many.statements, rel=0.02)
    assert few.renewals == pytest.approx(many.renewals, rel=0.02)


def test_jitter_spreads_a_fleet_that_has_started_in_one_moment() -> None:
    """Without it all would ask in the same tenth of a second ever after."""
    assert busiest(SIZE, 100, lambda: 0.0) == pytest.approx(10, rel=0.05)
    assert busiest(SIZE, 100) < 5


@pytest.mark.parametrize("silent", [False, True])
@pytest.mark.parametrize("threshold", [1, 3])
def test_a_shared_outage_turns_all_red_within_the_bound_and_all_green(
    threshold: int, *, silent: bool
) -> None:
    """None before it begins, all by the bound, none by the bound after its end."""
    settings = setting(failure_threshold=threshold, success_threshold=threshold)
    run = outage(settings, SIZE, Fault(10, silent), 10)
    latest = bound(settings, threshold)
    assert {share for at, share in run.ready.items() if at < 0} == {1.0}
    assert {share for at, share in run.ready.items() if latest <= at <= 10} == {0.0}
    assert {share for at, share in run.ready.items() if at >= 10 + latest} == {1.0}
    assert run.back is not None
    assert run.back <= latest


def test_an_outage_of_what_is_optional_turns_none_red() -> None:
    """Though each check fails."""
    run = outage(setting(optional_checks="postgres"), SIZE, Fault(10), 10)
    assert (run.reddest, run.lost, run.back, run.turns) == (0, 0, 0, 2)


def test_a_blip_that_is_shorter_than_the_threshold_turns_none_red() -> None:
    """Two attempts may fall into it, and three are wanted; with a threshold of 1 all are red."""
    blip = Fault(2 * 0.9 - LOOK)
    assert outage(setting(failure_threshold=3), SIZE, blip, 5).reddest == 0
    assert outage(setting(), SIZE, blip, 5).reddest == 1


def test_a_hang_that_is_shorter_than_the_timeout_turns_none_red() -> None:
    """What is late is not lost."""
    assert outage(setting(), SIZE, Fault(0.9, silent=True), 5).reddest == 0


def test_success_thresholds_keep_a_flapping_database_from_turning_a_fleet() -> None:
    """It stays red instead, and turns twice where it would have turned with each failure."""
    fault = Fault(2, times=5)
    assert outage(setting(), SIZE, fault, 10).turns == 10
    calm = outage(setting(failure_threshold=2, success_threshold=4), SIZE, fault, 10)
    assert calm.turns == pytest.approx(2)


def test_sessions_that_were_lost_at_once_are_not_renewed_at_once() -> None:
    """After an outage renewals are as even as before it."""
    run = outage(setting(reconnect_interval=10), SIZE, Fault(3), 60)
    waves = [run.knocks[second] for second in range(5, 60)]
    assert sum(waves) == pytest.approx(SIZE * len(waves) / 10, rel=0.1)
    assert max(waves) < SIZE / 3


@pytest.mark.parametrize(
    ("changes", "returns"),
    [({}, False), ({"check_interval": 5}, True), ({"check_timeout": 5}, True)],
)
def test_a_fleet_is_back_only_if_no_more_come_than_are_let_in(
    changes: dict[str, float], *, returns: bool
) -> None:
    """A server that lets in a fifth a second is busy with those who have given up, for ever."""
    door = partial(Database, accepts=SIZE / 5, backlog=4096)
    run = outage(setting(**changes), SIZE, Fault(10), 60, door)
    assert (run.back is not None) is returns
    assert run.back is None or run.back <= 2 * 5


def test_the_same_seed_makes_the_same_run() -> None:
    """To the last digit, so that the page changes only when what it tells does."""
    runs = [outage(setting(), SIZE, Fault(2), 5) for _ in range(2)]
    assert runs[0] == runs[1]
    assert not math.isnan(runs[0].lost)
