"""Rules on the times of the stack."""

from collections.abc import Iterator
from typing import Any

from app.probe_config import ANSWER, compute_guarantees
from app.settings import Settings
from tests.repository.deploy.rules import Probe, Rule


# The proxy's probe in docs/swarm.md.
PROXY = Probe(period=1, timeout=1, failures=2)

BACKEND = ("services", "backend")


def rules(service: Any, settings: Settings) -> Iterator[Rule]:
    """Yield the rules of the service of a stack, evaluated."""
    check, begins, ends = (
        service["healthcheck"],
        compute_guarantees(settings).startup,
        compute_guarantees(settings).shutdown,
    )
    yield Rule(
        f"a stop takes {ends} s with DRAIN_SECONDS and SHUTDOWN_SECONDS, and the engine kills "
        f"after {service['stop_grace_period']}",
        ends <= seconds(service["stop_grace_period"]),
        (*BACKEND, "stop_grace_period"),
    )
    yield Rule(
        f"a start takes {begins} s at most, and the engine counts failures after "
        f"{check['start_period']}",
        begins <= seconds(check["start_period"]),
        (*BACKEND, "healthcheck", "start_period"),
    )
    test = check["test"]
    urls = [word for word in test if word.startswith("http")]
    each = float(test[test.index("--max-time") + 1])
    yield Rule(
        f"curl waits {each} s for each answer, which takes {ANSWER} s at most",
        each > ANSWER,
        (*BACKEND, "healthcheck", "test"),
    )
    yield Rule(
        f"curl gives up after {each * len(urls)} s, and the engine after {check['timeout']}",
        each * len(urls) < seconds(check["timeout"]),
        (*BACKEND, "healthcheck", "timeout"),
    )
    yield Rule(
        f"a proxy stops sending requests within {PROXY.longest_delay} s, and the service answers "
        f"for DRAIN_SECONDS, {settings.drain_seconds} s",
        PROXY.longest_delay <= settings.drain_seconds,
        (*BACKEND, "environment", "DRAIN_SECONDS"),
    )


def seconds(duration: str) -> float:
    """Parse a duration. The stack uses seconds only."""
    return float(duration.removesuffix("s"))
