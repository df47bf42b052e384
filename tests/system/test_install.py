"""`make install` into a temporary folder. It downloads the packages that the lock names."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import app
from tests.support.service import ROOT, running
from tests.system.servers import program


pytestmark = pytest.mark.waits

MAX_SIZE = 135 * 10**6

SOURCES = ("Makefile", "pyproject.toml", "README.md", "LICENSE", "requirements", "scripts", "app")


def make(folder: Path, prefix: Path) -> subprocess.CompletedProcess[str]:
    """Run `make install` in a folder, with this Python and a umask that hides new files."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        (str(program("make")), "install", f"PREFIX={prefix}", f"PYTHON={sys.executable}"),
        cwd=folder,
        env=environ,
        umask=0o077,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(name="checkout", scope="module")
def _checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkout")
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(name="prefix", scope="module")
def _prefix(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    prefix = tmp_path_factory.mktemp("opt") / "vitals"
    done = make(checkout, prefix)
    assert (done.returncode, done.stdout) == (0, f"vitals {app.__version__}\n"), done.stderr
    yield prefix
    shutil.rmtree(prefix)


def test_it_takes_at_most_135_mb(prefix: Path) -> None:
    size = sum(file.lstat().st_size for file in prefix.rglob("*") if not file.is_dir())
    assert size <= MAX_SIZE


def test_it_has_the_production_lock_and_the_project_alone(prefix: Path) -> None:
    lock = (ROOT / "requirements/production.txt").read_text()
    locked = {name.lower() for name in re.findall(r"^([\w.-]+)==", lock, re.MULTILINE)}
    (site,) = prefix.glob("lib/python3.*/site-packages")
    found = {
        re.sub("_", "-", entry.name.split("-")[0]).lower() for entry in site.glob("*.dist-info")
    }
    assert "vitals" in found
    assert found - {"vitals"} <= locked
    assert not {"pip", "pytest", "hatchling"} & found


def test_every_user_can_read_it(prefix: Path) -> None:
    """The service's user is not the one who installs."""
    assert not [path for path in prefix.rglob("*") if not path.stat().st_mode & 0o004]


def test_it_serves_without_the_checkout(prefix: Path, tmp_path: Path) -> None:
    command = ("env", "--chdir=/", str(prefix / "bin/vitals"), "serve")
    environ = {"REDIS_URL": "redis://127.0.0.1:1", "REDIS_AUTH": "none", "DRAIN_SECONDS": "0"}
    with running(environ, tmp_path / "log", command) as service:
        assert service.ask("/health").json["checks"]["redis"]["status"] != "pass"
        (process,) = Path(f"/proc/{service.process.pid}/cmdline").read_text().split("\0")[:1]
        assert process.startswith(str(prefix))


def test_an_upgrade_that_fails_keeps_the_old_version(
    checkout: Path, prefix: Path, tmp_path: Path
) -> None:
    """Nothing is removed before everything was downloaded."""
    broken = tmp_path / "broken"
    shutil.copytree(checkout, broken)
    lock = broken / "requirements/production.txt"
    lock.write_text(f"vitals-of-another-kind==1.0 --hash=sha256:{'0' * 64}\n{lock.read_text()}")
    assert make(broken, prefix).returncode
    done = subprocess.run((prefix / "bin/vitals", "--version"), capture_output=True, check=True)
    assert done.stdout.decode() == f"vitals {app.__version__}\n"


def test_a_folder_that_is_no_environment_is_kept(checkout: Path, tmp_path: Path) -> None:
    """Such as /usr/local."""
    (tmp_path / "file").touch()
    done = make(checkout, tmp_path)
    assert done.returncode
    assert "exists and is no virtual environment. Set PREFIX to another folder." in done.stderr
    assert (tmp_path / "file").exists()
