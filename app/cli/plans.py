"""What each configuration is made of: terms, and the rules that they have to keep."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from uvicorn import Config

from app import timing
from app.timing import Prober, Promise, Rule


# Seconds after which curl gives up, within what Docker waits.
TIMEOUT = 5

# Seconds that a balancer gives a route to answer.
REQUEST = 30

# Seconds of silence after which the service closes a connection.
IDLE = Config("").timeout_keep_alive

# Seconds after which Docker and Kubernetes kill, at least: what is usual for either.
DOCKER_GRACE = 20
KUBERNETES_GRACE = 30
DOCKER_START = 40


@dataclass(frozen=True, slots=True)
class Plan:
    """A configuration but for its words.

    Attributes:
        values: what its template needs, by name.

    """

    promised: Promise
    rules: list[Rule]
    values: Mapping[str, Any]


def docker(promised: Promise) -> Plan:
    """Plan a health check that nobody acts on but who waits for a container to be healthy."""
    prober, curl = timing.docker(), Prober(who="curl", interval=1, timeout=TIMEOUT, fall=1)
    start = max(DOCKER_START, timing.tens(promised.started))
    grace = max(DOCKER_GRACE, timing.tens(promised.gone))
    rules = [
        timing.answered(curl),
        timing.outlasts(prober, curl),
        timing.started(prober.who, start, promised),
        timing.stopped(prober.who, grace, promised),
    ]
    values = {"prober": prober, "start": start, "grace": grace, "patience": TIMEOUT}
    return Plan(promised, rules, values)


def kubernetes(promised: Promise) -> Plan:
    """Plan the three probes of a container, and its end."""
    readiness, liveness = timing.kubelet(promised), timing.liveness()
    startup = timing.startup(promised)
    grace = max(KUBERNETES_GRACE, timing.tens(promised.gone))
    rules = [
        *timing.rotation(readiness, promised),
        timing.started(readiness.who, startup.interval * startup.fall, promised),
        timing.stopped(readiness.who, grace, promised),
    ]
    kubelets = (
        ("startupProbe", "/health/started", startup),
        ("livenessProbe", "/health/live", liveness),
        ("readinessProbe", "/health/ready", readiness),
    )
    return Plan(promised, rules, {"prober": readiness, "grace": grace, "kubelets": kubelets})


def haproxy(promised: Promise) -> Plan:
    """Plan a balancer that asks."""
    return _balancer(timing.haproxy(promised), promised)


def caddy(promised: Promise) -> Plan:
    """Plan a balancer that asks."""
    return _balancer(timing.caddy(promised), promised)


def _balancer(prober: Prober, promised: Promise) -> Plan:
    rules = timing.rotation(prober, promised)
    values = {"prober": prober, "request": REQUEST, "idle": IDLE, "kept": IDLE - 1}
    return Plan(promised, rules, values)


def nginx(promised: Promise) -> Plan:
    """Plan a balancer that learns from requests alone."""
    over = timing.nginx(promised)
    kept = max(1, min(IDLE, int(promised.drain)) - 1)
    rules = [timing.passed_over(over, promised), timing.let_go("nginx", kept, promised)]
    values = {"passed_over": over, "request": REQUEST, "idle": IDLE, "kept": kept}
    return Plan(promised, rules, values)


PLANS: Mapping[str, Callable[[Promise], Plan]] = {
    "docker": docker,
    "compose": docker,
    "kubernetes": kubernetes,
    "haproxy": haproxy,
    "caddy": caddy,
    "nginx": nginx,
}
