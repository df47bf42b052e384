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
    Guarantees,
    Prober,
    caddy,
    docker,
    haproxy,
    kubelet,
    promise,
    rotation,
    started,
    startup,
    stopped,
)
from app.probe_config.guarantees import ENDING
from app.server.server import LINGER
from app.settings import Settings
from tests.written_figures import broken, find


DEFAULT = Guarantees(red=2.5, green=2.5, started=6.5, drain=5, gone=10)
KINDS = [haproxy, caddy, kubelet]
SECONDS = st.floats(0.01, 100)


def test_the_defaults_promise_what_the_readme_says(environ: pytest.MonkeyPatch) -> None:
    """2.5 s each way; a stop within 5 + 3 s, and 2 more to be gone."""
    assert promise(Settings()) == DEFAULT
    environ.setenv("FAILURE_THRESHOLD", "3")
    environ.setenv("SUCCESS_THRESHOLD", "2")
    environ.setenv("REDIS_CHECK_TIMEOUT", "4")
    slower = promise(Settings())
    # (threshold - 1) x max(interval, timeout) + interval + timeout + 0.5
    assert (slower.red, slower.green) == (2 * 4 + 1 + 4 + 0.5, 4 + 1 + 4 + 0.5)


def test_the_end_waits_for_less_than_is_promised() -> None:
    """For last words, attempts, a goodbye to a store, and a log that nobody reads, in turn."""
    waits = LINGER + CLOSE_GRACE + CLOSE_TIMEOUT + FLUSH_TIMEOUT
    assert waits + 0.4 <= ENDING  # what all else takes together


def test_an_optional_check_keeps_nobody_waiting(environ: pytest.MonkeyPatch) -> None:
    """It takes no instance out; yet a start waits for its first result."""
    environ.setenv("HTTP_CHECKS", '{"far": {"url": "http://far/", "interval": 30, "timeout": 9}}')
    assert promise(Settings()).red == 39.5
    environ.setenv("OPTIONAL_CHECKS", "far")
    assert promise(Settings()).red == 2.5
    assert promise(Settings()).started == 9 + 0.5 + 5


def test_where_nothing_is_configured_the_general_terms_are_told(
    environ: pytest.MonkeyPatch,
) -> None:
    """A configuration is written before there is a database to name."""
    environ.delenv("DATABASE_URL")
    environ.delenv("REDIS_URL")
    assert promise(Settings()) == DEFAULT


@given(red=SECONDS, green=SECONDS, drain=SECONDS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_terms_are_the_gentlest_that_suit(
    kind: object, red: float, green: float, drain: float
) -> None:
    """Whatever is set: where any suit, these do, and asking twice as seldom would not."""
    assert callable(kind)
    promised = replace(DEFAULT, red=red, green=green, drain=drain)
    prober = kind(promised)
    holds = all(rule.holds for rule in rotation(prober, promised))
    assert holds is (
        prober.timeout > ANSWER
        and prober.fall * prober.interval <= red
        and prober.rise * prober.interval <= green
        and prober.leaves <= drain
    )
    seldom = replace(prober, interval=prober.interval * 2.5)
    if holds and prober.interval < 10:
        assert not all(rule.holds for rule in rotation(seldom, promised))


def test_a_prober_leaves_when_its_slowest_answers_are_in() -> None:
    """One is asked for just before; a frozen instance answers none."""
    prober = Prober(who="it", interval=1, timeout=1, fall=2)
    assert (prober.leaves, prober.returns) == (3, 2)
    slow = replace(prober, interval=0.2, timeout=0.6)
    assert (slow.leaves, slow.returns) == (1.4, 0.8)


@pytest.mark.parametrize("kind", KINDS)
def test_a_drain_that_is_too_short_is_told_with_what_would_do(kind: object) -> None:
    """Setting that holds."""
    assert callable(kind)
    prober = kind(replace(DEFAULT, drain=0))
    (wrong,) = [rule for rule in rotation(prober, replace(DEFAULT, drain=0)) if not rule.holds]
    assert wrong.remedy.startswith("DRAIN_SECONDS is 0, and ")
    assert wrong.remedy.endswith(f": set it to {prober.leaves:g} or more")
    mended = replace(DEFAULT, drain=prober.leaves)
    assert all(rule.holds for rule in rotation(prober, mended))


def test_a_kubelet_that_can_not_ask_often_enough_says_so() -> None:
    """Once a second is the most that it does."""
    hasty = replace(DEFAULT, red=0.7)
    (wrong,) = [rule for rule in rotation(kubelet(hasty), hasty) if not rule.holds]
    assert "raise CHECK_INTERVAL" in wrong.remedy


def test_a_start_and_a_stop_have_their_time() -> None:
    """Up to the very second."""
    assert started("it", 6.5, DEFAULT).holds
    assert not started("it", 6.4, DEFAULT).holds
    assert stopped("it", 10, DEFAULT).holds
    assert not stopped("it", 9.9, DEFAULT).holds
    slow = startup(replace(DEFAULT, started=100))
    assert slow.interval * slow.fall == 200


def test_what_does_not_hold_is_told_with_the_line_to_mend(tmp_path: Path) -> None:
    """In whichever file of a deployment it stands."""
    file = tmp_path / "stack.yaml"
    file.write_text("redis:\n  stop_grace_period: 1m\nbackend:\n  stop_grace_period: 9s\n")
    grace = find(file, r"stop_grace_period: (\w+)", "^backend:")
    assert grace.seconds == 9
    assert find(file, r"stop_grace_period: (\w+)").seconds == 60
    (line,) = broken([stopped("Docker", grace.seconds, DEFAULT)], {"grace": grace})
    assert line.startswith(f"{file}:4: DRAIN_SECONDS and SHUTDOWN_SECONDS")
    assert docker().timeout > ANSWER
