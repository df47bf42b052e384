"""The files in deploy/ as they are, judged by the programs that read them."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.edge.proxies import files
from tests.system.servers import program


FILES = files()


def judged(tmp_path: Path, kind: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Have a program judge its file, and write nowhere else than it is told."""
    homes = dict.fromkeys(("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"), str(tmp_path))
    return subprocess.run(
        [str(program(kind)), *arguments],
        env={**os.environ, **homes},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("haproxy", ("-c", "-f", "{file}")),
        ("caddy", ("validate", "--config", "{file}")),
        ("nginx", ("-t", "-q", "-c", "{file}", "-g", "pid {folder}/pid; error_log stderr;")),
    ],
)
def test_the_program_accepts_the_file(
    tmp_path: Path, kind: str, arguments: tuple[str, ...]
) -> None:
    """Without a warning of HAProxy's and nginx's; Caddy's log goes to the same place."""
    filled = [word.format(file=FILES[kind], folder=tmp_path) for word in arguments]
    done = judged(tmp_path, kind, *filled)
    assert done.returncode == 0, done.stderr
    if kind != "caddy":
        assert "warn" not in done.stderr.lower()


def test_caddy_finds_its_file_formatted(tmp_path: Path) -> None:
    """As `caddy fmt` writes it."""
    done = judged(tmp_path, "caddy", "fmt", str(FILES["caddy"]))
    assert done.stdout == FILES["caddy"].read_text()
