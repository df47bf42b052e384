"""The files in .github, checked by schemas and a linter without network access."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.schemas import complaints
from tests.support.service import ROOT


HOME = ROOT / ".github"
WORKFLOWS = {path.stem: path.read_text() for path in sorted(HOME.glob("workflows/*"))}
JOBS = {
    f"{workflow} {name}": job
    for workflow, text in WORKFLOWS.items()
    for name, job in yaml.safe_load(text)["jobs"].items()
}


LONG = {"bench-quick", "faults", "fleet", "mutants", "soak", "swarm-test"}


def commands(workflow: str, event: str = "") -> set[str]:
    """Return the words of all commands that a workflow runs for an event."""
    elsewhere = f"github.event_name != '{event}'"
    jobs = [job for name, job in JOBS.items() if name.startswith(f"{workflow} ")]
    steps = [step for job in jobs if job.get("if") != elsewhere for step in job["steps"]]
    return set(" ".join(step.get("run", "") for step in steps).split())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("vendor.github-workflows", "workflows/*"),
        ("custom.github-workflows-require-timeout", "workflows/*"),
        ("vendor.dependabot", "dependabot.yaml"),
        ("vendor.github-issue-config", "ISSUE_TEMPLATE/config.yml"),
        ("vendor.github-issue-forms", "ISSUE_TEMPLATE/[!c]*"),
    ],
)
def test_every_file_is_valid_by_its_schema(schema: str, files: str) -> None:
    """One of the schemas requires that each job has a timeout."""
    found = sorted(HOME.glob(files))
    assert found
    assert not complaints(schema, *found)


def test_zizmor_finds_no_security_problem_in_the_workflows() -> None:
    zizmor = Path(sys.executable).with_name("zizmor")
    command = (zizmor, "--offline", "--persona", "auditor", "--strict-collection", HOME)
    linted = subprocess.run(command, capture_output=True, text=True, check=False)
    assert linted.returncode == 0, linted.stdout


@pytest.mark.parametrize("job", JOBS)
def test_a_job_may_only_read_the_repository(job: str) -> None:
    assert JOBS[job]["permissions"] == {"contents": "read"}


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_actions_are_pinned_by_commit_with_the_version_in_a_comment(workflow: str) -> None:
    """A tag can be moved. Dependabot updates the comment with the commit."""
    uses = re.findall(r"uses: (.*)", WORKFLOWS[workflow])
    assert uses
    assert not [use for use in uses if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v[\d.]+", use)]


def test_every_supported_python_version_is_tested() -> None:
    """The package's classifiers and the matrix list the same versions."""
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    supported = [line.split()[-1] for line in project["classifiers"] if "Python :: 3." in line]
    assert JOBS["ci test"]["strategy"]["matrix"]["python"] == supported


def test_the_workflows_run_every_target_of_the_ci_script() -> None:
    wanted = re.findall(r"\bmake ([a-z-]+)$", (ROOT / ".ci/run").read_text(), re.MULTILINE)
    assert len(wanted) > 5
    assert set(wanted) <= commands("ci") | commands("measure", "pull_request")


def test_long_targets_run_weekly_and_two_of_them_for_pull_requests() -> None:
    assert commands("measure", "schedule") >= LONG
    assert LONG & commands("measure", "pull_request") == {"bench-quick", "faults"}
