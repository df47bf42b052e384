"""OpenTelemetry is the user's choice; what asks and answers all the time is kept out of it."""

import contextlib
from collections.abc import Iterator

from opentelemetry import context


# By this every instrumentation lets itself be told to look away.
SUPPRESSED = "suppress_instrumentation"


@contextlib.contextmanager
def unobserved() -> Iterator[None]:
    """Have no instrumentation make a span or a measurement of what the block does or starts."""
    token = context.attach(context.set_value(SUPPRESSED, value=True))
    try:
        yield
    finally:
        context.detach(token)
