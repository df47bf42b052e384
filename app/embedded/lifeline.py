"""The owner's end of a leash."""

import contextlib
import json
import select
import subprocess
import sys
from pathlib import Path
from typing import IO, cast


LEASH = Path(__file__).with_name("leash.py")


class Lifeline:
    """What it runs, and a folder, live as long as this process and no longer."""

    def __init__(
        self, folder: Path, log: Path, *, ending: str, title: str, user: int | None
    ) -> None:
        arguments = [ending, title, str(folder), "" if user is None else str(user)]
        with log.open("ab") as errors:
            self._leash = subprocess.Popen(  # noqa: S603 - a program of this package
                [sys.executable, "-I", "-S", str(LEASH), *arguments],
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=folder,
                start_new_session=True,  # Ctrl-C at the terminal is for the owner
            )
        self._orders = cast("IO[bytes]", self._leash.stdin)
        self._answers = cast("IO[bytes]", self._leash.stdout)
        self._running = False

    def run(self, command: list[str], text: str = "") -> int:
        """Run a program that reads the text; tell its process id."""
        self._order(json.dumps([command, text]))
        self._running = True
        return self._answer()

    def ended(self, within: float | None = None) -> int | None:
        """Tell the exit code of what runs, if it ends within so many seconds."""
        if not select.select([self._answers], [], [], within)[0]:
            return None
        self._running = False
        return self._answer()

    def end(self) -> None:
        """End what runs, if anything does."""
        if self._running:
            self._order("")
            self.ended()

    def close(self) -> None:
        """End what runs, and remove the folder."""
        self._orders.close()
        self._leash.wait()
        self._answers.close()

    def _order(self, order: str) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._orders.write(f"{order}\n".encode())

    def _answer(self) -> int:
        return int(self._answers.readline() or b"-1")
