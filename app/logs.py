"""The log: an event a line, with fields, and nothing in it that should not be there."""

import contextlib
import io
import json
import logging
import logging.config
import math
import re
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from typing import Any, TextIO

from app.spool import Spool


# What a record carries by itself; everything else was given as a field.
OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}

PROBED = re.compile(r"/(health|healthz|livez|readyz|startupz|metrics)([/?]|$)")

# Seconds until the server tells the same warning once more.
TELL_AGAIN = 60


def visible(text: str) -> str:
    """Escape what is not printable: it would break the line, or steer a terminal."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


class SuccessfulProbes(logging.Filter):
    """Keeps uvicorn's access log free of the requests that go well: they come for ever."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let pass what is not a successful request for one of the paths of this service."""
        match record.args:
            case (_, _, str(path), _, HTTPStatus.OK):
                return not PROBED.match(path)
        return True


class Repetitions(logging.Filter):
    """Keeps uvicorn's log free of a warning that it has just given: clients cause any number.

    A warning that is told again, after a minute, tells how many were left out.
    """

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[str, float] = {}
        self._left_out = Counter[str]()

    def filter(self, record: logging.LogRecord) -> bool:
        """Let pass what is no warning, and each warning once a minute."""
        if record.levelno != logging.WARNING:
            return True
        if 0 <= record.created - self._told.get(record.msg, -math.inf) < TELL_AGAIN:
            self._left_out[record.msg] += 1
            return False
        self._told[record.msg] = record.created
        if left_out := self._left_out.pop(record.msg, 0):
            vars(record)["left_out"] = left_out
        return True


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


@contextlib.contextmanager
def without_chatter() -> Iterator[None]:
    """Filter uvicorn's logs, whoever has set them up, of what everybody can have told for ever."""
    filters = {"uvicorn.access": SuccessfulProbes(), "uvicorn.error": Repetitions()}
    for name, one in filters.items():
        logging.getLogger(name).addFilter(one)
    try:
        yield
    finally:
        for name, one in filters.items():
            logging.getLogger(name).removeFilter(one)


def configure(level: str, form: str | None) -> None:
    """Send every logger's records, uvicorn's too, to standard error, if there is one.

    Args:
        level: the least level that is told.
        form: `json` or `console`; None: for people on a terminal, for programs elsewhere.

    """
    # None where it was closed: its number may belong to a connection by now.
    stderr: TextIO | None = sys.stderr
    console = form == "console" or (form is None and stderr is not None and stderr.isatty())
    formatter = ConsoleFormatter if console else JsonFormatter
    access = logging.getLogger("uvicorn.access")
    wanted = access.propagate or bool(access.handlers)  # neither: `--no-access-log`
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"line": {"()": formatter}},
            "handlers": {"stderr": {"()": partial(_handler, stderr), "formatter": "line"}},
            # uvicorn, where it is run by itself, has given these handlers of their own.
            "loggers": {"uvicorn": {"propagate": True}, "uvicorn.access": {"propagate": wanted}},
            "root": {"level": level.upper(), "handlers": ["stderr"]},
        }
    )


def _handler(stderr: TextIO | None) -> logging.Handler:
    if stderr is None:
        return logging.NullHandler()
    try:
        return Spool(stderr.fileno())
    except io.UnsupportedOperation:  # somebody has put there what is no file
        return logging.StreamHandler(stderr)


def configure_if_nobody_has(level: str, form: str | None) -> None:
    """As `configure`, unless whoever runs the application has seen to its log."""
    if not logging.getLogger("vitals").hasHandlers():
        configure(level, form)
