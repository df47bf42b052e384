"""Ways to run a command: in this process, and in a new one."""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from app.cli import main
from tests.support.service import ROOT, VITALS, clean


# Variables that would change what a command does.
ENVIRON = ("HOST", "PORT", "MAINTENANCE_FILE")


class Result(NamedTuple):
    """The exit code and the output of a command."""

    code: int
    out: str
    err: str


Call = Callable[..., Result]


@pytest.fixture(name="call")
def _call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Call]:
    """Run a command in this process, and restore its signal handlers and the log.

    Its settings are those given; without any, those of the environment.
    """
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
    level, logs_to = logging.root.level, [*logging.root.handlers]
    for name in ENVIRON:
        monkeypatch.delenv(name, raising=False)

    def call(*arguments: str | Path, **settings: str) -> Result:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["vitals", *map(str, arguments)])
            for name in os.environ.keys() - clean(os.environ).keys() if settings else ():
                patch.delenv(name)
            for name, value in settings.items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as ended:
                main()
        assert isinstance(ended.value.code, int | None)
        return Result(ended.value.code or 0, *capsys.readouterr())

    yield call
    for number, handler in handlers.items():
        if signal.getsignal(number) != handler:
            signal.signal(number, handler)
    logging.root.setLevel(level)
    for added in {*logging.root.handlers} - {*logs_to}:
        logging.root.removeHandler(added)


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    return tmp_path / "secrets"


@pytest.fixture(name="full")
def _full(folder: Path, call: Call) -> Path:
    """Create a folder with every secret."""
    assert call("secrets", "init", "--dir", folder).code == 0
    return folder


def start(
    *arguments: str | Path, before: tuple[str, ...] = (), cwd: Path = ROOT, **environ: str
) -> subprocess.Popen[str]:
    """Start a command in a new process."""
    inherited = {name: word for name, word in clean(os.environ).items() if name not in ENVIRON}
    return subprocess.Popen(
        (*before, *VITALS, *map(str, arguments)),
        cwd=cwd,
        env={**inherited, **environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(process: subprocess.Popen[str], within: float = 15) -> Result:
    """Wait until a command has ended."""
    with process:
        try:
            out, err = process.communicate(timeout=within)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    return Result(process.returncode, out, err)
