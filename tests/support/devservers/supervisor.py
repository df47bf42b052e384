"""Runs a server for its owner, and stops it and removes its folder when the owner ends.

A separate process, the parent of the server. Only the owner writes to its standard input. Each line
is a request: a command as a JSON array starts a program, and an empty line stops it. At the end of
the input, however the owner ended, it stops the program and removes the folder. For each program it
replies with two lines: the process id, and later the exit code.
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


# Seconds. PostgreSQL itself kills children that ignore a stop after five seconds.
STOP_TIMEOUT = 8


class Run:
    """A running program, and a thread that waits for its exit."""

    def __init__(self, command: list[str], title_prefix: str, user: int | None) -> None:
        # Until a child sets its title, it has its parent's command line, which contains the folder.
        self.prefixes = (title_prefix.encode(), "\0".join(command).encode())
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,  # the log: standard output is for replies
            user=user,
            group=user,
            extra_groups=None if user is None else (),
        )
        reply(self.process.pid)
        self.waiter = threading.Thread(target=self.wait)
        self.waiter.start()

    def wait(self) -> None:
        """Wait for the program's exit, then kill processes that it left behind."""
        self.process.wait()
        deadline = time.monotonic() + STOP_TIMEOUT
        while (left := find_processes(self.prefixes)) and time.monotonic() < deadline:
            send(signal.SIGKILL, left)
            time.sleep(0.005)
        reply(self.process.returncode)

    def stop(self, stop_signal: signal.Signals) -> None:
        """Send the signal, and kill the program if it does not exit in time."""
        send(signal.SIGCONT, find_processes(self.prefixes))  # a frozen process handles no signal
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(stop_signal)
        self.waiter.join(STOP_TIMEOUT)
        self.process.kill()
        self.waiter.join()


def find_processes(prefixes: tuple[bytes, ...]) -> list[int]:
    """Return the ids of the processes whose command lines begin with one of the prefixes.

    PostgreSQL's processes each have a session of their own, and become orphans if the postmaster is
    killed, so neither the process group nor the parent identifies them. Without /proc this returns
    nothing, and PostgreSQL has to end its own processes.
    """
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if file.read_bytes().startswith(prefixes):
                found.append(int(file.parent.name))
    return found


def send(number: signal.Signals, processes: list[int]) -> None:
    """Send a signal to the processes that still exist."""
    for process in processes:
        with contextlib.suppress(OSError):
            os.kill(process, number)


def reply(number: int) -> None:
    """Write a number to the owner, if it still runs."""
    with contextlib.suppress(BrokenPipeError):
        os.write(sys.stdout.fileno(), b"%d\n" % number)


def main(stop_signal: str, title_prefix: str, folder: str, user: str) -> None:
    """Handle requests until the owner ends.

    Args:
        stop_signal: the name of the signal that makes the server exit at once.
        title_prefix: how the command lines of the server's processes begin.
        folder: the server's folder, which is removed at the end.
        user: the uid and gid of the server; empty for those of this process.
    """
    run = None
    for request in sys.stdin:
        if request.strip():
            try:
                run = Run(json.loads(request), title_prefix, int(user) if user else None)
            except OSError as error:
                sys.stderr.write(f"{error}\n")
                reply(0)
                reply(127)  # as a shell does
        elif run:
            run.stop(signal.Signals[stop_signal])
    if run:
        run.stop(signal.Signals[stop_signal])
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    os.umask(0o077)
    os.environ.update(LC_ALL="C")  # English logs in every locale
    main(*sys.argv[1:])
