"""Rules on the times of the stack."""

from collections.abc import Iterator
from typing import Any

from app.probe_config import ANSWER, compute_guarantees
from app.settings import Settings
from tests.repository.deploy.rules import Probe, Rule


# The proxy's probe in docs/swarm.md.
PROXY = Probe(period=1, timeout=1, failures=2)


def rules(service: Any, settings: Settings) -> Iterator[Rule]:
    """Yield the rules of the service of a stack, evaluated."""
    check, guarantees = service["healthcheck"], compute_guarantees(settings)
    begins, ends, grace = guarantees.startup, guarantees.shutdown, service["stop_grace_period"]
    yield Rule(
        "stop_grace_period",
        ends <= seconds(grace),
        f"a stop takes {ends} s with DRAIN_SECONDS and SHUTDOWN_SECONDS, and the engine kills "
        f"after {grace}",
    )
    yield Rule(
        "healthcheck.start_period",
        begins <= seconds(check["start_period"]),
        f"a start takes {begins} s at most, and the engine counts failures after "
        f"{check['start_period']}",
    )
    test = check["test"]
    each = float(test[test.index("--max-time") + 1])
    total = each * len([word for word in test if word.startswith("http")])
    yield Rule(
        "healthcheck.test",
        each > ANSWER,
        f"curl waits {each} s for each answer, which takes {ANSWER} s at most",
    )
    yield Rule(
        "healthcheck.timeout",
        total < seconds(check["timeout"]),
        f"curl gives up after {total} s, and the engine after {check['timeout']}",
    )
    yield Rule(
        "DRAIN_SECONDS",
        PROXY.longest_delay <= settings.drain_seconds,
        f"a proxy stops sending requests within {PROXY.longest_delay} s, and the service answers "
        f"for {settings.drain_seconds} s",
    )


def seconds(duration: str) -> float:
    """Parse a duration. The stack uses seconds only."""
    return float(duration.removesuffix("s"))
