"""Rules on the times of the Deployment."""

from collections.abc import Iterator
from typing import Any

from app.probe_config import ANSWER, compute_guarantees
from app.settings import Settings
from tests.repository.deploy.rules import Probe, Rule


POD = ("spec", "template", "spec")
CONTAINER = (*POD, "containers", "vitals")


def rules(deployment: Any, settings: Settings) -> Iterator[Rule]:
    """Yield the rules of a Deployment, evaluated."""
    spec = deployment["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    startup, liveness, readiness = (
        Probe.of(container, f"{name}Probe") for name in ("startup", "liveness", "readiness")
    )
    yield from _answered(startup=startup, liveness=liveness, readiness=readiness)
    yield from _lived(spec, startup, liveness, readiness, settings)
    yield from _ended(spec["template"]["spec"], container, readiness, settings)


def _answered(**probes: Probe) -> Iterator[Rule]:
    for name, probe in probes.items():
        yield Rule(
            f"the {name} probe waits {probe.timeout} s, and an answer takes {ANSWER} s at most",
            probe.timeout > ANSWER,
            (*CONTAINER, f"{name}Probe", "timeoutSeconds"),
        )


def _lived(
    spec: Any, startup: Probe, liveness: Probe, readiness: Probe, settings: Settings
) -> Iterator[Rule]:
    guarantees = compute_guarantees(settings)
    given, begins, known = startup.shortest_delay, guarantees.startup, guarantees.fault_delay
    yield Rule(
        f"a start takes {begins} s at most, and the startup probe allows {given} s",
        begins <= given,
        (*CONTAINER, "startupProbe", "failureThreshold"),
    )
    yield Rule(
        f"the service detects a fault within {known} s, and the readiness probe takes no longer: "
        f"{readiness.failures} times {readiness.period} s",
        readiness.period * readiness.failures <= known,
        (*CONTAINER, "readinessProbe", "periodSeconds"),
    )
    yield Rule(
        f"a frozen pod is out of rotation after {readiness.longest_delay} s, and killed after "
        f"{liveness.shortest_delay} s at the earliest",
        readiness.longest_delay <= liveness.shortest_delay,
        (*CONTAINER, "livenessProbe", "failureThreshold"),
    )
    yield Rule(
        f"an update watches a new pod for {spec['minReadySeconds']} s, and the readiness probe "
        f"detects a failure within {readiness.longest_delay} s",
        readiness.longest_delay <= spec["minReadySeconds"],
        ("spec", "minReadySeconds"),
    )
    late = given + spec["minReadySeconds"]
    yield Rule(
        f"a start may take {late} s, and an update counts as failed after "
        f"{spec['progressDeadlineSeconds']} s",
        late < spec["progressDeadlineSeconds"],
        ("spec", "progressDeadlineSeconds"),
    )


def _ended(pod: Any, container: Any, readiness: Probe, settings: Settings) -> Iterator[Rule]:
    waits = container.get("lifecycle", {}).get("preStop", {"sleep": {"seconds": 0}})
    yield Rule(
        "a preStop hook, if any, sleeps: the duration of other hooks is unknown",
        waits.keys() == {"sleep"},
        (*CONTAINER, "lifecycle", "preStop"),
    )
    ends = waits.get("sleep", {"seconds": 0})["seconds"] + compute_guarantees(settings).shutdown
    yield Rule(
        f"a stop takes {ends} s with preStop, DRAIN_SECONDS and SHUTDOWN_SECONDS, and the kubelet "
        f"kills after {pod['terminationGracePeriodSeconds']} s",
        ends <= pod["terminationGracePeriodSeconds"],
        (*POD, "terminationGracePeriodSeconds"),
    )
    yield Rule(
        f"a proxy that probes like the kubelet stops sending requests within "
        f"{readiness.longest_delay} s, and the service answers for DRAIN_SECONDS, "
        f"{settings.drain_seconds} s",
        readiness.longest_delay <= settings.drain_seconds,
        (*CONTAINER, "env", "DRAIN_SECONDS", "value"),
    )
