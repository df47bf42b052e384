"""The ways in which tools replace a file, as functions."""

from collections.abc import Callable
from pathlib import Path


def in_place(file: Path, content: bytes) -> None:
    """Overwrite the file."""
    file.write_bytes(content)


def by_rename(file: Path, content: bytes) -> None:
    """Write a new file and rename it."""
    new = file.with_name("new")
    new.write_bytes(content)
    new.rename(file)


def as_kubernetes(file: Path, content: bytes) -> None:
    """Replace the symbolic link `..data`, like Kubernetes. The file is a link into it."""
    data, new = file.with_name("..data"), file.with_name("..data_tmp")
    version = file.with_name(f"..{len(list(file.parent.iterdir()))}")
    version.mkdir()
    (version / file.name).write_bytes(content)
    new.symlink_to(version.name)
    new.rename(data)
    if not file.is_symlink():
        file.unlink(missing_ok=True)
        file.symlink_to(Path("..data", file.name))


def removed_first(file: Path, content: bytes) -> None:
    """Remove the file, then write a new one."""
    file.unlink(missing_ok=True)
    file.write_bytes(content)


Replacing = Callable[[Path, bytes], None]
REPLACING = (in_place, by_rename, as_kubernetes, removed_first)
