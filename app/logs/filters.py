"""What is left out of the log: what everybody can have told for ever."""

import contextlib
import logging
import logging.config
import math
from collections import Counter
from collections.abc import Callable, Iterator
from http import HTTPStatus


# Seconds until the server tells the same warning once more.
TELL_AGAIN = 60


class SuccessfulProbes(logging.Filter):
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


@contextlib.contextmanager
def without_chatter(is_probe: Callable[[str], bool]) -> Iterator[None]:
    """Filter uvicorn's logs, whoever has set them up, of what everybody can have told for ever."""
    filters = {"uvicorn.access": SuccessfulProbes(is_probe), "uvicorn.error": Repetitions()}
    for name, one in filters.items():
        logging.getLogger(name).addFilter(one)
    try:
        yield
    finally:
        for name, one in filters.items():
            logging.getLogger(name).removeFilter(one)
