"""What must hold of the Deployment, in seconds."""

from collections.abc import Iterator
from typing import Any

from app.probe_config import ANSWER, promise
from app.settings import Settings
from tests.deploy.rules import Probe, Rule


POD = ("spec", "template", "spec")
CONTAINER = (*POD, "containers", "vitals")


def rules(deployment: Any, settings: Settings) -> Iterator[Rule]:
    """Tell what must hold of a Deployment."""
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
            f"the {name} probe waits {probe.timeout} s, above the {ANSWER} s of an answer",
            probe.timeout > ANSWER,
            (*CONTAINER, f"{name}Probe", "timeoutSeconds"),
        )


def _lived(
    spec: Any, startup: Probe, liveness: Probe, readiness: Probe, settings: Settings
) -> Iterator[Rule]:
    given, begins, known = startup.patience, promise(settings).started, promise(settings).red
    yield Rule(
        f"a start takes {begins} s at most, and is given {given} s",
        begins <= given,
        (*CONTAINER, "startupProbe", "failureThreshold"),
    )
    yield Rule(
        f"a fault is known within {known} s, and the kubelet asks for no longer than that: "
        f"{readiness.failures} times {readiness.period} s",
        readiness.period * readiness.failures <= known,
        (*CONTAINER, "readinessProbe", "periodSeconds"),
    )
    yield Rule(
        f"a frozen pod is out of rotation after {readiness.turns} s, and not killed before "
        f"{liveness.patience} s",
        readiness.turns <= liveness.patience,
        (*CONTAINER, "livenessProbe", "failureThreshold"),
    )
    yield Rule(
        f"an update looks at a new pod for {spec['minReadySeconds']} s, and it is seen to fail "
        f"after {readiness.turns} s",
        readiness.turns <= spec["minReadySeconds"],
        ("spec", "minReadySeconds"),
    )
    late = given + spec["minReadySeconds"]
    yield Rule(
        f"a start may take {late} s, and an update is called failed after "
        f"{spec['progressDeadlineSeconds']} s",
        late < spec["progressDeadlineSeconds"],
        ("spec", "progressDeadlineSeconds"),
    )


def _ended(pod: Any, container: Any, readiness: Probe, settings: Settings) -> Iterator[Rule]:
    waits = container.get("lifecycle", {}).get("preStop", {"sleep": {"seconds": 0}})
    yield Rule(
        "a preStop sleeps, if there is any: how long another takes can't be told",
        waits.keys() == {"sleep"},
        (*CONTAINER, "lifecycle", "preStop"),
    )
    ends = waits.get("sleep", {"seconds": 0})["seconds"] + promise(settings).gone
    yield Rule(
        f"a stop takes {ends} s with preStop, DRAIN_SECONDS and SHUTDOWN_SECONDS, and the kubelet "
        f"kills after {pod['terminationGracePeriodSeconds']} s",
        ends <= pod["terminationGracePeriodSeconds"],
        (*POD, "terminationGracePeriodSeconds"),
    )
    yield Rule(
        f"who asks as the kubelet does has stopped sending after {readiness.turns} s, and the door "
        f"stays open for DRAIN_SECONDS, {settings.drain_seconds} s",
        readiness.turns <= settings.drain_seconds,
        (*CONTAINER, "env", "DRAIN_SECONDS", "value"),
    )
