"""The times of the Deployment in the source file. tests/system tests what kubectl renders."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.probe_config import ANSWER, compute_guarantees
from app.settings import Settings
from tests.repository.deploy.kubernetes import rules
from tests.repository.deploy.located import where
from tests.repository.deploy.rules import Probe, read
from tests.support.service import ROOT


BASE = ROOT / "deploy/kubernetes/base"


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


def broken(file: Path) -> list[str]:
    """Return the rules that a Deployment breaks, each with the line to change."""
    return [
        f"{where(file, *rule.path)}: {rule.words}"
        for rule in rules(*deployment(file))
        if not rule.holds
    ]


def test_its_times_meet_every_rule(environ: pytest.MonkeyPatch) -> None:
    del environ
    assert broken(BASE / "deployment.yaml") == []


@pytest.mark.parametrize(
    ("written", "changed", "reported"),
    [
        ("terminationGracePeriodSeconds: 30", "terminationGracePeriodSeconds: 19", None),
        ("DRAIN_SECONDS, value: .15.", 'DRAIN_SECONDS, value: "26"', "terminationGracePeriod"),
        ("DRAIN_SECONDS, value: .15.", 'DRAIN_SECONDS, value: "2"', None),
        ("SHUTDOWN_SECONDS, value: .3.", 'SHUTDOWN_SECONDS, value: "14"', "terminationGrace"),
        ("image: vitals", "lifecycle: {preStop: {sleep: {seconds: 11}}}", "terminationGrace"),
        ("image: vitals", "lifecycle: {preStop: {exec: {command: [sleep]}}}", None),
        ("minReadySeconds: 5", "minReadySeconds: 2", None),
        ("progressDeadlineSeconds: 120", "progressDeadlineSeconds: 30", None),
        ("failureThreshold: 30", "failureThreshold: 5", None),
        ("periodSeconds: 10", "periodSeconds: 1", "failureThreshold: 3"),
        ("failureThreshold: 2", "failureThreshold: 3", "periodSeconds: 1"),
        ("timeoutSeconds: 2", "timeoutSeconds: 0.4", None),
    ],
)
def test_a_broken_rule_is_reported_with_the_line_to_change(
    environ: pytest.MonkeyPatch, tmp_path: Path, written: str, changed: str, reported: str | None
) -> None:
    """The line to change can differ from the changed one."""
    del environ
    text, changes = re.subn(rf"\b{written}(?!\d)", changed, (BASE / "deployment.yaml").read_text())
    assert changes == 1
    file = tmp_path / "deployment.yaml"
    file.write_text(text)
    lines = text.splitlines()
    wanted = [number for number, line in enumerate(lines, 1) if (reported or changed) in line]
    lines_to_change = {int(line) for line in re.findall(r"yaml:(\d+): ", "\n".join(broken(file)))}
    assert lines_to_change & set(wanted), broken(file)


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
