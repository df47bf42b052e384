"""An exception as text of a bounded length, from a bounded amount of work."""

import traceback
from collections import deque
from itertools import islice

from app.text import cut


# Calls of each exception, the innermost, and the exceptions of one chain or group.
MAX_CALLS = 20
MAX_ERRORS = 5


def traced(error: BaseException) -> str:
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
