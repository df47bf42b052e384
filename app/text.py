"""How texts from other systems and times are written."""

from datetime import UTC, datetime


# Characters that are shown of a text that a client or a server has chosen.
MAX_LENGTH = 500


def escape_unprintable(text: str) -> str:
    """Escape unprintable characters, which could break the line or control a terminal."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def cut(text: str, length: int = MAX_LENGTH) -> str:
    """Return the text, or its beginning and an ellipsis if it has more than *length* characters."""
    return text if len(text) <= length else f"{text[: length - 1]}\u2026"


def format_time(seconds: float) -> str:
    """Return a Unix time in UTC as RFC 3339 writes it, to the millisecond."""
    time = datetime.fromtimestamp(seconds, UTC)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
