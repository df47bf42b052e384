"""A small change of the core, and whether a test notices."""

import difflib
import importlib.machinery
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.context import ForkProcess
from pathlib import Path
from types import CodeType

import libcst as cst
import pytest
from mutmut.mutation.mutators import mutation_operators


# What stands there is read by people, by the type checker or by the import system.
LEFT_ALONE = (cst.Annotation, cst.Decorator, cst.Import, cst.ImportFrom)

# Times what a test takes of the processor, and how many seconds more: what takes longer is endless.
PATIENCE, GRACE = 5, 2

# Plugins are imported once, for all mutants, and hold no assertion that matters.
WARM = "ignore::pytest.PytestAssertRewriteWarning"


@dataclass(frozen=True, slots=True)
class Mutant:
    """A module with one thing changed.

    Attributes:
        change: what stood there, and what stands there now.

    """

    file: Path
    source: str
    change: tuple[str, str]

    @property
    def module(self) -> str:
        """The name under which it is imported."""
        return ".".join(self.file.with_suffix("").parts)

    def __str__(self) -> str:
        return f"{self.file.name}: `{self.change[0]}` as `{self.change[1]}`"


class Changes(cst.CSTVisitor):
    """Finds whatever may be changed: what mutmut knows, in every place.

    mutmut itself changes functions alone, and none that is decorated: no property, no constant, no
    default of a class, which are a good part of how the core judges.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[cst.CSTNode, cst.CSTNode]] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        """Take down the changes of a node."""
        if isinstance(node, LEFT_ALONE):
            return False
        for kind, changes in mutation_operators:
            if isinstance(node, kind):
                self.found += [(node, changed) for changed in changes(node)]
        return True


def mutants(file: Path) -> Iterator[Mutant]:
    """Tell every mutant of a module."""
    source = file.read_text()
    module, changes = cst.parse_module(source), Changes()
    module.visit(changes)
    for before, after in changes.found:
        mutated = module.deep_replace(before, after)
        assert isinstance(mutated, cst.Module)
        if mutated.code != source:
            yield Mutant(file, mutated.code, change(source, mutated.code))


def change(before: str, after: str) -> tuple[str, str]:
    """Tell the lines that were changed, and what they have become."""
    lines = difflib.ndiff(before.splitlines(), after.splitlines())
    told: dict[str, list[str]] = {"-": [], "+": [], " ": [], "?": []}
    for line in lines:
        told[line[0]].append(line[2:].strip())
    return " ".join(told["-"]), " ".join(told["+"])


class Limits:
    """Has the quick tests run first, and ends the process where one seems to be endless.

    Attributes:
        taken: how long each test took, in seconds, when nothing was changed.

    """

    def __init__(self, taken: dict[str, float]) -> None:
        self.taken = taken

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Sort the tests."""
        items.sort(key=lambda item: self.taken.get(item.nodeid, 0))

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Set the limit of a test; the signal that tells of it is the end."""
        seconds = GRACE + PATIENCE * self.taken.get(nodeid, 60)
        signal.setitimer(signal.ITIMER_PROF, seconds)


class Durations:
    """Takes down how long each test takes."""

    def __init__(self) -> None:
        self.taken: dict[str, float] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add up what a test takes."""
        self.taken[report.nodeid] = self.taken.get(report.nodeid, 0) + report.duration


def tested(tests: str, plugin: object) -> int:
    """Run the tests in this process, silently, until one fails; tell pytest's exit code."""
    with open(os.devnull, "w") as nothing:  # noqa: PTH123 - descriptors, whatever holds them
        os.dup2(nothing.fileno(), 1)
        os.dup2(nothing.fileno(), 2)
    arguments = ["-x", "-q", "-p", "no:cacheprovider", "--confcutdir", tests, "-W", WARM, tests]
    return int(pytest.main(arguments, plugins=[plugin]))


def trial(mutant: Mutant, tests: str, taken: dict[str, float]) -> ForkProcess:
    """Begin to test a mutant in a process of its own, which ends with 0 if it survives."""

    def run() -> None:
        unchanged = importlib.machinery.SourceFileLoader.get_code

        def get_code(self: importlib.machinery.SourceFileLoader, name: str) -> CodeType | None:
            if name == mutant.module:
                return compile(mutant.source, str(mutant.file), "exec")
            return unchanged(self, name)

        importlib.machinery.SourceFileLoader.get_code = get_code  # type: ignore[assignment, method-assign]
        sys.exit(tested(tests, Limits(taken)))

    process = ForkProcess(target=run)
    process.start()
    return process
