"""Validates the shipped Prometheus configuration and its alerts with promtool."""

import re
import subprocess

import pytest
import yaml

from tests.system.prometheus import ALERTS, SHIPPED
from tests.system.servers import program


RULES = yaml.safe_load((SHIPPED / "alerts.yml").read_text())["groups"][0]["rules"]


@pytest.mark.parametrize(
    "words",
    [
        ("check", "config", "--lint-fatal", "prometheus.yml"),
        ("check", "rules", "--lint-fatal", "alerts.yml"),
        ("test", "rules", "alerts.test.yml"),
    ],
)
def test_promtool_accepts_the_configuration(words: tuple[str, ...]) -> None:
    """In each scenario the expected alerts fire, and no others."""
    done = subprocess.run(
        [str(program("promtool")), *words], cwd=SHIPPED, capture_output=True, check=False, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_fires_in_a_test_scenario() -> None:
    """An alert without a scenario would be untested."""
    scenarios = yaml.safe_load((SHIPPED / "alerts.test.yml").read_text())["tests"]
    fired = {
        name
        for scenario in scenarios
        for query in scenario["promql_expr_test"]
        for sample in query["exp_samples"]
        for name in re.findall(r'alertname="(\w+)"', sample["labels"])
    }
    assert fired == ALERTS.keys()


@pytest.mark.parametrize("rule", RULES, ids=ALERTS)
def test_each_alert_has_a_remedy(rule: dict[str, dict[str, str]]) -> None:
    """It also has a severity, and a time for which its expression must hold."""
    assert rule["for"]
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"].keys() == {"summary", "description", "remedy"}
