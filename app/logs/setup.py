"""Where the log goes, and in which form."""

import io
import logging
import logging.config
import sys
from functools import partial
from typing import TextIO

from app.logs.formats import ConsoleFormatter, JsonFormatter
from app.logs.spool import Spool


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
