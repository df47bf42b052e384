"""Mutation testing of the core: reports the mutants that no test detects.

Run `python -m tests.repository.mutants [MODULE ...]`. It fails if a survivor is not listed in
docs/mutants.md, or if a listed one is detected.
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

import hypothesis  # noqa: F401 - imported once, for all mutants
import pytest_asyncio  # noqa: F401 - as above

from tests.repository.mutants.mutant import Durations, Mutant, find_mutants, run_tests, start_trial


CORE, TESTS, LIST = Path("app/health"), "tests/unit/health", Path("docs/mutants.md")

# Modules with only imports.
EXCLUDED = {"__init__"}

# Number of mutants tested in parallel.
PARALLEL = os.cpu_count() or 1


def main(names: list[str]) -> int:
    """Test every mutant of the named modules, or of all modules."""
    files = [file for file in sorted(CORE.glob("*.py")) if file.stem not in EXCLUDED]
    files = [file for file in files if not names or file.stem in names]
    started, baseline = time.monotonic(), durations()
    tested = [mutant for file in files for mutant in find_mutants(file)]
    listed = {one for one in equivalent() if one.partition(":")[0] in {file.name for file in files}}
    survivors = set()
    for one in find_survivors(tested, baseline):
        survivors.add(one)
        if one not in listed:
            print(f"not detected: {one}", flush=True)
    for one in listed - survivors:
        print(f"listed in {LIST}, but detected or gone: {one}")
    minutes = (time.monotonic() - started) / 60
    print(f"{len(tested)} mutants, {len(survivors)} survivors, {minutes:.1f} min")
    return int(survivors != listed)


def durations() -> dict[str, float]:
    """Run the tests on the unchanged core, and return the seconds that each takes."""
    with TemporaryDirectory() as folder:
        file = Path(folder, "durations")

        def run() -> None:
            plugin = Durations()
            code = run_tests(TESTS, plugin)
            file.write_text(json.dumps(plugin.seconds))
            sys.exit(code)

        process = ForkProcess(target=run)
        process.start()
        process.join()
        if process.exitcode:
            sys.exit(f"{TESTS} fails without a mutant. Run: pytest {TESTS}")
        seconds: dict[str, float] = json.loads(file.read_text())
        return seconds


def find_survivors(mutants: Iterable[Mutant], baseline: dict[str, float]) -> Iterator[str]:
    """Yield the mutants that no test detects, as they are found."""
    running: dict[int, tuple[ForkProcess, Mutant]] = {}
    for mutant in mutants:
        if len(running) == PARALLEL:
            yield from await_trials(running)
        process = start_trial(mutant, TESTS, baseline)
        running[process.sentinel] = process, mutant
    while running:
        yield from await_trials(running)


def await_trials(running: dict[int, tuple[ForkProcess, Mutant]]) -> Iterator[str]:
    """Wait until at least one trial ends, and yield the mutants that survived."""
    for sentinel in connection.wait(list(running)):
        process, mutant = running.pop(cast("int", sentinel))
        process.join()
        if process.exitcode == 0:
            yield str(mutant)


def equivalent() -> list[str]:
    """Return the mutants that are known to behave like the original."""
    rows = re.findall(r"^\| (\w+\.py) \| (`.*?`) \| (`.*?`) \|", LIST.read_text(), re.MULTILINE)
    return [f"{file}: {before} as {after}".replace("\\|", "|") for file, before, after in rows]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
