"""What GitHub is told to do, by the schemas and the linter that need no network."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.schemas import complaints
from tests.service import ROOT


HOME = ROOT / ".github"
WORKFLOWS = {path.stem: path.read_text() for path in sorted(HOME.glob("workflows/*"))}
JOBS = {
    f"{workflow} {name}": job
    for workflow, text in WORKFLOWS.items()
    for name, job in yaml.safe_load(text)["jobs"].items()
}


LONG = {"bench-quick", "faults", "fleet", "mutants", "soak", "swarm-test"}


def made(workflow: str, event: str = "") -> set[str]:
    """The words of what a workflow runs at an event."""
    elsewhere = f"github.event_name != '{event}'"
    jobs = [job for name, job in JOBS.items() if name.startswith(f"{workflow} ")]
    steps = [step for job in jobs if job.get("if") != elsewhere for step in job["steps"]]
    return set(" ".join(step.get("run", "") for step in steps).split())


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
def test_github_takes_each_file(schema: str, files: str) -> None:
    """By the schema that it is published with; a job without a timeout is refused too."""
    found = sorted(HOME.glob(files))
    assert found
    assert not complaints(schema, *found)


def test_the_linter_of_workflows_finds_nothing() -> None:
    """Pinned actions, no credentials left behind, no right too many, nothing to inject into."""
    zizmor = Path(sys.executable).with_name("zizmor")
    command = (zizmor, "--offline", "--persona", "auditor", "--strict-collection", HOME)
    judged = subprocess.run(command, capture_output=True, text=True, check=False)
    assert judged.returncode == 0, judged.stdout


@pytest.mark.parametrize("job", JOBS)
def test_a_job_may_read_the_code_and_nothing_else(job: str) -> None:
    """Whoever gets hold of one can change nothing."""
    assert JOBS[job]["permissions"] == {"contents": "read"}


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_an_action_is_a_commit_with_its_version_beside_it(workflow: str) -> None:
    """A tag can be moved; the version is for whoever reads it, and for the updates."""
    uses = re.findall(r"uses: (.*)", WORKFLOWS[workflow])
    assert uses
    assert not [use for use in uses if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v[\d.]+", use)]


def test_every_python_that_is_promised_is_tested() -> None:
    """The classifiers of the package and the matrix are one list."""
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    promised = [line.split()[-1] for line in project["classifiers"] if "Python :: 3." in line]
    assert JOBS["ci test"]["strategy"]["matrix"]["python"] == promised


def test_what_has_to_hold_is_what_is_run() -> None:
    """Each target of .ci/run is some job's."""
    wanted = re.findall(r"^make (.*)", (ROOT / ".ci/run").read_text(), re.MULTILINE)
    assert set(" ".join(wanted).split()) <= made("ci") | made("measure", "pull_request")


def test_what_takes_long_is_run_each_week() -> None:
    """Of pull requests two are short enough."""
    assert made("measure", "schedule") >= LONG
    assert LONG & made("measure", "pull_request") == {"bench-quick", "faults"}
