"""What the doctor says, and a way to ask it elsewhere than here."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.check_factory import ADVICE_BY_ERROR, ADVICE_BY_NOTE
from app.health import Reason
from app.health.reasons import ADVICE
from app.settings import Settings
from tests.broken_settings import CANARY
from tests.cli.conftest import Result, end, start
from tests.service import ROOT


# What a doctor says of whatever row of whatever section.
Diagnosis = dict[str, dict[str, Any]]
Ask = Callable[[], Diagnosis]


def judged(shown: Result, told: Result, folder: Path) -> Diagnosis:
    """Read what a program is told."""
    assert (shown.code, told.code, shown.err, told.err) == (1, 1, "", "")
    for file in folder.glob("*_password"):
        content = file.read_text()
        assert not content or content not in shown.out + told.out
    assert CANARY not in shown.out + told.out
    diagnosis: Diagnosis = json.loads(told.out)
    below = [line for line in shown.out.splitlines() if line.startswith("  ")]
    assert max(len(line) for line in below if str(folder) not in line) <= 80
    words = " ".join(shown.out.split())
    assert all(f"! {problem}" in words for problem in wrong(diagnosis).values())
    return diagnosis


def wrong(diagnosis: Diagnosis) -> dict[str, str]:
    """The problems of each row that has any, in one line."""
    sections = [diagnosis[title] for title in ("settings", "secrets", "checks")]
    rows = {name: row["problems"] for section in sections for name, row in section.items()}
    return {name: "; ".join(problems) for name, problems in rows.items() if problems}


def failed(diagnosis: Diagnosis, name: str) -> tuple[str, Reason]:
    """The step at which a check failed and why, if it is all that is wrong and is explained."""
    row = diagnosis["checks"][name]
    reason = Reason(row["reason"])
    hints = [*ADVICE_BY_ERROR.values(), *ADVICE_BY_NOTE.values()]
    known = {str(ADVICE[reason]), *map(str, hints)}
    assert wrong(diagnosis).keys() == {name}
    assert wrong(diagnosis)[name] in known
    return row["failed"], reason


def cells(text: str, name: str) -> list[str]:
    """The cells of a row."""
    row = next(line for line in text.splitlines() if line.startswith(f"{name} "))
    return re.split(r"  +", row)[1:]


def run(*arguments: str, before: tuple[str, ...]) -> Result:
    """Ask as a process of its own, in which is set what is set here."""
    names = (*map(str.upper, Settings.model_fields), "JWT_SECRET_FILE")
    environ = {name: os.environ[name] for name in names if name in os.environ}
    return end(start("doctor", *arguments, before=before, cwd=ROOT, **environ))
