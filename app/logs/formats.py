"""How an event is written: on one line, with its fields."""

import json
import logging
import logging.config
import traceback
from abc import abstractmethod
from collections import deque
from copy import copy
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from app.text import cut, escape_unprintable


# Calls of each exception, the innermost, and the exceptions of one chain or group.
MAX_CALLS = 20
MAX_ERRORS = 5


def format_traceback(error: BaseException) -> str:
    """Return the traceback of an exception, after those of its causes.

    Python's own formatter writes texts of any length, and follows a chain to its end.
    """
    waiting, texts = deque([error]), list[str]()
    while waiting and len(texts) < MAX_ERRORS:
        one = waiting.popleft()
        texts.append(_one(one))
        earlier = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
        waiting.extend([earlier] if earlier else [])
        waiting.extend(islice(getattr(one, "exceptions", ()), MAX_ERRORS))
    return "\n\n".join(texts[::-1])


def _one(error: BaseException) -> str:
    calls = traceback.format_tb(error.__traceback__, -MAX_CALLS)
    notes = islice(getattr(error, "__notes__", ()), MAX_ERRORS)
    lines = (
        [cut(call.rstrip()) for call in calls] + [_words(error)] + [cut(str(one)) for one in notes]
    )
    return "\n".join(["Traceback (most recent call last):", *lines] if calls else lines)


def _words(error: BaseException) -> str:
    kind = type(error)
    name = (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )
    try:
        text = cut(str(error))
    except Exception:  # noqa: BLE001 - an exception whose text fails still has a name
        text = "<no text>"
    return f"{name}: {text}" if text else name


# What a record carries by itself; everything else was given as a field.
OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}

# Characters of an event, which may list many problems; of a list or a dictionary; and of a line.
MAX_EVENT = 8_000
MAX_FIELD = 16_000
MAX_LINE = 32_000


class Formatter(logging.Formatter):
    """Writes a record's time, level, logger, event and fields, and cuts what is too long.

    Texts are cut before they are encoded: so neither the line nor the work on it grows with what a
    client or a server sends.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line. One that is still too long keeps its event alone, cut further."""
        known = self._known(record)
        line = self.write(known | self._given(record))
        if len(line) <= MAX_LINE:
            return line
        return self.write(known | {"event": cut(known["event"]), "cut": len(line)})

    @abstractmethod
    def write(self, fields: dict[str, Any]) -> str:
        """Return the line that has these fields."""

    def _known(self, record: logging.LogRecord) -> dict[str, Any]:
        """Return what every line has, in the order in which it stands."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        return {
            "time": moment.replace("+00:00", "Z"),
            "level": cut(record.levelname.lower()),
            "logger": cut(record.name),
            "event": _event(record),
        }

    def _given(self, record: logging.LogRecord) -> dict[str, Any]:
        given = {
            cut(name): _bounded(value) for name, value in vars(record).items() if name not in OWN
        }
        error = record.exc_info and record.exc_info[1]
        return given | {"error": format_traceback(error)} if error else given


def _event(record: logging.LogRecord) -> str:
    """Return the message, each text in it cut before it is inserted."""
    if isinstance(given := record.args, tuple):
        record = copy(record)
        record.args = tuple(cut(one) if isinstance(one, str) else one for one in given)
    return cut(record.getMessage(), MAX_EVENT)


def _bounded(value: Any) -> Any:
    """Return a field's value, or as much of its text as a line should hold."""
    if isinstance(value, str):
        return cut(value)
    if value is None or isinstance(value, int | float):
        return value
    text = json.dumps(value, default=str)
    return value if len(text) <= MAX_FIELD else cut(text)


class JsonFormatter(Formatter):
    """One JSON object a line."""

    def write(self, fields: dict[str, Any]) -> str:
        """Return the object, whatever its fields are."""
        return json.dumps(fields, default=str)


class ConsoleFormatter(Formatter):
    """One line for people: fields as `name=value`, where there is a value."""

    def write(self, fields: dict[str, Any]) -> str:
        """Return the line, and below it the lines of an exception."""
        time, level = fields.pop("time")[11:23], fields.pop("level")
        del fields["logger"]
        event, error = fields.pop("event"), fields.pop("error", None)
        told = [f"{name}={value}" for name, value in fields.items() if str(value or "")]
        line = escape_unprintable(" ".join([time, f"{level:8}", event, *told]))
        # Set in, so that nothing in an error's text looks like a line of its own.
        return "\n  ".join([line, *map(escape_unprintable, error.split("\n"))]) if error else line
