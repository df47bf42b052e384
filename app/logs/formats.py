"""How an event is written: on one line, with its fields."""

import json
import logging
import logging.config
from datetime import UTC, datetime
from typing import Any

from app.text import visible


# What a record carries by itself; everything else was given as a field.
OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}


class Formatter(logging.Formatter):
    """Writes a record's time, level, logger, event and fields."""

    def fields(self, record: logging.LogRecord) -> dict[str, Any]:
        """Collect what there is to tell, in the order in which it is told."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        told = {
            "time": moment.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        given = {name: value for name, value in vars(record).items() if name not in OWN}
        error = {"error": self.formatException(record.exc_info)} if record.exc_info else {}
        return told | given | error


class JsonFormatter(Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record, whatever its fields are."""
        return json.dumps(self.fields(record), default=str)


class ConsoleFormatter(Formatter):
    """One line for people: fields as `name=value`, where there is a value."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        fields = self.fields(record)
        time, level = fields.pop("time")[11:23], fields.pop("level")
        del fields["logger"]
        event, error = fields.pop("event"), fields.pop("error", None)
        told = [f"{name}={value}" for name, value in fields.items() if str(value or "")]
        line = visible(" ".join([time, f"{level:8}", event, *told]))
        # Set in, so that nothing in an error's text looks like a line of its own.
        return "\n  ".join([line, *map(visible, error.split("\n"))]) if error else line
