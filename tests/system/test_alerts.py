"""What promtool says of the shipped configuration and its alerts."""

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
def test_promtool_finds_nothing_to_complain_about(words: tuple[str, ...]) -> None:
    """Each alert fires in its story, and no other one does."""
    judged = subprocess.run(
        [str(program("promtool")), *words], cwd=SHIPPED, capture_output=True, check=False, text=True
    )
    assert judged.returncode == 0, judged.stdout + judged.stderr


def test_each_alert_has_a_story_in_which_it_fires() -> None:
    """One without would be a promise that nobody has seen kept."""
    stories = yaml.safe_load((SHIPPED / "alerts.test.yml").read_text())["tests"]
    fired = {
        name
        for story in stories
        for asked in story["promql_expr_test"]
        for sample in asked["exp_samples"]
        for name in re.findall(r'alertname="(\w+)"', sample["labels"])
    }
    assert fired == ALERTS.keys()


@pytest.mark.parametrize("rule", RULES, ids=ALERTS)
def test_each_alert_says_what_to_do(rule: dict[str, dict[str, str]]) -> None:
    """And how much it matters, and for how long it must hold."""
    assert rule["for"]
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"].keys() == {"summary", "description", "remedy"}
