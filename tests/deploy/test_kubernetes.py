"""The times of the Deployment, as it is written: tests/system has what kubectl makes of it."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.probe_config import ANSWER, promise
from app.settings import Settings
from tests.deploy.kubernetes import rules
from tests.deploy.located import where
from tests.deploy.rules import Probe, read
from tests.service import ROOT


BASE = ROOT / "deploy/kubernetes/base"


# A row of the docs' table: what, and how many seconds.
TIME = r"^\| ([a-zA-Z ]+) \| ([\d.]+) \|"


def production() -> dict[str, Any]:
    """What the overlay for production sets otherwise."""
    file = ROOT / "deploy/kubernetes/overlays/production/kustomization.yaml"
    (generated,) = yaml.safe_load(file.read_text())["configMapGenerator"]
    given = read(dict(literal.split("=", 1) for literal in generated["literals"]))
    return given.model_dump(include=given.model_fields_set)


def deployment(file: Path = BASE / "deployment.yaml") -> tuple[Any, Settings]:
    """Read a Deployment, and the settings that it sets itself."""
    told = yaml.safe_load(file.read_text())
    (container,) = told["spec"]["template"]["spec"]["containers"]
    return told, read({entry["name"]: entry["value"] for entry in container["env"]})


def broken(file: Path) -> list[str]:
    """What does not hold of a Deployment, and where to mend it."""
    return [
        f"{where(file, *rule.path)}: {rule.words}"
        for rule in rules(*deployment(file))
        if not rule.holds
    ]


def test_its_times_fit_together(environ: pytest.MonkeyPatch) -> None:
    """Probes, update and stop, with what the service promises."""
    del environ
    assert broken(BASE / "deployment.yaml") == []


@pytest.mark.parametrize(
    ("written", "changed", "mended"),
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
def test_a_change_that_breaks_one_is_told_with_its_line(
    environ: pytest.MonkeyPatch, tmp_path: Path, written: str, changed: str, mended: str | None
) -> None:
    """That of the value to mend, which need not be the one that was changed."""
    del environ
    text, changes = re.subn(rf"\b{written}(?!\d)", changed, (BASE / "deployment.yaml").read_text())
    assert changes == 1
    file = tmp_path / "deployment.yaml"
    file.write_text(text)
    lines = text.splitlines()
    wanted = [number for number, line in enumerate(lines, 1) if (mended or changed) in line]
    told = {int(line) for line in re.findall(r"yaml:(\d+): ", "\n".join(broken(file)))}
    assert told & set(wanted), broken(file)


def test_the_docs_name_its_times(environ: pytest.MonkeyPatch) -> None:
    """Each row of the table begins with the figure that is computed."""
    del environ
    told, settings = deployment()
    (container,) = told["spec"]["template"]["spec"]["containers"]
    readiness, liveness = (
        Probe.of(container, f"{name}Probe") for name in ("readiness", "liveness")
    )
    document = (ROOT / "docs/kubernetes.md").read_text()
    assert {name: float(figure) for name, figure in re.findall(TIME, document, re.MULTILINE)} == {
        "a fault is known": promise(settings).red,
        "an answer": ANSWER,
        "the kubelet has seen it": readiness.turns,
        "the pod has left the Service": promise(settings).red + readiness.turns,
        "a start": promise(settings).started,
        "a frozen process is killed": liveness.patience,
        "a stop": promise(settings).gone,
    }
    slower = promise(settings.model_copy(update=production())).red
    assert re.findall(r"in `production` ([\d.]+)", document) == [
        f"{slower:g}",
        f"{slower + readiness.turns:g}",
    ]
