"""When `make` creates the virtual environment, and when it reuses it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.pages import furnish
from tests.support.service import ROOT, clean


MAKEFILE = (ROOT / "Makefile").read_text()

# Passes the checks of the Makefile, with a version that no real Python has.
PYTHON = "#!/bin/sh\ncase $2 in *print*) echo 9.99;; esac\n"


class Checkout:
    """The files of a checkout that `make` reads, with an environment of Python 9.99."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = folder.with_name("python9.99")

    def make(self, *arguments: str, goal: str = "run") -> str:
        """Return the commands that `make` would execute for a goal."""
        environ = {**clean(os.environ), "PATH": f"{sys.prefix}/bin:{os.environ['PATH']}"}
        # `make test PYTHON=...` exports these.
        for name in ("MAKEOVERRIDES", "PYTHON"):
            environ.pop(name, None)
        command = ("make", "--dry-run", goal, *arguments)
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


def test_an_environment_is_reused_with_the_python_that_created_it(checkout: Checkout) -> None:
    """PYTHON has to be given only once."""
    assert checkout.make() == "exec .venv/bin/vitals dev\n"


def test_naming_another_python_creates_a_new_environment(checkout: Checkout) -> None:
    assert f'environment "{sys.executable}" .venv' in checkout.make(f"PYTHON={sys.executable}")


def test_python3_is_used_if_the_python_of_the_environment_is_gone(checkout: Checkout) -> None:
    """As after a system upgrade."""
    checkout.python.unlink()
    assert 'environment "python3" .venv' in checkout.make()


@pytest.mark.parametrize("command", ["cp -a", "mv"])
def test_a_copied_or_moved_environment_is_created_again(checkout: Checkout, command: str) -> None:
    """It would still run the code of the original checkout."""
    other = Checkout(checkout.folder.with_name("other"))
    subprocess.run((*command.split(), checkout.folder, other.folder), check=True)
    assert f'environment "{checkout.python}" .venv' in other.make()


def test_a_linked_environment_is_reused(checkout: Checkout) -> None:
    shutil.rmtree(checkout.folder / ".venv")
    furnish(checkout.folder)
    assert checkout.make(f"PYTHON={sys.executable}") == "exec .venv/bin/vitals dev\n"


def test_help_starts_no_python(checkout: Checkout) -> None:
    """It is there before Python is."""
    checkout.python.write_text(f"#!/bin/sh\ntouch {checkout.folder}/started\n")
    assert "scripts" not in checkout.make(goal="help")
    assert not (checkout.folder / "started").exists()


def test_a_target_has_three_lines_at_most() -> None:
    """The logic is in scripts/."""
    recipes = re.findall(r"^([\w.$()-]+):[^=\n]*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    assert len(recipes) > 20
    assert [name for name, recipe in recipes if recipe.count("\n") > 3] == []
