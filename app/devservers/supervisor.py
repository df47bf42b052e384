"""Holds a server's processes and folder for its owner, and ends both with the owner.

A program of its own, and the real parent of what it runs. Its standard input is a pipe that only
the owner writes to: a line of it tells what to run, as JSON, or, if empty, to end what runs. The
end of the pipe, whatever the owner died of, ends what runs and removes the folder. For each run it
answers with two lines: the process id, and in time the exit code.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path


# PostgreSQL gives children that do not obey five seconds before it kills them itself.
STOP_TIMEOUT = 8


class Run:
    """A server, and the wait for its end."""

    def __init__(self, command: list[str], text: str, title: str, user: int | None) -> None:
        # A child goes by its parent's command, in which there is the folder, until it has a title.
        self.names = (title.encode(), "\0".join(command).encode())
        self.process = subprocess.Popen(  # noqa: S603 - the command is the owner's
            command,
            stdin=subprocess.PIPE,
            stdout=sys.stderr,  # the log: standard output is for the answers
            user=user,
            group=user,
            extra_groups=None if user is None else (),
        )
        answer(self.process.pid)
        self.waiter = threading.Thread(target=self.wait, args=(text.encode(),))
        self.waiter.start()

    def wait(self, text: bytes) -> None:
        """Feed it, and when it has ended, end what it left behind."""
        self.process.communicate(text)
        deadline = time.monotonic() + STOP_TIMEOUT
        while (left := known_as(self.names)) and time.monotonic() < deadline:
            send(signal.SIGKILL, left)
            time.sleep(0.005)
        answer(self.process.returncode)

    def end(self, ending: signal.Signals) -> None:
        """End it at once, gently if it lets itself."""
        send(signal.SIGCONT, known_as(self.names))  # those that are frozen would not hear
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(ending)
        self.waiter.join(STOP_TIMEOUT)
        self.process.kill()
        self.waiter.join()


def known_as(names: tuple[bytes, ...]) -> list[int]:
    """Find the processes whose command lines begin so.

    PostgreSQL's are each in a session of their own, and orphans when the first was killed, so that
    neither the group nor the parent tells. Without /proc nothing is found, and PostgreSQL itself is
    relied on to end its own.
    """
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if file.read_bytes().startswith(names):
                found.append(int(file.parent.name))
    return found


def send(number: signal.Signals, processes: list[int]) -> None:
    """Send a signal to those that are still there."""
    for process in processes:
        with contextlib.suppress(OSError):
            os.kill(process, number)


def answer(number: int) -> None:
    """Tell the owner, if there is one."""
    with contextlib.suppress(BrokenPipeError):
        os.write(sys.stdout.fileno(), b"%d\n" % number)


def main(ending: str, title: str, folder: str, user: str) -> None:
    """Do as the owner says until it is no more.

    Args:
        ending: the name of the signal that ends the server at once.
        title: how the titles of its processes begin, and no other's.
        folder: the server's own.
        user: the uid and gid to run it as; empty for the present ones.

    """
    run = None
    for order in sys.stdin:
        if order.strip():
            command, text = json.loads(order)
            try:
                run = Run(command, text, title, int(user) if user else None)
            except OSError as error:
                sys.stderr.write(f"{error}\n")
                answer(0)
                answer(127)
        elif run:
            run.end(signal.Signals[ending])
    if run:
        run.end(signal.Signals[ending])
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    os.umask(0o077)
    os.environ.update(LC_ALL="C")  # in whatever locale, the logs are in one language
    main(*sys.argv[1:])
