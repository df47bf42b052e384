"""Creates mutants of a module, and tests one in a process of its own."""

import difflib
import importlib.machinery
import os
import signal
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType

import libcst as cst
import pytest
from mutmut.mutation.mutators import mutation_operators


# Nodes that hold no logic of the core.
UNCHANGED = (cst.Annotation, cst.Decorator, cst.Import, cst.ImportFrom)

# A test counts as endless after FACTOR times its usual duration plus MARGIN seconds of CPU time.
FACTOR, MARGIN = 5, 2

# Plugins are already imported, so pytest can't rewrite their assertions, which don't matter.
FILTER = "ignore::pytest.PytestAssertRewriteWarning"


@dataclass(frozen=True, slots=True)
class Mutant:
    """A module with one change.

    Attributes:
        change: the original lines, and the changed ones.
    """

    file: Path
    source: str
    change: tuple[str, str]

    @property
    def module(self) -> str:
        """Import name of the module."""
        return ".".join(self.file.with_suffix("").parts)

    def __str__(self) -> str:
        return f"{self.file.name}: `{self.change[0]}` as `{self.change[1]}`"


class Changes(cst.CSTVisitor):
    """Collects the changes that mutmut knows, in the whole module.

    mutmut itself only changes functions without decorators. It skips properties, constants and
    defaults of classes, which are a large part of the core's logic.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[cst.CSTNode, cst.CSTNode]] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        """Collect the changes of a node."""
        if isinstance(node, UNCHANGED) or _is_text(node):
            return False
        for kind, changes in mutation_operators:
            if isinstance(node, kind):
                self.found += [(node, changed) for changed in changes(node)]
        return True


def _is_text(node: cst.CSTNode) -> bool:
    """Return whether a node is the table of advice, which only people read."""
    return isinstance(node, cst.AnnAssign) and getattr(node.target, "value", "") == "ADVICE"


def find_mutants(file: Path) -> Iterator[Mutant]:
    """Yield every mutant of a module."""
    source = file.read_text()
    module, changes = cst.parse_module(source), Changes()
    module.visit(changes)
    for before, after in changes.found:
        mutated = module.deep_replace(before, after)
        assert isinstance(mutated, cst.Module)
        if mutated.code != source:
            yield Mutant(file, mutated.code, changed_lines(source, mutated.code))


def changed_lines(before: str, after: str) -> tuple[str, str]:
    """Return the lines that differ, before and after."""
    lines = list(difflib.ndiff(before.splitlines(), after.splitlines()))
    removed, added = ([line[2:].strip() for line in lines if line[0] == sign] for sign in "-+")
    return " ".join(removed), " ".join(added)


class Times:
    """Plugin that measures the tests, and runs fast ones first.

    It ends the process if a test seems endless.

    Attributes:
        baseline: seconds that each test takes without a mutant.
        seconds: those that each has taken now.
    """

    def __init__(self, baseline: dict[str, float]) -> None:
        self.baseline = baseline
        self.seconds = defaultdict[str, float](float)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Sort the tests by duration."""
        items.sort(key=lambda item: self.baseline.get(item.nodeid, 0))

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Limit the CPU time of a test; SIGPROF ends the process when the limit is exceeded."""
        seconds = MARGIN + FACTOR * self.baseline.get(nodeid, 60)
        signal.setitimer(signal.ITIMER_PROF, seconds)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add the duration of one phase."""
        self.seconds[report.nodeid] += report.duration


def run_tests(tests: str, baseline: dict[str, float]) -> dict[str, float] | None:
    """Run the tests in this process without output.

    Returns:
        the seconds that each test took; None if one failed, which ends the run.
    """
    with open(os.devnull, "w") as nothing:  # noqa: PTH123 - its descriptor replaces stdout and stderr
        os.dup2(nothing.fileno(), 1)
        os.dup2(nothing.fileno(), 2)
    arguments = ["-x", "-q", "-p", "no:cacheprovider", "--confcutdir", tests, "-W", FILTER, tests]
    times = Times(baseline)
    return None if pytest.main(arguments, plugins=[times]) else times.seconds


def start_trial(mutant: Mutant, tests: str, baseline: dict[str, float]) -> int:
    """Start a process that tests a mutant, and return its id. It ends with 0 if no test fails."""
    if process := os.fork():
        return process
    unchanged = importlib.machinery.SourceFileLoader.get_code

    def get_code(self: importlib.machinery.SourceFileLoader, name: str) -> CodeType | None:
        if name == mutant.module:
            return compile(mutant.source, str(mutant.file), "exec")
        return unchanged(self, name)

    importlib.machinery.SourceFileLoader.get_code = get_code  # type: ignore[assignment, method-assign]
    passed = False
    try:
        passed = run_tests(tests, baseline) is not None
    finally:
        os._exit(not passed)
