"""Where a server's program is installed."""

import importlib.util
import os
import platform
import shutil
from pathlib import Path


# Servers refuse to run as root, or should: `nobody` runs them then.
NOBODY = 65534

OWN_SERVERS = "run `vitals serve` on servers of your own"


class EmbeddedServerError(Exception):
    """A server can't run here; the message says why, and the remedy."""


def user() -> int | None:
    """Tell whom the servers run as, if not as whoever runs this."""
    return NOBODY if os.geteuid() == 0 else None


def give(path: Path) -> None:
    """Hand a file or folder to the user whom the servers run as."""
    if owner := user():
        os.chown(path, owner, owner, follow_symlinks=False)


def program(wheel: str, path: str, folder: Path) -> Path:
    """Find a program of a wheel where the servers' user can run it.

    The wheel is not imported, as that may do who knows what; if need be, it is copied.

    Raises:
        EmbeddedServerError: it is not installed, or not for this platform.

    """
    name = wheel.replace("-", "_")
    package = importlib.util.find_spec(name)
    if package is None or package.origin is None:
        msg = (
            f"the wheel {wheel} is not installed: run `make .venv` in a checkout, or {OWN_SERVERS}"
        )
        raise EmbeddedServerError(msg)
    site = Path(package.origin).parents[1]
    found = next(site.glob(f"{name}/{path}"), None)
    if found is None:
        msg = (
            f"the wheel {wheel} has no server for {platform.system()} on {platform.machine()}:"
            f" {OWN_SERVERS}"
        )
        raise EmbeddedServerError(msg)
    if user() is None or all(part.stat().st_mode & 0o001 for part in (found, *found.parents)):
        return found
    return _copy(site, name, folder / "installation") / found.relative_to(site)


def _copy(site: Path, name: str, copy: Path) -> Path:
    """Copy a package, and the libraries that lie beside it."""
    if not copy.exists():
        for part in (site / name, *site.glob(f"{name}.libs")):
            shutil.copytree(part, copy / part.name)
        for path in (copy, *copy.rglob("*")):
            give(path)
    return copy
