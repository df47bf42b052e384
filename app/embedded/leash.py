"""Holds one server: ends it when its owner says so, or is no more, whatever became of it.

A program of its own, and the server's parent. Its standard input is a pipe that only the owner
writes to: the word `keep` ends the server and keeps its folder, the bare end of the pipe, as when
the owner was killed, removes the folder too.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading


# PostgreSQL gives children that do not obey five seconds before it kills them itself.
PATIENCE = 8


def main(ending: str, folder: str, owner: str, *command: str) -> None:
    """Run the command until it ends, or the pipe does.

    Args:
        ending: the name of the signal that ends the server at once.
        folder: the server's own.
        owner: the uid and gid to run it as; empty for the present one.

    """
    server = subprocess.Popen(  # noqa: S603 - the command is the owner's
        command,
        stdin=subprocess.DEVNULL,
        user=int(owner) if owner else None,
        group=int(owner) if owner else None,
        extra_groups=() if owner else None,
    )
    last_words: list[bytes] = []
    threading.Thread(target=follow, args=(server, ending, last_words), daemon=True).start()
    server.wait()
    if last_words == [b""]:
        shutil.rmtree(folder, ignore_errors=True)


def follow(server: subprocess.Popen[bytes], ending: str, last_words: list[bytes]) -> None:
    """Wait until the pipe ends, and end the server then."""
    # Not `sys.stdin`, whose lock a thread would still hold when the program ends.
    last_words.append(b"".join(iter(lambda: os.read(0, 64), b"")))
    server.send_signal(signal.SIGCONT)  # one that was stopped would not hear
    server.send_signal(signal.Signals[ending])
    try:
        server.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        server.kill()


if __name__ == "__main__":
    os.umask(0o077)
    main(*sys.argv[1:])
