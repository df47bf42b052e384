"""Configuration of the log: destination, level, format, and filters for uvicorn's records."""

import contextlib
import io
import logging
import logging.config
import math
import sys
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from functools import partial
from http import HTTPStatus
from typing import TextIO

from app.logs.formats import ConsoleFormatter, JsonFormatter
from app.logs.handler import NonBlockingHandler
from app.text import cut


# Seconds until the same line is logged again, with the number of those that were suppressed.
REPEAT_AFTER = 60

# Seconds after which a count is not reported: it belongs to an earlier outage.
FORGET_AFTER = 10 * REPEAT_AFTER

# Different lines that are remembered. Clients can cause any number of them.
MAX_REMEMBERED = 1000


class RepetitionFilter(logging.Filter):
    """Passes the same warning of uvicorn once a minute: clients can cause any number of them.

    The next line that passes has a field `suppressed`: how many were left out since the last one.
    """

    def __init__(self) -> None:
        super().__init__()
        self._passed_at: dict[Hashable, float] = {}
        self._suppressed = Counter[Hashable]()

    def key(self, record: logging.LogRecord) -> Hashable:
        """Return what makes two records the same; None for a record that always passes."""
        return record.msg if record.levelno == logging.WARNING else None

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to log the record."""
        if (key := self.key(record)) is None:
            return True
        passed = record.created - self._passed_at.get(key, -math.inf)
        if 0 <= passed < REPEAT_AFTER:
            self._suppressed[key] += 1
            return False
        if len(self._passed_at) >= MAX_REMEMBERED:
            self._passed_at.clear()
            self._suppressed.clear()
        self._passed_at[key] = record.created
        suppressed = self._suppressed.pop(key, 0)
        if suppressed and passed < FORGET_AFTER:
            vars(record)["suppressed"] = suppressed
        return True


class ProbeAccessFilter(RepetitionFilter):
    """Drops successful probes from uvicorn's access log, and limits the rate of failing ones.

    The same failing answer to the same client is logged once a minute. Otherwise the access lines
    of an outage would hide its cause.
    """

    def __init__(self, is_probe: Callable[[str], bool]) -> None:
        super().__init__()
        self._is_probe = is_probe

    def key(self, record: logging.LogRecord) -> Hashable:
        """Return client, method, path and status of a failing probe; None for other requests."""
        match record.args:
            case (str(client), method, str(path), _, int(status)):
                route = path.partition("?")[0]
                if status >= HTTPStatus.BAD_REQUEST and self._is_probe(route):
                    return client.rpartition(":")[0], method, cut(route), status
        return None

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to log the record."""
        match record.args:
            case (_, _, str(path), _, HTTPStatus.OK) if self._is_probe(path.partition("?")[0]):
                return False
        return super().filter(record)


@contextlib.contextmanager
def filter_probe_logs(is_probe: Callable[[str], bool]) -> Iterator[None]:
    """Filter uvicorn's logs within the block, no matter who configured logging."""
    filters = {"uvicorn.access": ProbeAccessFilter(is_probe), "uvicorn.error": RepetitionFilter()}
    for name, log_filter in filters.items():
        logging.getLogger(name).addFilter(log_filter)
    try:
        yield
    finally:
        for name, log_filter in filters.items():
            logging.getLogger(name).removeFilter(log_filter)


def configure(level: str, log_format: str | None) -> None:
    """Send the records of all loggers, uvicorn's too, to standard error, if it is open.

    Args:
        log_format: `json` or `console`. None means `console` on a terminal, otherwise `json`.
    """
    # None if it was closed. Its number may belong to a connection by now.
    stderr: TextIO | None = sys.stderr
    is_console = log_format == "console" or (
        log_format is None and stderr is not None and stderr.isatty()
    )
    access = logging.getLogger("uvicorn.access")
    has_access_log = access.propagate or bool(access.handlers)  # neither: `--no-access-log`
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"line": {"()": ConsoleFormatter if is_console else JsonFormatter}},
            "handlers": {"stderr": {"()": partial(_handler, stderr), "formatter": "line"}},
            # The uvicorn command has added handlers to these loggers, and stopped propagation.
            "loggers": {
                "uvicorn": {"propagate": True},
                "uvicorn.access": {"propagate": has_access_log},
            },
            "root": {"level": level.upper(), "handlers": ["stderr"]},
        }
    )


def _handler(stderr: TextIO | None) -> logging.Handler:
    if stderr is None:
        return logging.NullHandler()
    try:
        return NonBlockingHandler(stderr.fileno())
    except io.UnsupportedOperation:  # standard error was replaced by an object without a descriptor
        return logging.StreamHandler(stderr)


def configure_if_unconfigured(level: str, log_format: str | None) -> None:
    """Configure the log, unless the program that runs the application has done so."""
    if not logging.getLogger("vitals").hasHandlers():
        configure(level, log_format)
