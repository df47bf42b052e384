"""`vitals doctor`: tells why it is red, from the settings to the answer of each dependency."""

import asyncio
import json
import math
import os
import stat
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Annotated, Any

import typer

from app.check_factory import open_checks
from app.checks.network import STAGE_LISTENER, Stage
from app.cli.serve import refused
from app.health import Check, Clock, Monitor, Observation, Probe, Reason
from app.health.reasons import Advice
from app.settings import Settings, load_with_problems
from app.settings.loading import effective_settings
from app.settings.secrets import SecretError, hints
from app.text import escape_unprintable


WIDTH = 80
GAP = "  "


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What is known of one thing.

    Attributes:
        cells: the facts as a table shows them, one a column.
        facts: the same for a program.
        problems: what is wrong with it, each with its remedy.
        notes: what is not wrong, but worth a look.

    """

    name: str
    cells: Sequence[str]
    facts: Mapping[str, Any]
    problems: Sequence[str] = ()
    notes: Sequence[str] = ()

    @property
    def told(self) -> dict[str, Any]:
        """What a program reads."""
        return {**self.facts, "problems": list(self.problems), "notes": list(self.notes)}


def lines(head: Sequence[str], rows: Iterable[Row]) -> Iterator[str]:
    """Write rows in aligned columns, problems and notes below their row."""
    table = [(head, []), *(([row.name, *row.cells], _below(row)) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*(cells for cells, _ in table), strict=True)]
    for cells, below in table:
        padded = map(str.ljust, cells, widths)
        yield escape_unprintable(GAP.join(padded).rstrip())
        yield from below


def _below(row: Row) -> list[str]:
    """Return the lines below a row: `!` marks a problem, and `*` a note."""
    marked = [("  ! ", text) for text in row.problems] + [("  * ", text) for text in row.notes]
    return [line for mark, text in marked for line in _wrapped(mark, text)]


def _wrapped(mark: str, text: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=mark,
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeTrace:
    """What one attempt came to.

    Attributes:
        seconds: how long each step took that was begun.
        failed: the step that failed, and why; none where the dependency answered.
        advice: what to try; an attempt that passed may have some too.

    """

    name: str
    seconds: Mapping[Stage, float]
    failed: tuple[Stage, Reason] | None
    advice: Advice | None


class StageRecorder:
    """A probe that notes when each step of another one's attempt begins."""

    def __init__(self, probe: Probe, clock: Clock) -> None:
        self._probe = probe
        self._clock = clock
        self._marks = list[tuple[Stage, float]]()
        self._begun = clock.steady()

    async def __call__(self) -> None:
        """Put the other one's question."""
        self._begun = self._clock.steady()
        STAGE_LISTENER.set(lambda step: self._marks.append((step, self._clock.steady())))
        await self._probe()

    def examination(self, known: Observation) -> ProbeTrace:
        """Tell how far the attempt came, of which this is known."""
        seconds = dict[Stage, float]()
        ends = [*(at for _, at in self._marks[1:]), self._begun + known.latency]
        for (step, at), end in zip(self._marks, ends, strict=False):
            seconds[step] = seconds.get(step, 0.0) + end - at
        # Before the first step stands the reading of a secret.
        last = self._marks[-1][0] if self._marks else Stage.AUTHENTICATION
        failed = (last, known.reason) if known.reason else None
        return ProbeTrace(
            name=known.check.name, seconds=seconds, failed=failed, advice=known.advice
        )


async def examine(settings: Settings) -> list[ProbeTrace]:
    """Ask every dependency that is configured once, side by side, each within its timeout."""
    async with AsyncExitStack() as stack:
        return await ask_once(await open_checks(settings, settings.read_secret, stack))


async def ask_once(checks: list[Check]) -> list[ProbeTrace]:
    """Have the monitor, which keeps every deadline, put each question once."""
    clock, heard = Clock(), asyncio.Event()
    recorders = [StageRecorder(check.probe, clock) for check in checks]
    once = [
        replace(check, probe=recorder, interval=math.inf)
        for check, recorder in zip(checks, recorders, strict=True)
    ]
    monitor = Monitor(once, clock=clock)
    monitor.subscribe(on_transition=lambda *_: heard.set())
    async with monitor:
        while not (report := monitor.report()).complete:
            await heard.wait()
            heard.clear()
    return [
        recorder.examination(known)
        for recorder, known in zip(recorders, report.checks, strict=True)
    ]


# What has no value, and steps that were not come to; and steps that were left out.
NOTHING, NEEDLESS = "-", "none"

UNREAD = "Nothing was asked: its secret can't be read, or holds what can't be sent."

HEADS = {
    "settings": ("setting", "source", "value"),
    "secrets": ("secret", "state", "owner", "mode", "file"),
    "checks": ("check, in ms", *Stage, "result"),
}


def doctor(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Tell it to a program.")] = False,
) -> None:
    """Tell why it is red, and what to try.

    Shows each setting and where it comes from, each secret's file, and how far an attempt at each
    check comes. Exits with 1 if anything is wrong. No secret is shown.
    """
    settings, problems = load_with_problems()
    problems += refused(settings.host, settings.port)
    sections = {
        "settings": [*settings_rows(settings, problems)],
        "secrets": [*secret_rows(settings, problems)],
        "checks": [check_row(found, settings) for found in asyncio.run(examine(settings))],
    }
    well = not (problems or any(row.problems for row in sections["checks"]))
    typer.echo(told(sections, well=well) if as_json else table(sections, well=well))
    raise typer.Exit(0 if well else 1)


def told(sections: dict[str, list[Row]], *, well: bool) -> str:
    """Write everything down for a program."""
    rows = {title: {row.name: row.told for row in rows} for title, rows in sections.items()}
    return json.dumps({"status": "pass" if well else "fail", "uid": os.geteuid(), **rows}, indent=2)


def table(sections: dict[str, list[Row]], *, well: bool) -> str:
    """Write everything down for people."""
    written = [
        *(line for title, rows in sections.items() for line in [*lines(HEADS[title], rows), ""]),
        f"Secrets are read by uid {os.geteuid()}.",
        "Nothing is wrong." if well else "What is wrong is marked with !",
    ]
    if any(row.notes for row in sections["secrets"]):
        written.append("What may be wrong is marked with *")
    return "\n".join(written)


def settings_rows(settings: Settings, problems: Sequence[str]) -> Iterator[Row]:
    """Tell each setting's value and source; what was rejected may hold anything, so not that."""
    shown = effective_settings(settings)
    for field, known in Settings.model_fields.items():
        name, is_set = field.upper(), field in settings.model_fields_set
        wrong = [line for line in problems if first(line).rstrip(",") == name]
        value = shown.get(name)
        if wrong and is_set and (value is None or getattr(settings, field) == known.default):
            value = "rejected"
        facts = {"value": value, "source": "environment" if is_set else "default"}
        cells = "env" if is_set else "default", value or NOTHING
        yield Row(name=name, cells=cells, facts=facts, problems=wrong)


def secret_rows(settings: Settings, problems: Sequence[str]) -> Iterator[Row]:
    """Tell each secret's file, and who may read it."""
    for name in settings.secret_names:
        wrong = [line for line in problems if first(line) in {f"{name}:", f"{name.upper()}:"}]
        facts = file_facts(settings, name)
        cells = [NOTHING if fact is None else str(fact) for fact in facts.values()]
        hinted = [f"{name}: {facts['file']} {hint}" for hint in secret_hints(settings, name)]
        yield Row(name=name, cells=cells, facts=facts, problems=wrong, notes=hinted)


def secret_hints(settings: Settings, name: str) -> list[str]:
    """Return what may be wrong with a secret, if it can be read at all."""
    try:
        return hints(settings.read_secret(name))
    except SecretError:
        return []


def file_facts(settings: Settings, name: str) -> dict[str, str | int | None]:
    """Tell a file's owner, mode and path, as far as they can be seen."""
    state, owner, mode, file = "found", None, None, None
    try:
        path = settings.secret(name).path
        file = str(path)
        found = path.stat()
        owner, mode = found.st_uid, f"{stat.S_IMODE(found.st_mode):04o}"
    except SecretError:
        state = "unclear"
    except FileNotFoundError:
        state = "absent"
    except OSError:
        state = "hidden"
    return {"state": state, "owner": owner, "mode": mode, "file": file}


def check_row(found: ProbeTrace, settings: Settings) -> Row:
    """Tell how far an attempt came, and what to try where it failed."""
    step, reason = found.failed or (None, None)
    texts = [advice(found, settings)] if found.advice else []
    steps = {step: round(seconds * 1000, 1) for step, seconds in found.seconds.items()}
    return Row(
        name=found.name,
        cells=(*times(found), reason or "pass"),
        facts={"steps_ms": steps, "failed": step, "reason": reason},
        problems=texts if reason else [],
        notes=[] if reason else texts,
    )


def advice(found: ProbeTrace, settings: Settings) -> str:
    """Return what to try; for a refused password, also what looks wrong with its file."""
    if not found.seconds:
        return UNREAD
    is_refused = found.failed and found.failed[1] is Reason.AUTH
    suspect = secret_hints(settings, f"{found.name}_password") if is_refused else []
    return " ".join([str(found.advice), *(f"The secret's file {hint}." for hint in suspect)])


def times(found: ProbeTrace) -> Iterator[str]:
    """Tell the milliseconds of each step, the failed one's marked."""
    steps = list(Stage)
    reached = max((steps.index(step) for step in found.seconds), default=-1)
    for place, step in enumerate(steps):
        seconds = found.seconds.get(step)
        missing = NEEDLESS if place < reached or not found.failed else NOTHING
        time = missing if seconds is None else f"{seconds * 1000:.1f}"
        yield f"{time} !" if found.failed and found.failed[0] is step else time


def first(line: str) -> str:
    """Tell the word with which a problem begins: what it is about."""
    return line.partition(" ")[0]
