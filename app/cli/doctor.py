"""`vitals doctor`: examine the settings, the secret files and each check."""

import asyncio
import contextlib
import json
import os
import stat
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import click

from app.check_factory import open_checks
from app.checks.kind import MAX_SECONDS, CheckSpec, Options
from app.checks.network import STAGE_LISTENER, Stage
from app.cli.serve import find_bind_problems
from app.health import Certificate, Check, Clock, Monitor, Observation, Probe, Reason
from app.health.reasons import Advice
from app.notifications import open_connection_checks
from app.settings import Settings, load_with_problems
from app.settings.loading import effective_settings, find_deprecated, find_misspelled
from app.settings.secrets import SecretError, find_hints
from app.text import escape_unprintable, format_time


WIDTH = 80
GAP = "  "


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagnosisRow:
    """One setting, secret or check.

    Attributes:
        cells: the facts as the table shows them, one per column.
        facts: the same for the JSON document.
        problems: what is wrong, each with its remedy.
        notes: what may be wrong.
    """

    name: str
    cells: Sequence[str]
    facts: Mapping[str, Any]
    problems: Sequence[str] = ()
    notes: Sequence[str] = ()


def format_rows(head: Sequence[str], rows: Iterable[DiagnosisRow]) -> Iterator[str]:
    """Yield the lines of a table with aligned columns, problems and notes below their row."""
    table = [(head, []), *(([row.name, *row.cells], _format_remarks(row)) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*(cells for cells, _ in table), strict=True)]
    for cells, remarks in table:
        padded = map(str.ljust, cells, widths)
        yield escape_unprintable(GAP.join(padded).rstrip())
        yield from remarks


def _format_remarks(row: DiagnosisRow) -> list[str]:
    """Return the lines below a row: `!` marks a problem, and `*` a note."""
    marked = [("  ! ", text) for text in row.problems] + [("  * ", text) for text in row.notes]
    return [line for mark, text in marked for line in _wrap(mark, text)]


def _wrap(mark: str, text: str) -> list[str]:
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
    """One attempt of a check.

    Attributes:
        seconds: duration of each step that was reached.
        failed: the step that failed and the reason, or None if the attempt passed.
        advice: what to do. An attempt that passed may have some too.
        certificate: of the server, if it was verified.
    """

    name: str
    seconds: Mapping[Stage, float]
    failed: tuple[Stage, Reason] | None
    advice: Advice | None
    certificate: Certificate | None = None


# The steps of reasons that no other step has. Several servers are asked at the same time, so the
# last step may be that of another one.
STAGES: Mapping[Reason, Stage] = {
    Reason.DNS: Stage.DNS,
    Reason.REFUSED: Stage.TCP,
    Reason.CONNECT_TIMEOUT: Stage.TCP,
    Reason.TLS: Stage.TLS,
}


class StageRecorder:
    """A probe that records when each step of another probe begins."""

    def __init__(self, probe: Probe, clock: Clock) -> None:
        self._probe = probe
        self._clock = clock
        self._marks = list[tuple[Stage, float]]()
        self._begun = clock.steady()

    async def __call__(self) -> None:
        """Run the other probe."""
        self._begun = self._clock.steady()
        STAGE_LISTENER.set(lambda step: self._marks.append((step, self._clock.steady())))
        await self._probe()

    def trace(self, observation: Observation) -> ProbeTrace:
        """Return the steps of the attempt that led to an observation."""
        seconds = dict[Stage, float]()
        ends = [*(at for _, at in self._marks[1:]), self._begun + observation.latency]
        for (step, at), end in zip(self._marks, ends, strict=False):
            seconds[step] = seconds.get(step, 0.0) + end - at
        # A secret is read before the first step.
        last = self._marks[-1][0] if self._marks else Stage.AUTHENTICATION
        return ProbeTrace(
            name=observation.check.name,
            seconds=seconds,
            failed=(STAGES.get(observation.reason, last), observation.reason)
            if observation.reason
            else None,
            advice=observation.advice,
            certificate=observation.facts.certificate,
        )


async def run_checks(settings: Settings) -> list[ProbeTrace]:
    """Run every check once, and connect to the receivers of notifications, all at the same time."""
    async with AsyncExitStack() as stack:
        checks = await open_checks(settings, settings.read_secret, stack)
        return await run_once(checks + await open_connection_checks(settings, stack))


async def run_once(checks: list[Check]) -> list[ProbeTrace]:
    """Run each check once in the service's own monitor, which enforces the deadlines."""
    clock, changed = Clock(), asyncio.Event()
    recorders = [StageRecorder(check.probe, clock) for check in checks]
    once = [
        replace(check, probe=recorder, interval=MAX_SECONDS)
        for check, recorder in zip(checks, recorders, strict=True)
    ]
    monitor = Monitor(once, clock=clock)
    monitor.subscribe(on_transition=lambda *_: changed.set())
    async with monitor:
        while not (report := monitor.report()).complete:
            await changed.wait()
            changed.clear()
    return [
        recorder.trace(observation)
        for recorder, observation in zip(recorders, report.checks, strict=True)
    ]


# A setting without a value or a step that was not reached, and a step that was not needed.
NOTHING, NOT_NEEDED = "-", "none"

OTHERS_READ = stat.S_IRGRP | stat.S_IROTH

NO_ATTEMPT = "No attempt was made. Its secret can't be read or can't be sent."

HEADS = {
    "settings": ("setting", "source", "value"),
    "secrets": ("secret", "state", "owner", "mode", "file"),
    "checks": ("check, in ms", *Stage, "result"),
}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")
def doctor(*, as_json: bool) -> None:
    """Find out why a check fails, and what to do.

    Prints each setting and its source, each secret file, and how far one attempt of each check
    gets. Exits with 1 if anything is wrong. Prints no secret.
    """
    settings, problems = load_with_problems()
    problems += find_bind_problems(settings.host, settings.port)
    misspelled = find_misspelled(secrets=settings.secret_names)
    sections = {
        "settings": [*settings_rows(settings, problems, misspelled)],
        "secrets": [*secret_rows(settings, problems, misspelled)],
        "checks": [check_row(trace, settings) for trace in asyncio.run(run_checks(settings))],
    }
    healthy = not (problems or any(row.problems for row in sections["checks"]))
    format_sections = format_json if as_json else format_tables
    click.echo(format_sections(sections, healthy=healthy))
    sys.exit(0 if healthy else 1)


def format_json(sections: dict[str, list[DiagnosisRow]], *, healthy: bool) -> str:
    """Return everything as a JSON document."""
    status = {"status": "pass" if healthy else "fail", "uid": os.geteuid()}
    rows = {
        title: {
            row.name: {**row.facts, "problems": list(row.problems), "notes": list(row.notes)}
            for row in rows
        }
        for title, rows in sections.items()
    }
    return json.dumps({**status, **rows}, indent=2)


def format_tables(sections: dict[str, list[DiagnosisRow]], *, healthy: bool) -> str:
    """Return everything as tables."""
    written = list[str]()
    for title, rows in sections.items():
        written += [*format_rows(HEADS[title], rows), ""]
    written.append(f"The secrets are read as uid {os.geteuid()}.")
    written.append("Nothing is wrong." if healthy else "Problems are marked with !.")
    if any(row.notes for title in ("settings", "secrets") for row in sections[title]):
        written.append("Possible problems are marked with *.")
    return "\n".join(written)


def settings_rows(
    settings: Settings, problems: Sequence[str], misspelled: Mapping[str, str]
) -> Iterator[DiagnosisRow]:
    """Yield each setting's value and source. A rejected value is not shown: it may be a secret."""
    values, deprecated = effective_settings(settings), find_deprecated(settings)
    for field, info in Settings.model_fields.items():
        name, is_set = field.upper(), field in settings.model_fields_set
        own_problems = [line for line in problems if get_subject(line) == name]
        value = values.get(name)
        if own_problems and is_set and (value is None or getattr(settings, field) == info.default):
            value = "rejected"
        facts = {"value": value, "source": "environment" if is_set else "default"}
        cells = "env" if is_set else "default", value or NOTHING
        notes = misspelling_notes(misspelled, name)
        notes += [f"{name}: {deprecated[name]}"] if name in deprecated else []
        yield DiagnosisRow(name=name, cells=cells, facts=facts, problems=own_problems, notes=notes)


def secret_rows(
    settings: Settings, problems: Sequence[str], misspelled: Mapping[str, str]
) -> Iterator[DiagnosisRow]:
    """Yield each secret's file with its owner and mode."""
    for name in settings.secret_names:
        own_problems = [line for line in problems if get_subject(line) in {name, name.upper()}]
        facts = file_facts(settings, name)
        cells = [NOTHING if fact is None else str(fact) for fact in facts.values()]
        notes = [f"{name}: {facts['file']} {hint}" for hint in secret_hints(settings, name)]
        notes += misspelling_notes(misspelled, name.upper(), f"{name.upper()}_FILE")
        yield DiagnosisRow(name=name, cells=cells, facts=facts, problems=own_problems, notes=notes)


def misspelling_notes(misspelled: Mapping[str, str], *names: str) -> list[str]:
    """Return a note for each environment variable that is probably one of these, misspelled."""
    return [
        f"{variable}: unknown variable. Did you mean {similar}?"
        for variable, similar in misspelled.items()
        if similar in names
    ]


def secret_hints(settings: Settings, name: str) -> list[str]:
    """Return what may be wrong with a secret, if it can be read."""
    try:
        return list(find_hints(settings.read_secret(name)))
    except SecretError:
        return []


def file_facts(settings: Settings, name: str) -> dict[str, str | int | None]:
    """Return the state, owner, mode and path of a secret's file."""
    state, owner, mode, file = "found", None, None, None
    try:
        path = settings.secret(name).path
        file = str(path)
        status = path.stat()
        owner, mode = status.st_uid, f"{stat.S_IMODE(status.st_mode):04o}"
    except SecretError:
        state = "unclear"
    except FileNotFoundError:
        state = "absent"
    except OSError:
        state = "hidden"
    return {"state": state, "owner": owner, "mode": mode, "file": file}


def check_row(trace: ProbeTrace, settings: Settings) -> DiagnosisRow:
    """Return how far an attempt got, and what to do if it failed."""
    step, reason = trace.failed or (None, None)
    texts = [get_advice(trace, settings)] if trace.advice else []
    specs = (spec for spec in settings.check_specs if spec.name == trace.name)
    hints = [*format_expiry(trace), *chain.from_iterable(map(key_hints, specs))]
    steps = {step: round(seconds * 1000, 1) for step, seconds in trace.seconds.items()}
    return DiagnosisRow(
        name=trace.name,
        cells=(*format_times(trace), reason or "pass"),
        facts={"steps_ms": steps, "failed": step, "reason": reason},
        problems=texts if reason else [],
        notes=[*([] if reason else texts), *hints],
    )


def get_advice(trace: ProbeTrace, settings: Settings) -> str:
    """Return what to do, with the hints about the password's file if a password was refused."""
    if not trace.seconds and trace.failed != (Stage.TLS, Reason.TLS):
        return NO_ATTEMPT
    is_refused = trace.failed and trace.failed[1] is Reason.AUTH
    specs = (spec for spec in settings.check_specs if is_refused and spec.name == trace.name)
    secrets = (secret for spec in specs for secret in sorted(spec.secret_names))
    found = [hint for secret in secrets for hint in secret_hints(settings, secret)]
    return " ".join([str(trace.advice), *(f"The secret's file {hint}" for hint in found)])


def format_expiry(trace: ProbeTrace) -> Iterator[str]:
    """Yield when the server's certificate expires, if TLS was used."""
    if trace.certificate:
        yield f"The certificate expires at {format_time(trace.certificate.expires_at)}."
    elif not trace.failed and Stage.TLS in trace.seconds:
        yield "The certificate is not verified, so that its end is not known."


def key_hints(spec: CheckSpec[Options]) -> Iterator[str]:
    """Yield a hint if others can read the key of the client's certificate."""
    file = None if spec.url_secret else spec.options.key_file
    with contextlib.suppress(OSError):
        if file and (mode := stat.S_IMODE(Path(file).stat().st_mode)) & OTHERS_READ:
            remedy = "Set its mode to 0400 unless it is a mounted secret."
            yield f"Others can read the key in {file} (mode {mode:04o}). {remedy}"


def format_times(trace: ProbeTrace) -> Iterator[str]:
    """Yield the milliseconds of each step, with a mark at the failed one."""
    steps = list(Stage)
    reached = max((steps.index(step) for step in trace.seconds), default=-1)
    for place, step in enumerate(steps):
        seconds = trace.seconds.get(step)
        missing = NOT_NEEDED if place < reached or not trace.failed else NOTHING
        time = missing if seconds is None else f"{seconds * 1000:.1f}"
        yield f"{time} !" if trace.failed and trace.failed[0] is step else time


def get_subject(line: str) -> str:
    """Return the setting or secret that a problem names first."""
    return line.partition(" ")[0].rstrip(":,")
