"""The stack of Swarm, as it is written: tests/swarm runs it."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.located import where
from tests.deploy.rules import read
from tests.deploy.swarm import rules
from tests.schemas import complaints
from tests.service import ROOT


STACK = ROOT / "deploy/swarm/stack.yaml"


@pytest.fixture(name="backend", scope="module")
def _backend() -> Any:
    return yaml.safe_load(STACK.read_text())["services"]["backend"]


def broken(file: Path) -> list[str]:
    """What does not hold of a stack, and where to mend it."""
    backend = yaml.safe_load(file.read_text())["services"]["backend"]
    given = backend["environment"].items()
    times = read({name: value for name, value in given if name.endswith("_SECONDS")})
    return [
        f"{where(file, *rule.path)}: {rule.words}"
        for rule in rules(backend, times)
        if not rule.holds
    ]


def test_its_times_fit_together(environ: pytest.MonkeyPatch) -> None:
    """Health check, update and stop, with what the service promises."""
    del environ
    assert broken(STACK) == []


@pytest.mark.parametrize(
    ("written", "changed", "mended"),
    [
        ("stop_grace_period: 20s", "stop_grace_period: 9s", None),
        ('DRAIN_SECONDS: "5"', 'DRAIN_SECONDS: "16"', "stop_grace_period: 20s"),
        ('DRAIN_SECONDS: "5"', 'DRAIN_SECONDS: "1"', None),
        ("start_period: 40s", "start_period: 5s", None),
        ("timeout: 5s", "timeout: 4s", None),
        ('- "2"', '- "0.5"', "- CMD"),
    ],
)
def test_a_change_that_breaks_one_is_told_with_its_line(
    environ: pytest.MonkeyPatch, tmp_path: Path, written: str, changed: str, mended: str | None
) -> None:
    """That of the value to mend, which need not be the one that was changed."""
    del environ
    assert STACK.read_text().count(written) == 1
    text = STACK.read_text().replace(written, changed)
    file = tmp_path / "stack.yaml"
    file.write_text(text)
    lines = text.splitlines()
    wanted = [number for number, line in enumerate(lines, 1) if (mended or changed) in line]
    told = [int(line) for line in re.findall(r"yaml:(\d+): ", "\n".join(broken(file)))]
    assert told == wanted


def test_its_schema_accepts_it() -> None:
    """That of the Compose specification, of which Swarm reads a part."""
    assert not complaints("vendor.compose-spec", STACK)


def test_no_dependency_has_a_task_replaced(backend: Any) -> None:
    """The health check asks for what no dependency can turn red."""
    urls = [word for word in backend["healthcheck"]["test"] if word.startswith("http")]
    paths = [url.removeprefix("http://127.0.0.1:8000") for url in urls]
    assert paths == ["/health/live", "/health/started"]


def test_an_update_begins_with_the_new_task(backend: Any) -> None:
    """One at a time, and back again if it does not become healthy; on one node too."""
    update = backend["deploy"]["update_config"]
    assert (update["order"], update["parallelism"]) == ("start-first", 1)
    assert update["failure_action"] == "rollback"
    assert backend["deploy"]["rollback_config"]["order"] == "start-first"
    # A port that is published on the node would be taken while the old task has it.
    assert "ports" not in backend
    assert "max_replicas_per_node" not in backend["deploy"]["placement"]


def test_a_task_that_ends_is_started_three_times(backend: Any) -> None:
    """However it ended, 5 s later, and counted in a window that an old end falls out of."""
    restart = backend["deploy"]["restart_policy"]
    assert restart == {"condition": "any", "delay": "5s", "max_attempts": 3, "window": "120s"}


def test_each_secret_is_the_services_alone_and_has_a_version(backend: Any) -> None:
    """Readable by its user and nobody else; a version of each by itself."""
    for secret in backend["secrets"]:
        assert (secret["uid"], secret["gid"], secret["mode"]) == ("10001", "10001", 0o400)
        assert secret["target"] == secret["source"]
    told = yaml.safe_load(STACK.read_text())["secrets"]
    assert sorted(secret["source"] for secret in backend["secrets"]) == sorted(told)
    for name, secret in told.items():
        version = f"${{{name.upper()}_VERSION:-1}}"
        assert secret == {
            "name": f"${{STACK:-vitals}}_{name}_{version}",
            "file": f"../../secrets/{name}.txt",
        }


def test_it_is_hardened_and_bounded(backend: Any) -> None:
    """As far as Swarm has words for it."""
    assert backend["read_only"]
    assert backend["init"]
    assert backend["cap_drop"] == ["ALL"]
    assert backend["logging"]["options"].keys() == {"max-size", "max-file"}
    assert backend["deploy"]["resources"]["limits"].keys() == {"cpus", "memory", "pids"}
    assert backend["deploy"]["placement"]["preferences"] == [{"spread": "node.labels.zone"}]
    assert backend["deploy"]["endpoint_mode"] == "dnsrr"


def test_what_crosses_nodes_is_encrypted() -> None:
    """The network of the stores is made by hand, with the same option."""
    text = STACK.read_text()
    assert yaml.safe_load(text)["networks"]["edge"]["driver_opts"] == {"encrypted": ""}
    assert "--opt encrypted --internal stores" in text
