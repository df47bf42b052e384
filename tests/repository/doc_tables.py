"""The tables and versions that follow the code. `make docs-tables` writes them.

Names, kinds, defaults and accepted values come from the code. The prose stays: it is the last
column of a table, and a default that the code computes.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from pydantic.fields import FieldInfo

from app import __version__
from app.checks.registry import KINDS
from app.health.reasons import ADVICE
from app.settings import Settings
from app.settings.checks import GENERAL
from tests.support.service import ROOT


# Neither a Dockerfile nor a Compose file can read the version from app/__init__.py. The image of a
# registry has a version of its own.
VERSION = re.compile(r"(?<![\w/])(vitals:|ARG VERSION=)\d+\.\d+\.\d+")
WITH_VERSION = [
    *(ROOT / name for name in ("docker/Dockerfile", "compose.production.yaml", "README.md")),
    *(ROOT / name for name in (".env.production.example", "secrets/README.md")),
    *sorted(ROOT.glob("docs/*.md")),
    *sorted(ROOT.glob("deploy/**/*.yaml")),
]

TABLE = re.compile(r"(<!-- table: (\w+) -->\n)(.*?)(<!-- end of table -->\n)", re.DOTALL)

# One row describes these with the settings that they replace.
OWN = {f"{store}_CHECK_{term.upper()}" for store in ("POSTGRES", "REDIS") for term in GENERAL}

# The cells of a row, without the first; by the names in the first.
Rows = Mapping[tuple[str, ...], list[str]]


def update(page: str) -> str:
    """Return a file with current tables and the current version."""
    page = VERSION.sub(rf"\g<1>{__version__}", page)
    return TABLE.sub(lambda found: found[1] + "".join(_write(*found.group(2, 3))) + found[4], page)


def _write(name: str, text: str) -> Iterator[str]:
    head, rows = TABLES[name]
    yield _line(head)
    yield _line("---" for _ in head)
    yield from map(_line, rows(_read(text)))


def _read(text: str) -> Rows:
    lines = [re.sub(r"\| (?=\|)", "|  ", line)[2:-2].split(" | ") for line in text.splitlines()[2:]]
    return {tuple(re.findall(r"`(.*?)`", first)): cells for first, *cells in lines}


def _line(cells: Iterable[str]) -> str:
    return re.sub(r"\|  (?=\|)", "| ", f"| {' | '.join(cells)} |\n")


def _settings(old: Rows) -> Iterator[list[str]]:
    every = {name.upper(): field for name, field in Settings.model_fields.items()}
    fields = {name: field for name, field in every.items() if name not in OWN}
    for names, (default, _, meaning) in _group(fields, old, ["none", "", ""]):
        own = [fields[name] for name in names]
        yield [_code(names), _defaults(own, default), _accepted(own), meaning]


def _options(old: Rows) -> Iterator[list[str]]:
    fields: dict[str, dict[str, FieldInfo]] = {}  # by the names of the option and of the kind
    for kind in KINDS:
        for name, field in kind.options.model_fields.items():
            fields.setdefault(name, {})[kind.name] = field
    for names, (_, default, _, meaning) in _group(fields, old, ["", "none", "", ""]):
        own = [field for name in names for field in fields[name].values()]
        kinds = fields[names[0]]
        shared = [f"`{GENERAL[name].upper()}`" for name in names if name in GENERAL]
        yield [
            _code(names),
            "all" if len(kinds) == len(KINDS) else ", ".join(kinds),
            ", ".join(shared) or _defaults(own, default),
            _accepted(own),
            meaning,
        ]


def _kinds(old: Rows) -> Iterator[list[str]]:
    for kind in KINDS:
        meaning = old.get((kind.name,), [""])[-1]
        yield [_code([kind.name]), _code(f"{scheme}://" for scheme in kind.schemes), meaning]


def _reasons(_: Rows) -> Iterator[list[str]]:
    for reason, advice in ADVICE.items():
        yield [_code([reason]), advice.words, advice.remedy]


def _group(
    names: Iterable[str], old: Rows, new: list[str]
) -> Iterator[tuple[list[str], list[str]]]:
    """Yield the names and the old cells of each row. A new name has a row of its own."""
    missing = list(names)
    for group, cells in old.items():
        if kept := [name for name in group if name in missing]:
            missing = [name for name in missing if name not in kept]
            yield kept, cells
    yield from (([name], new) for name in missing)


def _code(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _defaults(fields: Iterable[FieldInfo], old: str) -> str:
    """Return the defaults, or the old cell if it begins with them or if the code has none."""
    found = [_default(field.get_default(call_default_factory=True)) for field in fields]
    new = ", ".join(filter(None, dict.fromkeys(found)))
    return old if old.startswith(new) else new


def _default(value: Any) -> str:
    if isinstance(value, frozenset):
        return ", ".join(map(str, sorted(value)))
    if isinstance(value, bool | int | float):
        return f"{value}".lower()
    return f"`{value}`" if value else ""


def _accepted(fields: Iterable[FieldInfo]) -> str:
    return "; ".join(dict.fromkeys(field.description for field in fields if field.description))


TABLES: Mapping[str, tuple[list[str], Callable[[Rows], Iterator[list[str]]]]] = {
    "settings": (["setting", "default", "accepts", "meaning"], _settings),
    "kinds": (["kind", "schemes", "passes if"], _kinds),
    "options": (["option", "kinds", "default", "accepts", "meaning"], _options),
    "reasons": (["reason", "means", "what to try"], _reasons),
}

if __name__ == "__main__":
    for path in WITH_VERSION:
        path.write_text(update(path.read_text()))
