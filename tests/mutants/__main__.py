"""Changes the core in every small way, and tells which changes no test notices.

Run as `python -m tests.mutants [MODULE ...]`; it fails if there is one that docs/mutants.md does
not list, or one listed there that a test does notice.
"""

import json
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from multiprocessing import connection
from multiprocessing.context import ForkProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import hypothesis  # noqa: F401 - what is imported here need not be imported for each mutant
import pytest_asyncio  # noqa: F401 - as above

from tests.mutants.mutant import Durations, Mutant, mutants, tested, trial


CORE, TESTS, LIST = Path("app/health"), "tests/health", Path("docs/mutants.md")

# Words for people, and names for imports.
WORDS = {"advice", "__init__"}

# How many mutants are tried at a time.
AT_ONCE = os.cpu_count() or 1


def main(names: list[str]) -> int:
    """Try every mutant of the modules of these names, or of all."""
    files = [file for file in sorted(CORE.glob("*.py")) if file.stem not in WORDS]
    files = [file for file in files if not names or file.stem in names]
    begun, taken = time.monotonic(), durations()
    tried = [mutant for file in files for mutant in mutants(file)]
    listed = {one for one in equivalent() if one.partition(":")[0] in {file.name for file in files}}
    survivors = set()
    for one in survived(tried, taken):
        survivors.add(one)
        if one not in listed:
            print(f"not noticed: {one}", flush=True)
    for one in listed - survivors:
        print(f"listed in {LIST}, but noticed or no more: {one}")
    minutes = (time.monotonic() - begun) / 60
    print(f"{len(tried)} mutants, {len(survivors)} survivors, {minutes:.1f} min")
    return int(survivors != listed)


def durations() -> dict[str, float]:
    """Run the tests on what is unchanged, and tell how long each takes."""
    with TemporaryDirectory() as folder:
        file = Path(folder, "durations")

        def run() -> None:
            plugin = Durations()
            code = tested(TESTS, plugin)
            file.write_text(json.dumps(plugin.taken))
            sys.exit(code)

        process = ForkProcess(target=run)
        process.start()
        process.join()
        if process.exitcode:
            sys.exit(f"without any change {TESTS} fails: pytest {TESTS}")
        taken: dict[str, float] = json.loads(file.read_text())
        return taken


def survived(tried: Iterable[Mutant], taken: dict[str, float]) -> Iterator[str]:
    """Tell the mutants that no test notices, as they are found."""
    running: dict[int, tuple[ForkProcess, Mutant]] = {}
    for mutant in tried:
        if len(running) == AT_ONCE:
            yield from ended(running)
        process = trial(mutant, TESTS, taken)
        running[process.sentinel] = process, mutant
    while running:
        yield from ended(running)


def ended(running: dict[int, tuple[ForkProcess, Mutant]]) -> Iterator[str]:
    """Wait until a trial ends, or several; tell which mutants have survived theirs."""
    for sentinel in connection.wait(list(running)):
        process, mutant = running.pop(cast("int", sentinel))
        process.join()
        if process.exitcode == 0:
            yield str(mutant)


def equivalent() -> list[str]:
    """Tell the mutants that are known to behave as what they were made of."""
    rows = re.findall(r"^\| (\w+\.py) \| (`.*?`) \| (`.*?`) \|", LIST.read_text(), re.MULTILINE)
    return [f"{file}: {before} as {after}".replace("\\|", "|") for file, before, after in rows]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
