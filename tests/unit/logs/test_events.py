"""The table of log events in docs/reference.md matches the code."""

import ast
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import app
from app.health import Check
from app.logs.events import log_start
from app.logs.formats import UVICORN_EVENTS
from tests.support.fakes import answers
from tests.support.pages import PAGES


LEVELS = {
    "info": {"info"},
    "warning": {"warning"},
    "error": {"error"},
    "exception": {"error"},
    "log": {"info", "warning"},
}

# An event, its levels and its fields.
Event = tuple[str, frozenset[str], frozenset[str]]


def documented() -> set[Event]:
    """Return the events of the table in docs/reference.md."""
    section = PAGES["docs/reference.md"].partition("## Log events")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(.+?)` \| ([a-z, ]+) \| (.*?) \|", section, re.MULTILINE)
    return {
        (event, frozenset(levels.split(", ")), frozenset(re.findall(r"`(\w+)`", fields)))
        for event, levels, fields in rows
    }


def logged_by_app() -> Iterator[Event]:
    """Yield the events of each call of a logger in app/; access lines are uvicorn's."""
    for path in sorted(Path(app.__file__).parent.rglob("*.py")):
        for call in ast.walk(ast.parse(path.read_text())):
            match call:
                case ast.Call(func=ast.Attribute(ast.Name("logger"), method)) if method in LEVELS:
                    fields = {
                        key.value
                        for keyword in call.keywords
                        if isinstance(keyword.value, ast.Dict)
                        for key in keyword.value.keys
                        if isinstance(key, ast.Constant) and isinstance(key.value, str)
                    } | ({"error"} if method == "exception" else set())
                    for event in events_of(call.args[method == "log"]):
                        yield event, frozenset(LEVELS[method]), frozenset(fields)


def events_of(argument: ast.expr) -> Iterator[str]:
    """Yield each text that a first argument can be, without what follows a colon."""
    for node in [argument.body, argument.orelse] if isinstance(argument, ast.IfExp) else [argument]:
        assert isinstance(node, ast.Constant), ast.unparse(argument)
        assert isinstance(node.value, str)
        if node.value not in UVICORN_EVENTS:
            yield node.value.partition(":")[0]


def test_every_event_of_the_code_is_documented() -> None:
    """With its levels and fields."""
    events = set(logged_by_app())
    assert len(events) > 10
    assert events <= documented()


def test_every_event_of_uvicorn_is_documented() -> None:
    """With its fields; uvicorn's own code decides on the level."""
    table = {event: fields for event, _, fields in documented()}
    for event, fields in UVICORN_EVENTS.values():
        assert set(fields) <= table[event] <= {*fields, "suppressed", "error"}


def test_every_documented_event_exists() -> None:
    """A row of the table is an event of app/, or of uvicorn, or of the handler itself."""
    events = {event for event, _, _ in logged_by_app()}
    events |= {event for event, _ in UVICORN_EVENTS.values()}
    assert {event for event, _, _ in documented()} == events | {"log lines dropped"}


@pytest.mark.parametrize("event", sorted({event for event, _, _ in documented()}))
def test_an_event_is_a_short_phrase(event: str) -> None:
    """Two to four words, without values or punctuation."""
    assert re.fullmatch(r"[A-Za-z0-9]+( [a-z]+){1,3}", event)


def test_the_start_line_has_every_check_with_its_terms(caplog: pytest.LogCaptureFixture) -> None:
    """No URL of a dependency appears in it."""
    check = Check(name="shop", kind="http", probe=answers, interval=5, timeout=2, required=False)
    with caplog.at_level(logging.INFO, logger="vitals"):
        log_start("1.2.3", ["http://127.0.0.1:8000"], [check])
    (record,) = caplog.records
    assert (record.name, record.getMessage()) == ("vitals", "service started")
    fields = vars(record)
    assert (fields["version"], fields["address"]) == ("1.2.3", "http://127.0.0.1:8000")
    assert fields["checks"] == [
        {
            "name": "shop",
            "kind": "http",
            "interval_s": 5,
            "timeout_s": 2,
            "failure_threshold": 1,
            "success_threshold": 1,
            "required": False,
        }
    ]
