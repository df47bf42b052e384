"""Rules on the times of the Deployment."""

from collections.abc import Iterator
from typing import Any

from app.probe_config import ANSWER, compute_guarantees
from app.settings import Settings
from tests.repository.deploy.rules import Probe, Rule


def rules(deployment: Any, settings: Settings) -> Iterator[Rule]:
    """Yield the rules of a Deployment, evaluated."""
    spec, guarantees = deployment["spec"], compute_guarantees(settings)
    pod, ready_after = spec["template"]["spec"], spec["minReadySeconds"]
    (container,) = pod["containers"]
    probes = {name: Probe.of(container, name) for name in container if name.endswith("Probe")}
    readiness, liveness = probes["readinessProbe"], probes["livenessProbe"]
    begins, given = guarantees.startup, probes["startupProbe"].shortest_delay
    for name, probe in probes.items():
        yield Rule(
            f"{name}.timeoutSeconds",
            probe.timeout > ANSWER,
            f"a probe waits {probe.timeout} s, and an answer takes {ANSWER} s at most",
        )
    yield Rule(
        "startupProbe.failureThreshold",
        begins <= given,
        f"a start takes {begins} s at most, and the startup probe allows {given} s",
    )
    yield Rule(
        "readinessProbe.periodSeconds",
        readiness.period * readiness.failures <= guarantees.fault_delay,
        f"the service detects a fault within {guarantees.fault_delay} s, and the readiness probe "
        f"takes no longer: {readiness.failures} times {readiness.period} s",
    )
    yield Rule(
        "livenessProbe.failureThreshold",
        readiness.longest_delay <= liveness.shortest_delay,
        f"a frozen pod is out of rotation after {readiness.longest_delay} s, and killed after "
        f"{liveness.shortest_delay} s at the earliest",
    )
    yield Rule(
        "minReadySeconds",
        readiness.longest_delay <= ready_after,
        f"an update watches a new pod for {ready_after} s, and the readiness probe detects a "
        f"failure within {readiness.longest_delay} s",
    )
    yield Rule(
        "progressDeadlineSeconds",
        given + ready_after < spec["progressDeadlineSeconds"],
        f"a start may take {given + ready_after} s, and an update counts as failed after "
        f"{spec['progressDeadlineSeconds']} s",
    )
    yield Rule(
        "DRAIN_SECONDS",
        readiness.longest_delay <= settings.drain_seconds,
        f"a proxy that probes like the kubelet stops sending requests within "
        f"{readiness.longest_delay} s, and the service answers for {settings.drain_seconds} s",
    )
    hook = container.get("lifecycle", {}).get("preStop", {"sleep": {"seconds": 0}})
    yield Rule(
        "lifecycle.preStop",
        hook.keys() == {"sleep"},
        "a preStop hook, if any, sleeps: the duration of other hooks is unknown",
    )
    ends = hook.get("sleep", {"seconds": 0})["seconds"] + guarantees.shutdown
    yield Rule(
        "terminationGracePeriodSeconds",
        ends <= pod["terminationGracePeriodSeconds"],
        f"a stop takes {ends} s with preStop, DRAIN_SECONDS and SHUTDOWN_SECONDS, and the kubelet "
        f"kills after {pod['terminationGracePeriodSeconds']} s",
    )
