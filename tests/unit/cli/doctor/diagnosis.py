"""Ways to run `vitals doctor`, and to read its output."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.check_factory import ADVICE_BY_ERROR, ADVICE_BY_TEXT
from app.health import Reason
from app.health.reasons import ADVICE
from app.settings import Settings
from tests.support.broken_settings import CANARY
from tests.support.service import ROOT
from tests.unit.cli.conftest import Result, end, start


# The JSON document: each row of each section by its name.
Diagnosis = dict[str, dict[str, Any]]
Ask = Callable[[], Diagnosis]


def parse(shown: Result, document: Result, folder: Path) -> Diagnosis:
    """Return the JSON document, and check that the tables have the same problems."""
    assert (shown.code, document.code, shown.err, document.err) == (1, 1, "", "")
    for file in folder.glob("*_password"):
        content = file.read_text()
        assert not content or content not in shown.out + document.out
    assert CANARY not in shown.out + document.out
    diagnosis: Diagnosis = json.loads(document.out)
    below = [line for line in shown.out.splitlines() if line.startswith("  ")]
    assert max(len(line) for line in below if str(folder) not in line) <= 80
    words = " ".join(shown.out.split())
    assert all(f"! {problem}" in words for problem in problems_by_row(diagnosis).values())
    return diagnosis


def problems_by_row(diagnosis: Diagnosis) -> dict[str, str]:
    """Return the problems of each row that has any, in one line."""
    sections = [diagnosis[title] for title in ("settings", "secrets", "checks")]
    rows = {name: row["problems"] for section in sections for name, row in section.items()}
    return {name: "; ".join(problems) for name, problems in rows.items() if problems}


def failed(diagnosis: Diagnosis, name: str) -> tuple[str, Reason]:
    """Return the failed step and the reason of a check, which must be the only problem."""
    row = diagnosis["checks"][name]
    reason = Reason(row["reason"])
    known = {str(ADVICE[reason]), *map(str, [*ADVICE_BY_ERROR.values(), *ADVICE_BY_TEXT.values()])}
    assert problems_by_row(diagnosis).keys() == {name}
    assert problems_by_row(diagnosis)[name] in known
    return row["failed"], reason


def cells(text: str, name: str) -> list[str]:
    """Return the cells of a row."""
    row = next(line for line in text.splitlines() if line.startswith(f"{name} "))
    return re.split(r"  +", row)[1:]


def run(*arguments: str, before: tuple[str, ...]) -> Result:
    """Run `vitals doctor` in a new process with the settings of this one."""
    names = (*map(str.upper, Settings.model_fields), "JWT_SECRET_FILE")
    environ = {name: os.environ[name] for name in names if name in os.environ}
    return end(start("doctor", *arguments, before=before, cwd=ROOT, **environ))
