import json
import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TextIO

import pytest

from app.devservers import supervisor
from tests.embedded.waiting import until


STUBBORN = """
import pathlib, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path("deaf").touch()
time.sleep(60)
"""
SLEEPING = "import time; time.sleep(60)"
PYTHON = [sys.executable, "-c"]

# Seconds within which an answer comes.
PATIENCE = 10


class Held:
    """A leash in this process, and the pipes on which it is given orders and answers."""

    def __init__(self, folder: Path, orders: TextIO, answering: int) -> None:
        self.folder = folder
        self._orders = orders
        self._answering = answering
        self._answers: list[int] = []
        self._thread = threading.Thread(
            target=supervisor.main, args=("SIGTERM", "none: ", str(folder), "")
        )
        self._thread.start()

    def order(self, *command: str, text: str = "") -> None:
        """Have it run a command, or with none end what runs."""
        # What is left of a program is looked for by its whole command, which is nobody else's.
        mine = (*command, str(self.folder))
        self._orders.write(json.dumps([mine, text]) * bool(command) + "\n")

    def answers(self, count: int) -> list[int]:
        """Wait for so many answers."""
        while len(self._answers) < count:
            assert select.select([self._answering], [], [], PATIENCE)[0]
            self._answers += map(int, os.read(self._answering, 4096).split())
        return self._answers

    def lose(self) -> None:
        """Leave it as an owner does that ends."""
        self._orders.close()
        self._thread.join()


@pytest.fixture(name="held")
def _held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    """Hold a folder that is also the working folder."""
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (orders, ordering), (answering, answers) = os.pipe(), os.pipe()
    with (
        os.fdopen(orders) as stdin,
        os.fdopen(ordering, "w", 1) as owner,
        os.fdopen(answers, "w") as stdout,
    ):
        # Streams of its own: pytest puts back the process's before each test, and loses what is
        # written while it reads.
        streams = SimpleNamespace(stdin=stdin, stdout=stdout, stderr=sys.__stderr__)
        monkeypatch.setattr(supervisor, "sys", streams)
        held = Held(folder, owner, answering)
        yield held
        held.lose()
    os.close(answering)


def test_a_program_reads_its_text_and_its_end_is_told(held: Held) -> None:
    """First the process id, then the exit code; the folder stays."""
    held.order(*PYTHON, "import sys; sys.exit(int(input()))", text="3")
    assert held.answers(2)[1] == 3
    assert held.folder.exists()


def test_an_empty_order_ends_the_program_and_keeps_the_folder(held: Held) -> None:
    """With the signal that the leash was given; another program may follow."""
    held.order(*PYTHON, SLEEPING)
    held.order()
    assert held.answers(2)[1] == -signal.SIGTERM
    held.order(*PYTHON, "")
    assert held.answers(4)[3] == 0
    assert held.folder.exists()


def test_the_end_of_the_owner_ends_the_program_and_removes_the_folder(held: Held) -> None:
    """The leash itself ends, too."""
    held.order(*PYTHON, SLEEPING)
    held.lose()
    assert held.answers(2)[1] == -signal.SIGTERM
    assert not held.folder.exists()


def test_a_program_that_does_not_obey_is_killed(
    held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After some patience."""
    monkeypatch.setattr(supervisor, "STOP_TIMEOUT", 0.1)
    held.order(*PYTHON, STUBBORN)
    until((held.folder / "deaf").exists)
    held.order()
    assert held.answers(2)[1] == -signal.SIGKILL


def test_a_program_that_can_not_be_run_is_told_like_one_that_failed(held: Held) -> None:
    """So that the owner need not wait; 127 is what a shell says."""
    held.order("/nonexistent")
    assert held.answers(2) == [0, 127]
