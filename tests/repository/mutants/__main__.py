"""Mutation testing of the core: reports the mutants that no test detects.

Run `python -m tests.repository.mutants [MODULE ...]`. It fails if a survivor is not listed in
docs/mutants.md, or if a listed one is detected.
"""

import os
import re
import sys
import time
from collections.abc import Iterator
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import hypothesis  # noqa: F401 - imported once, for all mutants
import pytest_asyncio  # noqa: F401 - as above

from tests.repository.mutants.mutant import Mutant, find_mutants, run_tests, start_trial


CORE, TESTS, LIST = Path("app/health"), "tests/unit/health", Path("docs/mutants.md")

# Number of mutants tested in parallel.
PARALLEL = os.cpu_count() or 1


def main(names: list[str]) -> int:
    """Test every mutant of the named modules, or of all modules."""
    # `__init__.py` has only imports.
    files = [file for file in sorted(CORE.glob("*.py")) if file.stem != "__init__"]
    files = [file for file in files if not names or file.stem in names]
    started = time.monotonic()
    with get_context("fork").Pool(1) as pool:
        baseline = pool.apply(run_tests, (TESTS, {}))
    if baseline is None:
        sys.exit(f"{TESTS} fails without a mutant. Run: pytest {TESTS}")
    tested = [mutant for file in files for mutant in find_mutants(file)]
    listed = {one for one in equivalent() if one.partition(":")[0] in {file.name for file in files}}
    survivors = set()
    for one in find_survivors(iter(tested), baseline):
        survivors.add(one)
        if one not in listed:
            print(f"not detected: {one}", flush=True)
    for one in listed - survivors:
        print(f"listed in {LIST}, but detected or gone: {one}")
    minutes = (time.monotonic() - started) / 60
    print(f"{len(tested)} mutants, {len(survivors)} survivors, {minutes:.1f} min")
    return int(survivors != listed)


def find_survivors(mutants: Iterator[Mutant], baseline: dict[str, float]) -> Iterator[str]:
    """Yield the mutants that no test detects, as they are found."""
    running: dict[int, Mutant] = {}
    while True:
        for mutant in islice(mutants, PARALLEL - len(running)):
            running[start_trial(mutant, TESTS, baseline)] = mutant
        if not running:
            return
        process, status = os.wait()
        mutant = running.pop(process)
        if status == 0:
            yield str(mutant)


def equivalent() -> list[str]:
    """Return the mutants that are known to behave like the original."""
    rows = re.findall(r"^\| (\w+\.py) \| (`.*?`) \| (`.*?`) \|", LIST.read_text(), re.MULTILINE)
    return [f"{file}: {before} as {after}".replace("\\|", "|") for file, before, after in rows]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
