"""The environment that `make` makes, and when it makes it anew."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pages import furnish
from tests.service import ROOT, clean


# Has all that make looks for, and a version that no other has.
PYTHON = "#!/bin/sh\ncase $2 in *print*) echo 9.99;; esac\n"


class Checkout:
    """A checkout, as far as `make` looks, whose environment a Python 9.99 has made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = folder.with_name("python9.99")

    def make(self, *arguments: str) -> str:
        """Tell what `make run` would do."""
        environ = {**clean(os.environ), "PATH": f"{sys.prefix}/bin:{os.environ['PATH']}"}
        command = ("make", "--dry-run", "run", *arguments)
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**environ, "MAKEFLAGS": "", "MAKELEVEL": ""},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout


@pytest.fixture(name="checkout", params=["checkout", "a check out"])
def _checkout(request: pytest.FixtureRequest, tmp_path: Path) -> Checkout:
    checkout = Checkout(tmp_path / request.param)
    for name in ("Makefile", "pyproject.toml", "requirements/development.txt"):
        (checkout.folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, checkout.folder / name)
    checkout.python.write_text(PYTHON)
    checkout.python.chmod(0o755)
    programs = checkout.folder / ".venv/bin"
    programs.mkdir(parents=True)
    (programs / "python").symlink_to(checkout.python)
    (programs / "vitals").write_text(f"#!{programs}/python\n")
    (checkout.folder / ".venv/made-9.99").touch()
    return checkout


def test_an_environment_stays_with_the_python_that_made_it(checkout: Checkout) -> None:
    """Whoever has named one once need not name it each time."""
    assert checkout.make() == "exec .venv/bin/vitals dev\n"


def test_another_python_makes_an_environment_of_its_own(checkout: Checkout) -> None:
    """It is named, and one Python's packages are not another's."""
    assert f'"{sys.executable}" -m venv .venv\n' in checkout.make(f"PYTHON={sys.executable}")


def test_where_its_python_has_gone_there_is_python3(checkout: Checkout) -> None:
    """As after the upgrade of a system."""
    checkout.python.unlink()
    assert '"python3" -m venv .venv\n' in checkout.make()


@pytest.mark.parametrize("command", ["cp -a", "mv"])
def test_what_has_come_with_its_checkout_is_made_anew(checkout: Checkout, command: str) -> None:
    """It would run the code of where it was made, and whoever changes the copy see nothing."""
    other = Checkout(checkout.folder.with_name("other"))
    subprocess.run((*command.split(), checkout.folder, other.folder), check=True)
    assert f'"{checkout.python}" -m venv .venv\n' in other.make()


def test_an_environment_that_is_linked_stays(checkout: Checkout) -> None:
    """Whoever links one means it, as these tests do."""
    shutil.rmtree(checkout.folder / ".venv")
    furnish(checkout.folder)
    assert checkout.make(f"PYTHON={sys.executable}") == "exec .venv/bin/vitals dev\n"
