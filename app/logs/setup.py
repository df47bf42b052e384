"""Where the log goes, and in which form."""

import contextlib
import io
import logging
import logging.config
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from http import HTTPStatus
from typing import TextIO

from app.logs.formats import ConsoleFormatter, JsonFormatter
from app.logs.handler import NonBlockingHandler


# Seconds until the server tells the same warning once more.
TELL_AGAIN = 60


class SuccessfulProbeFilter(logging.Filter):
    """Keeps uvicorn's access log free of the probes that go well: they come for ever.

    Args:
        is_probe: whether a path is one of those that are probed.

    """

    def __init__(self, is_probe: Callable[[str], bool]) -> None:
        super().__init__()
        self._is_probe = is_probe

    def filter(self, record: logging.LogRecord) -> bool:
        """Let pass what is not a successful probe."""
        match record.args:
            case (_, _, str(path), _, HTTPStatus.OK):
                return not self._is_probe(path.partition("?")[0])
        return True


class RepetitionFilter(logging.Filter):
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


@contextlib.contextmanager
def filter_probe_logs(is_probe: Callable[[str], bool]) -> Iterator[None]:
    """Filter uvicorn's logs, whoever has set them up, of what everybody can have told for ever."""
    filters = {
        "uvicorn.access": SuccessfulProbeFilter(is_probe),
        "uvicorn.error": RepetitionFilter(),
    }
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
        return NonBlockingHandler(stderr.fileno())
    except io.UnsupportedOperation:  # somebody has put there what is no file
        return logging.StreamHandler(stderr)


def configure_if_unconfigured(level: str, form: str | None) -> None:
    """As `configure`, unless whoever runs the application has seen to its log."""
    if not logging.getLogger("vitals").hasHandlers():
        configure(level, form)
