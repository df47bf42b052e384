"""`vitals doctor`: tells why it is red, from the settings to the answer of each dependency."""

import asyncio
import json
import os
import stat
from collections.abc import Iterator, Sequence
from typing import Annotated

import typer

from app.cli.examination import Examination, examine
from app.cli.listening import refused
from app.cli.table import Row, lines
from app.health import Reason
from app.probes.steps import Step
from app.settings import Settings, judge
from app.settings.secret_files import SecretError
from app.settings.secret_text import hints
from app.settings.shown import in_force


# What has no value, and steps that were not come to; and steps that were left out.
NOTHING, NEEDLESS = "-", "none"

UNREAD = "Nothing was asked: its secret can't be read, or holds what can't be sent."

HEADS = {
    "settings": ("setting", "source", "value"),
    "secrets": ("secret", "state", "owner", "mode", "file"),
    "checks": ("check, in ms", *Step, "result"),
}


def doctor(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Tell it to a program.")] = False,
) -> None:
    """Tell why it is red, and what to try.

    Shows each setting and where it comes from, each secret's file, and how far an attempt at each
    check comes. Exits with 1 if anything is wrong. No secret is shown.
    """
    settings, problems = judge()
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
    shown = in_force(settings)
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


def check_row(found: Examination, settings: Settings) -> Row:
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


def advice(found: Examination, settings: Settings) -> str:
    """Return what to try; for a refused password, also what looks wrong with its file."""
    if not found.seconds:
        return UNREAD
    is_refused = found.failed and found.failed[1] is Reason.AUTH
    suspect = secret_hints(settings, f"{found.name}_password") if is_refused else []
    return " ".join([str(found.advice), *(f"The secret's file {hint}." for hint in suspect)])


def times(found: Examination) -> Iterator[str]:
    """Tell the milliseconds of each step, the failed one's marked."""
    steps = list(Step)
    reached = max((steps.index(step) for step in found.seconds), default=-1)
    for place, step in enumerate(steps):
        seconds = found.seconds.get(step)
        missing = NEEDLESS if place < reached or not found.failed else NOTHING
        time = missing if seconds is None else f"{seconds * 1000:.1f}"
        yield f"{time} !" if found.failed and found.failed[0] is step else time


def first(line: str) -> str:
    """Tell the word with which a problem begins: what it is about."""
    return line.partition(" ")[0]
