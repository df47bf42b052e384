"""The configurations in deploy/, checked by the programs that use them."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.proxies.proxies import ENVOY, PROXIES
from tests.support.service import ROOT
from tests.system.servers import program


FILES = {kind: ROOT / "deploy" / kind / proxy.name for kind, proxy in PROXIES.items()}


def run_proxy(tmp_path: Path, kind: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a proxy's program, with *tmp_path* as the home folder for its files."""
    homes = dict.fromkeys(("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"), str(tmp_path))
    return subprocess.run(
        [str(ENVOY if kind == "envoy" else program(kind)), *arguments],
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
        ("envoy", ("--mode", "validate", "--log-level", "warning", "-c", "{file}")),
        ("nginx", ("-t", "-q", "-c", "{file}", "-g", "pid {folder}/pid; error_log stderr;")),
    ],
)
def test_the_program_accepts_the_file(
    tmp_path: Path, kind: str, arguments: tuple[str, ...]
) -> None:
    """Except Caddy they print no warning. Caddy writes its log to the same stream."""
    filled = [word.format(file=FILES[kind], folder=tmp_path) for word in arguments]
    done = run_proxy(tmp_path, kind, *filled)
    assert done.returncode == 0, done.stderr
    if kind != "caddy":
        assert "warn" not in done.stderr.lower()


def test_the_caddyfile_is_formatted_by_caddy_fmt(tmp_path: Path) -> None:
    done = run_proxy(tmp_path, "caddy", "fmt", str(FILES["caddy"]))
    assert done.stdout == FILES["caddy"].read_text()
