"""How an event is written: on one line, with its fields."""

import json
import logging
import logging.config
from abc import abstractmethod
from copy import copy
from datetime import UTC, datetime
from typing import Any

from app.logs.errors import traced
from app.text import cut, visible


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
        return given | {"error": traced(error)} if error else given


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
        line = visible(" ".join([time, f"{level:8}", event, *told]))
        # Set in, so that nothing in an error's text looks like a line of its own.
        return "\n  ".join([line, *map(visible, error.split("\n"))]) if error else line
