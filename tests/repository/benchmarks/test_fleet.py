"""Compares the simulation of a small fleet with calculated figures."""

import math
from functools import partial

import pytest

from app.health.monitor import JITTER
from benchmarks.simulation.database import Database
from benchmarks.simulation.instances import SAMPLE, make_settings
from benchmarks.simulation.stories import Fault, bound, busiest, outage, steady


pytestmark = pytest.mark.slow

SIZE = 20


@pytest.mark.parametrize("interval", [0.5, 1, 4])
def test_the_interval_determines_the_number_of_statements(interval: float) -> None:
    """One statement per interval, which jitter shortens by 5 % on average, on one connection."""
    costs = steady(make_settings(check_interval=interval), SIZE, 20 * interval)
    assert costs.connections == 1
    assert costs.statements == pytest.approx(1 / interval / (1 - JITTER / 2), rel=0.02)


def test_connections_are_renewed_once_per_reconnect_interval() -> None:
    """With `require=connect`, each attempt opens a connection and runs no statement."""
    costs = steady(make_settings(reconnect_interval=10), SIZE, 30)
    assert costs.renewals == pytest.approx(1 / 10, rel=0.02)
    costs = steady(make_settings(postgres_depth="connect"), SIZE, 20)
    assert costs.renewals == pytest.approx(1 / (1 - JITTER / 2), rel=0.02)
    assert costs.statements == 0


def test_the_load_per_instance_does_not_depend_on_the_size_of_the_fleet() -> None:
    """So figures for a fleet that is too large to simulate can be extrapolated."""
    few, many = (steady(make_settings(), size, 30) for size in (10, 100))
    assert few.statements == pytest.approx(many.statements, rel=0.02)
    assert few.renewals == pytest.approx(many.renewals, rel=0.02)


def test_jitter_spreads_the_statements_after_a_simultaneous_start() -> None:
    """Without jitter all statements stay in the same tenth of a second."""
    assert busiest(SIZE, 100, lambda: 0.0) == pytest.approx(10, rel=0.05)
    assert busiest(SIZE, 100) < 5


@pytest.mark.parametrize("silent", [False, True])
@pytest.mark.parametrize("threshold", [1, 3])
def test_a_shared_outage_turns_all_red_and_its_end_turns_all_green(
    threshold: int, *, silent: bool
) -> None:
    """Both take at most the guaranteed time; before the outage all are green."""
    settings = make_settings(failure_threshold=threshold, success_threshold=threshold)
    run = outage(settings, SIZE, Fault(10, silent), 10)
    latest = bound(settings, threshold)
    assert {share for at, share in run.ready.items() if at < 0} == {1.0}
    assert {share for at, share in run.ready.items() if latest <= at <= 10} == {0.0}
    assert {share for at, share in run.ready.items() if at >= 10 + latest} == {1.0}
    assert run.recovery is not None
    assert run.recovery <= latest


def test_an_outage_of_an_optional_dependency_turns_none_red() -> None:
    """The check itself fails and recovers in every instance."""
    run = outage(make_settings(optional_checks="postgres"), SIZE, Fault(10), 10)
    assert (run.worst, run.downtime, run.recovery, run.transitions) == (0, 0, 0, 2)


def test_an_outage_shorter_than_the_failure_threshold_turns_none_red() -> None:
    """At most two attempts fail, but the threshold is 3; with a threshold of 1 all turn red."""
    short = Fault(2 * 0.9 - SAMPLE)
    assert outage(make_settings(failure_threshold=3), SIZE, short, 5).worst == 0
    assert outage(make_settings(), SIZE, short, 5).worst == 1


def test_a_hang_shorter_than_the_timeout_turns_none_red() -> None:
    """Late answers count."""
    assert outage(make_settings(), SIZE, Fault(0.9, silent=True), 5).worst == 0


def test_success_thresholds_keep_a_fleet_from_flapping_with_the_database() -> None:
    """With thresholds it turns red once and stays red; without, it follows each change."""
    fault = Fault(2, times=5)
    assert outage(make_settings(), SIZE, fault, 10).transitions == 10
    calm = outage(make_settings(failure_threshold=2, success_threshold=4), SIZE, fault, 10)
    assert calm.transitions == pytest.approx(2)


def test_sessions_lost_at_the_same_time_are_renewed_at_different_times() -> None:
    """Renewals after an outage are as evenly spread as before it."""
    run = outage(make_settings(reconnect_interval=10), SIZE, Fault(3), 60)
    renewals = [run.attempts[second] for second in range(5, 60)]
    assert sum(renewals) == pytest.approx(SIZE * len(renewals) / 10, rel=0.1)
    assert max(renewals) < SIZE / 3


@pytest.mark.parametrize(
    ("changes", "recovers"),
    [({}, False), ({"check_interval": 5}, True), ({"check_timeout": 5}, True)],
)
def test_a_fleet_recovers_only_if_the_server_accepts_its_connection_rate(
    changes: dict[str, float], *, recovers: bool
) -> None:
    """Otherwise a server that accepts a fifth of it per second serves abandoned connections."""
    limited = partial(Database, accepts=SIZE / 5, backlog=4096)
    run = outage(make_settings(**changes), SIZE, Fault(10), 60, limited)
    assert (run.recovery is not None) is recovers
    assert run.recovery is None or run.recovery <= 2 * 5


def test_the_same_seed_gives_the_same_run() -> None:
    """All digits are equal, so the page only changes when the simulation does."""
    runs = [outage(make_settings(), SIZE, Fault(2), 5) for _ in range(2)]
    assert runs[0] == runs[1]
    assert not math.isnan(runs[0].downtime)
