"""What the scripts of the Makefile decide."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.service import ROOT


# Hides the programs of the system, but not those of the scripts themselves.
HIDDEN = 'command() { [ "$1" != -v ] || return 1; builtin command "$@"; }; export -f command; '

# Pretends that each program is there.
SHOWN = "command() { return 0; }; export -f command; "


def run(command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a shell command in the checkout."""
    path = "/usr/sbin:/usr/bin:/sbin:/bin"
    return subprocess.run(
        ("/bin/bash", "-c", command),
        cwd=ROOT,
        env={"PATH": path, **environ},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(("name", "target"), [("system", "servers"), ("browser", "browser")])
def test_a_suite_without_its_programs_names_a_target_that_installs_them(
    name: str, target: str
) -> None:
    done = run(f"{HIDDEN}scripts/suite run {name} echo started")
    assert done.stderr.endswith(f" (make system-{target}) ***\n")
    assert f"\nsystem-{target}:" in (ROOT / "Makefile").read_text()


@pytest.mark.parametrize(("environ", "code"), [({}, 0), ({"CI": "true"}, 1)])
def test_a_suite_without_its_programs_runs_nothing_and_fails_only_in_ci(
    environ: dict[str, str], code: int
) -> None:
    done = run(f"{HIDDEN}scripts/suite run proxies echo started", **environ)
    assert (done.returncode, done.stdout) == (code, "")
    missing = "missing haproxy caddy nginx (make system-proxies)"
    assert done.stderr == f"*** NOTHING IS TESTED BEHIND A PROXY: {missing} ***\n"


def test_a_suite_without_docker_names_it() -> None:
    done = run("scripts/suite run docker echo started", DOCKER_HOST="tcp://127.0.0.1:1")
    assert "missing a Docker engine that you may use (start one" in done.stderr


def test_the_list_shows_each_suite_that_make_test_leaves_out() -> None:
    """Even in CI it is no failure: other jobs run them."""
    for command, how in (
        (HIDDEN, "missing haproxy caddy nginx (make system-proxies)"),
        (SHOWN, "run make edge-test"),
    ):
        done = run(f"{command}scripts/suite list", CI="true", DOCKER_HOST="tcp://127.0.0.1:1")
        assert (done.returncode, done.stderr.count("NOT")) == (0, 5)
        assert "ARE NOT TESTED: run make service-test ***\n" in done.stderr
        assert f"*** NOTHING IS TESTED BEHIND A PROXY: {how} ***\n" in done.stderr


def test_a_suite_with_its_programs_runs() -> None:
    """Bash is there, as it runs the script. The exit code is that of the command."""
    done = run(f"{SHOWN}scripts/suite run browser bash -c 'echo started; exit 3'")
    assert (done.returncode, done.stdout) == (3, "started\n")


@pytest.mark.parametrize("arguments", ["", "run", "run unknown true", "remove browser"])
def test_a_wrong_call_prints_the_usage(arguments: str) -> None:
    done = run(f"scripts/suite {arguments}")
    assert done.returncode == 2
    assert "Usage: scripts/suite install NAME" in done.stderr


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "not found: install Python 3.11 or newer, or use"),
        ("exit 1", "is not Python 3.11 or newer: install that, or use"),
        ("case $2 in *ensurepip) exit 1; esac", "has no working venv module: install it"),
    ],
)
def test_an_environment_needs_a_python_that_can_create_one(
    tmp_path: Path, text: str | None, problem: str
) -> None:
    """The folder that is there stays."""
    python, folder = tmp_path / "python", tmp_path / "environment"
    folder.mkdir()
    if text:
        python.write_text(f"#!/bin/sh\n{text}\n")
        python.chmod(0o755)
    done = run(f"scripts/environment {python} {folder} lock.txt")
    assert done.returncode == 1
    assert done.stderr.startswith(f"{python} {problem}")
    assert done.stderr.count("\n") == 1
    assert folder.exists()


# A `make` whose targets print their names, and fail if they are in BROKEN.
MAKE = """#!/bin/sh
echo "ran $1"
[ "$1" != "$BROKEN" ]
"""


@pytest.mark.parametrize(
    ("broken", "code", "last"), [("", 0, "image-test"), ("edge-test", 1, "edge-test")]
)
def test_the_ci_script_ends_with_a_failed_step_and_the_seconds_of_the_others(
    tmp_path: Path, broken: str, code: int, last: str
) -> None:
    (tmp_path / "run").mkdir()
    shutil.copy(ROOT / ".ci/run", tmp_path / "run/run")
    make = tmp_path / "make"
    make.write_text(MAKE)
    make.chmod(0o755)
    done = run(f"PATH={tmp_path}:$PATH {tmp_path}/run/run", BROKEN=broken)
    assert done.returncode == code
    ran = re.findall(r"^ran (.*)", done.stdout, re.MULTILINE)
    timed = re.findall(r"^\d+ s: make ([a-z-]+)", done.stdout, re.MULTILINE)
    assert ran[-1] == last
    assert timed == [name for name in ran if name != broken]


def test_each_script_states_its_usage() -> None:
    for script in (ROOT / "scripts").iterdir():
        assert f"\n# Usage: scripts/{script.name} " in script.read_text(), script.name


@pytest.fixture(name="pythons")
def _pythons(tmp_path: Path) -> Path:
    """Create two Pythons and a shim without one, beside the programs that the script needs."""
    for name in ("bash", "sed", "sh"):
        (tmp_path / name).symlink_to(f"/bin/{name}")
    for version, code in (("3.11", 0), ("3.12", 127), ("3.13", 0)):
        python = tmp_path / f"python{version}"
        python.write_text(f"#!/bin/sh\nexit {code}\n")
        python.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize(("environ", "code"), [({}, 0), ({"CI": "true"}, 1)])
def test_a_command_runs_with_each_python_that_is_there(
    pythons: Path, environ: dict[str, str], code: int
) -> None:
    """A missing one fails only in CI."""
    done = run(f"PATH={pythons} scripts/pythons echo", **environ)
    assert [line.split()[0] for line in done.stdout.splitlines()[:-1]] == [
        "PYTHON=python3.11",
        "PYTHON=python3.13",
    ]
    assert done.stdout.splitlines()[-1] == "Passed with Python 3.11 3.13. Failed with none."
    missing = "missing (uv python install 3.12 3.14)"
    assert done.stderr == f"*** NOT TESTED WITH PYTHON 3.12 3.14: {missing} ***\n"
    assert done.returncode == code


def test_a_python_with_a_failure_does_not_hide_the_others(pythons: Path) -> None:
    command = "sh -c '[ $1 = PYTHON=python3.13 ]' -"
    done = run(f"PATH={pythons} scripts/pythons {command}")
    assert done.stdout == "Passed with Python 3.13. Failed with 3.11.\n"
    assert done.returncode == 1
