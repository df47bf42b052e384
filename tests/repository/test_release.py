"""The files of a release except the image, which tests/image tests."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

import app
from tests.repository.doc_tables import VERSION
from tests.support.service import ROOT


pytestmark = pytest.mark.slow

ENVIRONMENT = Path(sys.executable).parent.parent
COMMIT_DATE = {"GIT_AUTHOR_DATE": "1800000000 +0000", "GIT_COMMITTER_DATE": "1800000000 +0000"}
AUTHOR = ("-c", "user.name=test", "-c", "user.email=test@localhost")
NO_ENGINE = {"DOCKER_HOST": "tcp://127.0.0.1:1"}


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder, with a fixed commit date."""
    command = ("git", *AUTHOR, *arguments)
    environ = {**os.environ, **COMMIT_DATE}
    return subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, text=True, check=True
    ).stdout


def release(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run `make release` with this environment's tools and without a Docker engine."""
    made = f".venv/made-{sys.version_info.major}.{sys.version_info.minor}"
    # A link, because the checkout's path may contain a space.
    tools = folder.with_name("tools")
    tools.unlink(missing_ok=True)
    tools.symlink_to(ENVIRONMENT)
    command = ("make", "-o", made, f"BIN={tools}/bin", f"PYTHON={sys.executable}", "release")
    environ = {**os.environ, **NO_ENGINE}
    return subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, text=True, check=False
    )


def checksums(folder: Path) -> Mapping[str, str]:
    """Return the checksums in SHA256SUMS by file name."""
    lines = (folder / "dist/SHA256SUMS").read_text().splitlines()
    return {name: checksum for checksum, name in (line.split() for line in lines)}


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with one commit of this checkout's tracked files in their current state."""
    folder = tmp_path_factory.mktemp("released") / "repository"
    for name in git(ROOT, "ls-files", "-z").split("\0"):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "Copy the checkout")
    return folder


@pytest.fixture(name="made", scope="module")
def _made(folder: Path) -> subprocess.CompletedProcess[str]:
    return release(folder)


@pytest.fixture(name="wheel", scope="module")
def _wheel(folder: Path, made: subprocess.CompletedProcess[str]) -> Path:
    assert made.returncode == 0, made.stderr
    return folder / f"dist/vitals-{app.__version__}-py3-none-any.whl"


def test_a_release_without_a_docker_engine_says_so_and_has_every_other_file(
    folder: Path, made: subprocess.CompletedProcess[str]
) -> None:
    assert made.returncode == 0, made.stderr
    assert "THIS RELEASE HAS NO IMAGE" in made.stderr
    release = f"vitals-{app.__version__}"
    wheel = f"{release}-py3-none-any.whl"
    assert checksums(folder).keys() == {wheel, f"{release}.cdx.json"}
    for name, checksum in checksums(folder).items():
        assert hashlib.sha256((folder / "dist" / name).read_bytes()).hexdigest() == checksum
    with zipfile.ZipFile(folder / "dist" / wheel) as archive:
        metadata = archive.read(f"{release}.dist-info/METADATA").decode()
    assert f"\nVersion: {app.__version__}\n" in metadata


def test_the_wheel_has_every_file_of_the_package(folder: Path, wheel: Path) -> None:
    """And no others, such as the development servers."""
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    package = git(folder, "ls-files", "app").split()
    assert packed == set(package)


def test_vitals_dev_from_the_wheel_says_what_is_missing(wheel: Path, tmp_path: Path) -> None:
    command = (sys.executable, "-m", "app", "dev")
    # The environment of the tests has them, so a module in the current folder hides them.
    (tmp_path / "tests.py").write_text("raise ModuleNotFoundError")
    environ = {**os.environ, "PYTHONPATH": str(wheel)}
    refused = subprocess.run(
        command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )
    assert refused.returncode == 1
    assert refused.stderr == (
        "vitals: vitals dev needs a checkout with the development tools:"
        " clone the repository and run `make run` in it.\n"
    )


@pytest.mark.usefixtures("made")
def test_the_bill_of_materials_lists_the_pinned_distributions_with_their_hashes(
    folder: Path,
) -> None:
    bill = json.loads((folder / f"dist/vitals-{app.__version__}.cdx.json").read_text())
    lock = (ROOT / "requirements/production.txt").read_text()
    listed = {(part["name"], part["version"]) for part in bill["components"]}
    assert listed == set(re.findall(r"^([\w.-]+)(?:\[.*\])?==([^ ;\\]+)", lock, re.MULTILINE))
    hashes = [entry["content"] for part in bill["components"] for entry in _hashes(part)]
    assert sorted(hashes) == sorted(re.findall(r"sha256:(\w+)", lock))
    assert bill["metadata"]["component"]["version"] == app.__version__
    assert bill["metadata"]["timestamp"] == "2027-01-15T08:00:00+00:00"  # the commit's
    assert bill["bomFormat"] == "CycloneDX"


def _hashes(part: Mapping[str, list[dict[str, list[dict[str, str]]]]]) -> list[dict[str, str]]:
    return [entry for source in part["externalReferences"] for entry in source["hashes"]]


@pytest.mark.usefixtures("made")
def test_two_releases_of_one_commit_are_identical(folder: Path) -> None:
    first = checksums(folder)
    assert release(folder).returncode == 0
    assert checksums(folder) == first


def test_a_release_with_uncommitted_changes_is_refused(folder: Path) -> None:
    (folder / "app/main.py").touch()
    (folder / "left").write_text("uncommitted")
    refused = release(folder)
    (folder / "left").unlink()
    assert refused.returncode != 0
    assert "Commit first" in refused.stderr


def test_the_newest_release_in_the_changelog_is_the_version() -> None:
    heads = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert heads[0] == "Unreleased"
    assert re.fullmatch(rf"{re.escape(app.__version__)} - \d{{4}}-\d\d-\d\d", heads[1])


def test_only_the_package_states_the_version() -> None:
    """The wheel and the metrics read it. `make docs-tables` copies it where nothing can read it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "version" in project["dynamic"]
    assert "version" not in project
    stated = re.compile(rf"(?<![\d.]){re.escape(app.__version__)}(?![\d.])")
    files = ["Makefile", *git(ROOT, "ls-files", "docker", "app", "compose*").split()]
    texts = {name: VERSION.sub("", (ROOT / name).read_text()) for name in files}
    assert [name for name, text in texts.items() if stated.search(text)] == ["app/__init__.py"]
