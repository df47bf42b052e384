"""Formatters that write one event per line, with its fields, as JSON or for a terminal."""

import json
import logging
import logging.config
import traceback
from abc import abstractmethod
from collections import deque
from collections.abc import Mapping, Sequence
from copy import copy
from itertools import islice
from typing import Any

from app.text import cut, escape_unprintable, format_time


# The innermost calls that are kept of each traceback, and the exceptions of a chain or group.
MAX_CALLS = 20
MAX_ERRORS = 5


def format_traceback(error: BaseException) -> str:
    """Return the traceback of an exception, after those of its causes.

    Python's own formatter limits neither the length of a text nor the number of causes.
    """
    queue, tracebacks = deque([error]), list[str]()
    while queue and len(tracebacks) < MAX_ERRORS:
        current = queue.popleft()
        tracebacks.append(_format_one_traceback(current))
        cause = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
        queue.extend([cause] if cause else [])
        queue.extend(islice(getattr(current, "exceptions", ()), MAX_ERRORS))
    return "\n\n".join(tracebacks[::-1])


def _format_one_traceback(error: BaseException) -> str:
    calls = traceback.format_tb(error.__traceback__, -MAX_CALLS)
    head = ["Traceback (most recent call last):", *(cut(call.rstrip()) for call in calls)]
    notes = (cut(str(note)) for note in islice(getattr(error, "__notes__", ()), MAX_ERRORS))
    return "\n".join([*(head if calls else ()), _format_error(error), *notes])


def _format_error(error: BaseException) -> str:
    kind = type(error)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    try:
        text = cut(str(error))
    except Exception:  # noqa: BLE001 - __str__ may raise; the name of the class remains
        text = "<no text>"
    return f"{module}{kind.__qualname__}" + (f": {text}" if text else "")


# Attributes that every record has. All others are fields of the event.
OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}

# The levels that Google Cloud Logging and Datadog know under the same name,
# https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry#LogSeverity
SEVERITIES = {
    level: logging.getLevelName(level)
    for level in (logging.CRITICAL, logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG)
}

# Our event for each message of uvicorn, and the names of the message's arguments.
UVICORN_EVENTS: Mapping[str, tuple[str, Sequence[str]]] = {
    "Started server process [%d]": ("server process started", ["pid"]),
    "Waiting for application startup.": ("application starting", []),
    "Application startup complete.": ("application started", []),
    "Application startup failed. Exiting.": ("application start failed", []),
    **{
        f"Uvicorn running on %s://{host}:%d (Press CTRL+C to quit)": (
            "server listening",
            ["scheme", "host", "port"],
        )
        for host in ("%s", "[%s]")
    },
    '%s - "%s %s HTTP/%s" %d': (
        "request completed",
        ["client", "method", "path", "http_version", "status"],
    ),
    "Invalid HTTP request received.": ("invalid request received", []),
    "Exception in ASGI application\n": ("request failed", []),
    "Shutting down": ("server stopping", []),
    "Waiting for connections to close. (CTRL+C to force quit)": ("server closing connections", []),
    "Waiting for background tasks to complete. (CTRL+C to force quit)": (
        "server finishing requests",
        [],
    ),
    "Waiting for application shutdown.": ("application stopping", []),
    "Application shutdown complete.": ("application stopped", []),
    "Application shutdown failed. Exiting.": ("application stop failed", []),
    "Finished server process [%d]": ("server process stopped", ["pid"]),
}

# Characters of an event's text, of a list or a dictionary, and of a line.
MAX_EVENT = 8_000
MAX_FIELD = 16_000
MAX_LINE = 32_000


class Formatter(logging.Formatter):
    """Writes a record's time, level, logger, event and fields, and cuts long texts.

    Texts are cut before they are encoded, so neither the line nor the work on it grows with the
    input of a client or a server. uvicorn's messages get names like our own events.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line. If it is still too long, it keeps no fields but `cut`, its length."""
        event, fields = _event(record)
        known = {
            "time": format_time(record.created),
            "level": cut(record.levelname.lower()),
            "severity": _severity(record),
            "logger": "vitals" if record.name == "uvicorn.error" else cut(record.name),
            "event": event,
        }
        # Fields without a value are left out.
        given = {cut(name): _bounded(value) for name, value in fields if value not in (None, "")}
        error = record.exc_info and record.exc_info[1]
        line = self.write(known | given | ({"error": format_traceback(error)} if error else {}))
        if len(line) <= MAX_LINE:
            return line
        return self.write(known | {"event": cut(event), "cut": len(line)})

    @abstractmethod
    def write(self, fields: dict[str, Any]) -> str:
        """Return the line with these fields."""


def _event(record: logging.LogRecord) -> tuple[str, list[tuple[str, Any]]]:
    """Return a record's event and fields. Arguments are cut before they enter the text."""
    args = record.args if isinstance(record.args, tuple) else ()
    fields = [(name, value) for name, value in vars(record).items() if name not in OWN]
    if record.name.startswith("uvicorn.") and str(record.msg) in UVICORN_EVENTS:
        event, names = UVICORN_EVENTS[record.msg]
        return event, [*zip(names, args, strict=False), *fields]
    if args:
        record = copy(record)
        record.args = tuple(cut(arg) if isinstance(arg, str) else arg for arg in args)
    return cut(record.getMessage(), MAX_EVENT), fields


def _severity(record: logging.LogRecord) -> str:
    """Return the name of the highest standard level that is not above the record's own."""
    if record.levelname in SEVERITIES.values():
        return record.levelname
    number = record.levelno or 0  # None in a record that was made by hand
    return next((name for level, name in SEVERITIES.items() if number >= level), "DEBUG")


def _bounded(value: Any) -> Any:
    """Return a field's value, or its truncated text."""
    if isinstance(value, str):
        return cut(value)
    if value is None or isinstance(value, int | float):
        return value
    text = json.dumps(value, default=str)
    return value if len(text) <= MAX_FIELD else cut(text)


class JsonFormatter(Formatter):
    """One JSON object per line."""

    def write(self, fields: dict[str, Any]) -> str:
        """Return the object. A value that JSON does not know is written as text."""
        return json.dumps(fields, default=str)


class ConsoleFormatter(Formatter):
    """One line for a terminal, with fields as `name=value`."""

    def write(self, fields: dict[str, Any]) -> str:
        """Return the line, followed by the indented lines of the exception's traceback."""
        time, level = fields.pop("time")[11:23], fields.pop("level")
        del fields["logger"], fields["severity"]
        event, error = fields.pop("event"), fields.pop("error", None)
        pairs = [f"{name}={value}" for name, value in fields.items()]
        line = escape_unprintable(" ".join([time, f"{level:8}", event, *pairs]))
        # Indented, so that no line of the error's text looks like another event.
        return "\n  ".join([line, *map(escape_unprintable, error.split("\n"))]) if error else line
