"""The times of the Deployment in the source file. tests/system tests what kubectl renders."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.probe_config import ANSWER, compute_guarantees
from app.settings import Settings
from tests.repository.deploy.kubernetes import rules
from tests.repository.deploy.rules import Probe, broken, read
from tests.support.service import ROOT


BASE = ROOT / "deploy/kubernetes/base"
GRACE = "terminationGracePeriodSeconds"

# A row of the table in docs/kubernetes.md: a name and seconds.
TIME = r"^\| ([a-zA-Z ]+) \| ([\d.]+) \|"


def production() -> dict[str, Any]:
    """Return the settings that the production overlay changes."""
    file = ROOT / "deploy/kubernetes/overlays/production/kustomization.yaml"
    (generated,) = yaml.safe_load(file.read_text())["configMapGenerator"]
    given = read(dict(literal.split("=", 1) for literal in generated["literals"]))
    return given.model_dump(include=given.model_fields_set)


def deployment(file: Path = BASE / "deployment.yaml") -> tuple[Any, Settings]:
    """Return a Deployment and the settings in its own variables."""
    document = yaml.safe_load(file.read_text())
    (container,) = document["spec"]["template"]["spec"]["containers"]
    return document, read({entry["name"]: entry["value"] for entry in container["env"]})


def test_its_times_meet_every_rule(environ: pytest.MonkeyPatch) -> None:
    del environ
    assert broken(rules(*deployment())) == []


@pytest.mark.parametrize(
    ("written", "changed", "field"),
    [
        (f"{GRACE}: 30", f"{GRACE}: 19", GRACE),
        ("DRAIN_SECONDS, value: .15.", 'DRAIN_SECONDS, value: "26"', GRACE),
        ("DRAIN_SECONDS, value: .15.", 'DRAIN_SECONDS, value: "2"', "DRAIN_SECONDS"),
        ("SHUTDOWN_SECONDS, value: .3.", 'SHUTDOWN_SECONDS, value: "14"', GRACE),
        ("image: vitals", "lifecycle: {preStop: {sleep: {seconds: 11}}}", GRACE),
        ("image: vitals", "lifecycle: {preStop: {exec: {command: [sleep]}}}", "lifecycle.preStop"),
        ("minReadySeconds: 5", "minReadySeconds: 2", "minReadySeconds"),
        ("progressDeadlineSeconds: 120", "progressDeadlineSeconds: 30", "progressDeadlineSeconds"),
        ("failureThreshold: 30", "failureThreshold: 5", "startupProbe.failureThreshold"),
        ("periodSeconds: 10", "periodSeconds: 1", "livenessProbe.failureThreshold"),
        ("failureThreshold: 2", "failureThreshold: 3", "readinessProbe.periodSeconds"),
        ("timeoutSeconds: 2", "timeoutSeconds: 0.4", "livenessProbe.timeoutSeconds"),
    ],
)
def test_a_broken_rule_is_reported_with_the_field_to_change(
    environ: pytest.MonkeyPatch, tmp_path: Path, written: str, changed: str, field: str
) -> None:
    """It can differ from the changed one."""
    del environ
    text, changes = re.subn(rf"\b{written}(?!\d)", changed, (BASE / "deployment.yaml").read_text())
    assert changes == 1
    file = tmp_path / "deployment.yaml"
    file.write_text(text)
    reported = broken(rules(*deployment(file)))
    assert field in [line.partition(":")[0] for line in reported], reported


def test_the_docs_state_its_computed_times(environ: pytest.MonkeyPatch) -> None:
    del environ
    document, settings = deployment()
    (container,) = document["spec"]["template"]["spec"]["containers"]
    readiness, liveness = (
        Probe.of(container, f"{name}Probe") for name in ("readiness", "liveness")
    )
    page = (ROOT / "docs/kubernetes.md").read_text()
    guarantees = compute_guarantees(settings)
    assert {name: float(figure) for name, figure in re.findall(TIME, page, re.MULTILINE)} == {
        "a fault is known": guarantees.fault_delay,
        "an answer": ANSWER,
        "the kubelet has seen it": readiness.longest_delay,
        "the pod has left the Service": guarantees.fault_delay + readiness.longest_delay,
        "a start": guarantees.startup,
        "a frozen process is killed": liveness.shortest_delay,
        "a stop": guarantees.shutdown,
    }
    slower = compute_guarantees(Settings(**dict(settings) | production())).fault_delay
    assert re.findall(r"in `production` ([\d.]+)", page) == [
        f"{slower:g}",
        f"{slower + readiness.longest_delay:g}",
    ]
