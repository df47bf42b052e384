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

from tests.support.devservers import supervisor
from tests.support.service import wait_for


STUBBORN = """
import pathlib, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path("ignoring").touch()
time.sleep(60)
"""
SLEEPING = "import time; time.sleep(60)"
PYTHON = [sys.executable, "-c"]

# Seconds to wait for a reply.
REPLY_TIMEOUT = 10


class SupervisorThread:
    """A supervisor in a thread of this process, with pipes for requests and replies."""

    def __init__(self, folder: Path, requests: TextIO, replies: int) -> None:
        self.folder = folder
        self._requests = requests
        self._replies = replies
        self._numbers: list[int] = []
        self._thread = threading.Thread(
            target=supervisor.main, args=("SIGTERM", "none: ", str(folder), "")
        )
        self._thread.start()

    def request(self, *command: str) -> None:
        """Request to run a command, or without one to stop the running program."""
        # The supervisor finds processes by their command line, so it must be unique.
        unique = (*command, str(self.folder))
        self._requests.write(json.dumps(unique) * bool(command) + "\n")

    def replies(self, count: int) -> list[int]:
        """Wait for *count* replies, and return all so far."""
        while len(self._numbers) < count:
            assert select.select([self._replies], [], [], REPLY_TIMEOUT)[0]
            self._numbers += map(int, os.read(self._replies, 4096).split())
        return self._numbers

    def close_requests(self) -> None:
        """Close the pipe, as happens when the owner ends, and wait for the supervisor."""
        self._requests.close()
        self._thread.join()


@pytest.fixture(name="running")
def _running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SupervisorThread]:
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (stdin_fd, requests_fd), (replies_fd, stdout_fd) = os.pipe(), os.pipe()
    with (
        os.fdopen(stdin_fd) as stdin,
        os.fdopen(requests_fd, "w", 1) as requests,
        os.fdopen(stdout_fd, "w") as stdout,
    ):
        # Not the process's own streams: pytest replaces those before each test, and would lose
        # output while the thread reads.
        streams = SimpleNamespace(stdin=stdin, stdout=stdout, stderr=sys.__stderr__)
        monkeypatch.setattr(supervisor, "sys", streams)
        running = SupervisorThread(folder, requests, replies_fd)
        yield running
        running.close_requests()
    os.close(replies_fd)


def test_it_reports_the_exit_code_of_a_program(running: SupervisorThread) -> None:
    running.request(*PYTHON, "raise SystemExit(3)")
    assert running.replies(2)[1] == 3
    assert running.folder.exists()


def test_an_empty_request_stops_the_program_and_keeps_the_folder(
    running: SupervisorThread,
) -> None:
    """It sends the signal that the supervisor was started with. Another program can follow."""
    running.request(*PYTHON, SLEEPING)
    running.request()
    assert running.replies(2)[1] == -signal.SIGTERM
    running.request(*PYTHON, "")
    assert running.replies(4)[3] == 0
    assert running.folder.exists()


def test_the_end_of_the_owner_stops_the_program_and_removes_the_folder(
    running: SupervisorThread,
) -> None:
    running.request(*PYTHON, SLEEPING)
    running.close_requests()
    assert running.replies(2)[1] == -signal.SIGTERM
    assert not running.folder.exists()


def test_a_program_that_ignores_the_signal_is_killed(
    running: SupervisorThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "STOP_TIMEOUT", 0.1)
    running.request(*PYTHON, STUBBORN)
    wait_for((running.folder / "ignoring").exists)
    running.request()
    assert running.replies(2)[1] == -signal.SIGKILL


def test_a_program_that_can_not_be_started_is_reported_as_failed(
    running: SupervisorThread,
) -> None:
    """With exit code 127, as in a shell, so that the owner does not wait for it."""
    running.request("/nonexistent")
    assert running.replies(2) == [0, 127]
