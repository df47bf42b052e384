"""The source file of the Swarm stack. tests/swarm runs the stack."""

from typing import Any

import pytest
import yaml

from tests.repository.deploy.rules import broken, read
from tests.repository.deploy.swarm import rules
from tests.support.schemas import complaints
from tests.support.service import ROOT


STACK = ROOT / "deploy/swarm/stack.yaml"


@pytest.fixture(name="backend", scope="module")
def _backend() -> Any:
    return yaml.safe_load(STACK.read_text())["services"]["backend"]


def broken_rules(text: str) -> list[str]:
    """Return the rules that a stack breaks."""
    backend = yaml.safe_load(text)["services"]["backend"]
    given = backend["environment"].items()
    times = read({name: value for name, value in given if name.endswith("_SECONDS")})
    return broken(rules(backend, times))


def test_its_times_meet_every_rule(environ: pytest.MonkeyPatch) -> None:
    del environ
    assert broken_rules(STACK.read_text()) == []


@pytest.mark.parametrize(
    ("written", "changed", "field"),
    [
        ("stop_grace_period: 20s", "stop_grace_period: 9s", "stop_grace_period"),
        ('DRAIN_SECONDS: "5"', 'DRAIN_SECONDS: "16"', "stop_grace_period"),
        ('DRAIN_SECONDS: "5"', 'DRAIN_SECONDS: "1"', "DRAIN_SECONDS"),
        ("start_period: 40s", "start_period: 5s", "healthcheck.start_period"),
        ("timeout: 5s", "timeout: 4s", "healthcheck.timeout"),
        ('- "2"', '- "0.5"', "healthcheck.test"),
    ],
)
def test_a_broken_rule_is_reported_with_the_field_to_change(
    environ: pytest.MonkeyPatch, written: str, changed: str, field: str
) -> None:
    """It can differ from the changed one."""
    del environ
    assert STACK.read_text().count(written) == 1
    reported = broken_rules(STACK.read_text().replace(written, changed))
    assert [line.partition(":")[0] for line in reported] == [field]


@pytest.mark.slow
def test_it_is_valid_by_the_schema_of_the_compose_specification() -> None:
    """Swarm supports a part of that specification."""
    assert not complaints("vendor.compose-spec", STACK)


def test_the_health_check_does_not_depend_on_dependencies(backend: Any) -> None:
    """Otherwise Swarm would replace every task while a database is down."""
    urls = [word for word in backend["healthcheck"]["test"] if word.startswith("http")]
    paths = [url.removeprefix("http://127.0.0.1:8000") for url in urls]
    assert paths == ["/health/live", "/health/started"]


def test_an_update_starts_one_new_task_at_a_time_and_rolls_back_on_failure(backend: Any) -> None:
    update = backend["deploy"]["update_config"]
    assert (update["order"], update["parallelism"]) == ("start-first", 1)
    assert update["failure_action"] == "rollback"
    assert backend["deploy"]["rollback_config"]["order"] == "start-first"
    # On a single node the old task would still hold a published port.
    assert "ports" not in backend
    assert "max_replicas_per_node" not in backend["deploy"]["placement"]


def test_a_task_is_restarted_at_most_three_times_in_two_minutes(backend: Any) -> None:
    restart = backend["deploy"]["restart_policy"]
    assert restart == {"condition": "any", "delay": "5s", "max_attempts": 3, "window": "120s"}


def test_only_the_services_user_can_read_a_secret_and_each_has_a_version(backend: Any) -> None:
    for secret in backend["secrets"]:
        assert (secret["uid"], secret["gid"], secret["mode"]) == ("10001", "10001", 0o400)
        assert secret["target"] == secret["source"]
    secrets = yaml.safe_load(STACK.read_text())["secrets"]
    assert sorted(secret["source"] for secret in backend["secrets"]) == sorted(secrets)
    for name, secret in secrets.items():
        version = f"${{{name.upper()}_VERSION:-1}}"
        assert secret == {
            "name": f"${{STACK:-vitals}}_{name}_{version}",
            "file": f"../../secrets/{name}.txt",
        }


def test_it_uses_the_hardening_and_limits_that_swarm_supports(backend: Any) -> None:
    assert backend["read_only"]
    assert backend["init"]
    assert backend["cap_drop"] == ["ALL"]
    assert backend["logging"]["options"].keys() == {"max-size", "max-file"}
    assert backend["deploy"]["resources"]["limits"].keys() == {"cpus", "memory", "pids"}
    assert backend["deploy"]["placement"]["preferences"] == [{"spread": "node.labels.zone"}]
    assert backend["deploy"]["endpoint_mode"] == "dnsrr"


def test_networks_between_nodes_are_encrypted() -> None:
    """Operators create the network of the stores by hand, with the same option."""
    text = STACK.read_text()
    assert yaml.safe_load(text)["networks"]["edge"]["driver_opts"] == {"encrypted": ""}
    assert "--opt encrypted --internal stores" in text
