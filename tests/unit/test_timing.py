from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.checks.postgres_driver import CLOSE_TIMEOUT
from app.health.monitor import CLOSE_GRACE
from app.logs.handler import FLUSH_TIMEOUT
from app.probe_config import (
    ANSWER,
    PROCESS_END,
    STARTUP_RULE,
    STOP_RULE,
    Guarantees,
    ProbeConfig,
    caddy,
    compute_guarantees,
    docker,
    haproxy,
    readiness_probe,
    rotation_rules,
    startup_probe,
)
from app.server.server import LINGER
from app.settings import Settings
from tests.support.written_figures import broken, figure


DEFAULT = Guarantees(
    fault_delay=2.5, repair_delay=2.5, startup=6.5, drain=5, shutdown=10, keep_alive=5
)
KINDS = [haproxy, caddy, readiness_probe]
SECONDS = st.floats(0.01, 100)


def test_the_guarantees_of_the_defaults_are_the_documented_ones(
    environ: pytest.MonkeyPatch,
) -> None:
    """2.5 s each way. A stop takes 5 + 3 s, and 2 s for the end of the process."""
    assert compute_guarantees(Settings()) == DEFAULT
    environ.setenv("FAILURE_THRESHOLD", "3")
    environ.setenv("SUCCESS_THRESHOLD", "2")
    environ.setenv("REDIS_CHECK_TIMEOUT", "4")
    slower = compute_guarantees(Settings())
    # (threshold - 1) x max(interval, timeout) + interval + timeout + 0.5
    assert (slower.fault_delay, slower.repair_delay) == (2 * 4 + 1 + 4 + 0.5, 4 + 1 + 4 + 0.5)


def test_the_end_of_the_process_keeps_its_guarantee() -> None:
    """It waits for the last answers, the attempts, the close of a session, and the log."""
    waits = LINGER + CLOSE_GRACE + CLOSE_TIMEOUT + FLUSH_TIMEOUT
    assert waits + 0.4 <= PROCESS_END  # what all else takes together


def test_an_optional_check_does_not_delay_a_fault(environ: pytest.MonkeyPatch) -> None:
    """It delays the start, which waits for its first result."""
    environ.setenv("HTTP_CHECKS", '{"far": {"url": "http://far/", "interval": 30, "timeout": 9}}')
    assert compute_guarantees(Settings()).fault_delay == 39.5
    environ.setenv("OPTIONAL_CHECKS", "far")
    assert compute_guarantees(Settings()).fault_delay == 2.5
    assert compute_guarantees(Settings()).startup == 9 + 0.5 + 5


def test_the_general_interval_is_used_without_checks(
    environ: pytest.MonkeyPatch,
) -> None:
    """A configuration may be printed before a database exists."""
    environ.delenv("DATABASE_URL")
    environ.delenv("REDIS_URL")
    assert compute_guarantees(Settings()) == DEFAULT


@given(fault_delay=SECONDS, repair_delay=SECONDS, drain=SECONDS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_least_frequent_probes_that_keep_the_rules_are_chosen(
    kind: object, fault_delay: float, repair_delay: float, drain: float
) -> None:
    """Probes at less than half the frequency would break a rule."""
    assert callable(kind)
    guarantees = replace(DEFAULT, fault_delay=fault_delay, repair_delay=repair_delay, drain=drain)
    probe = kind(guarantees)
    holds = all(rule.holds for rule in rotation_rules(probe, guarantees))
    assert holds is (
        probe.timeout > ANSWER
        and probe.fall * probe.interval <= fault_delay
        and probe.rise * probe.interval <= repair_delay
        and probe.removal_delay <= drain
    )
    slower = replace(probe, interval=probe.interval * 2.5)
    if holds and probe.interval < 10:
        assert not all(rule.holds for rule in rotation_rules(slower, guarantees))


def test_the_removal_delay_includes_the_slowest_answers() -> None:
    """A probe may begin just before the fault, and a frozen instance answers none."""
    probe = ProbeConfig(prober="it", interval=1, timeout=1, fall=2)
    assert (probe.removal_delay, probe.return_delay) == (3, 2)
    slow = replace(probe, interval=0.2, timeout=0.6)
    assert (slow.removal_delay, slow.return_delay) == (1.4, 0.8)


@pytest.mark.parametrize("kind", KINDS)
def test_a_short_drain_is_reported_with_a_value_that_works(kind: object) -> None:
    """With that value every rule holds."""
    assert callable(kind)
    probe = kind(replace(DEFAULT, drain=0))
    (wrong,) = [rule for rule in rotation_rules(probe, replace(DEFAULT, drain=0)) if not rule.holds]
    assert wrong.remedy.startswith("DRAIN_SECONDS: the drain takes 0 s, and ")
    assert wrong.remedy.endswith(f" Set DRAIN_SECONDS to at least {probe.removal_delay:g} s.")
    repaired = replace(DEFAULT, drain=probe.removal_delay)
    assert all(rule.holds for rule in rotation_rules(probe, repaired))


def test_a_readiness_probe_that_is_too_slow_is_reported() -> None:
    """Kubernetes probes at most once a second."""
    short = replace(DEFAULT, fault_delay=0.7)
    (wrong,) = [rule for rule in rotation_rules(readiness_probe(short), short) if not rule.holds]
    assert "Increase CHECK_INTERVAL." in wrong.remedy


def test_a_start_and_a_stop_may_take_their_guarantee() -> None:
    """To the second."""
    assert STARTUP_RULE.apply("it", 6.5, DEFAULT.startup).holds
    assert not STARTUP_RULE.apply("it", 6.4, DEFAULT.startup).holds
    assert STOP_RULE.apply("it", 10, DEFAULT.shutdown).holds
    assert not STOP_RULE.apply("it", 9.9, DEFAULT.shutdown).holds
    slow = startup_probe(replace(DEFAULT, startup=100))
    assert slow.interval * slow.fall == 200


def test_a_broken_rule_is_reported_with_file_and_line(tmp_path: Path) -> None:
    """In any file of a deployment."""
    file = tmp_path / "stack.yaml"
    file.write_text("redis:\n  stop_grace_period: 1m\nbackend:\n  stop_grace_period: 9s\n")
    grace = figure(file, r"stop_grace_period: (\w+)", "^backend:")
    assert grace.seconds == 9
    assert figure(file, r"stop_grace_period: (\w+)").seconds == 60
    (line,) = broken([STOP_RULE.apply("Docker", grace.seconds, DEFAULT.shutdown)], {"grace": grace})
    assert line.startswith(f"{file}:4: DRAIN_SECONDS, SHUTDOWN_SECONDS: ")
    assert docker().timeout > ANSWER
