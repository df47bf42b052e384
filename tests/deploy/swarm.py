"""What must hold of the stack, in seconds."""

from collections.abc import Iterator
from typing import Any

from app.probe_config import ANSWER, promise
from app.settings import Settings
from tests.deploy.rules import Probe, Rule


# How often docs/swarm.md has a proxy ask each task: each second, and the second failure counts.
PROXY = Probe(period=1, timeout=1, failures=2)

BACKEND = ("services", "backend")


def rules(service: Any, settings: Settings) -> Iterator[Rule]:
    """Tell what must hold of the service of a stack."""
    check, begins, ends = (
        service["healthcheck"],
        promise(settings).started,
        promise(settings).gone,
    )
    yield Rule(
        f"a stop takes {ends} s with DRAIN_SECONDS and SHUTDOWN_SECONDS, and the engine kills "
        f"after {service['stop_grace_period']}",
        ends <= seconds(service["stop_grace_period"]),
        (*BACKEND, "stop_grace_period"),
    )
    yield Rule(
        f"a start takes {begins} s at most, and failures count after {check['start_period']}",
        begins <= seconds(check["start_period"]),
        (*BACKEND, "healthcheck", "start_period"),
    )
    test = check["test"]
    urls = [word for word in test if word.startswith("http")]
    each = float(test[test.index("--max-time") + 1])
    yield Rule(
        f"curl waits {each} s for each answer, above its {ANSWER} s",
        each > ANSWER,
        (*BACKEND, "healthcheck", "test"),
    )
    yield Rule(
        f"curl gives up after {each * len(urls)} s, and the engine after {check['timeout']}",
        each * len(urls) < seconds(check["timeout"]),
        (*BACKEND, "healthcheck", "timeout"),
    )
    yield Rule(
        f"a proxy has stopped sending after {PROXY.turns} s, and the door stays open for "
        f"DRAIN_SECONDS, {settings.drain_seconds} s",
        PROXY.turns <= settings.drain_seconds,
        (*BACKEND, "environment", "DRAIN_SECONDS"),
    )


def seconds(told: str) -> float:
    """Read a duration, of which the files have seconds alone."""
    return float(told.removesuffix("s"))
