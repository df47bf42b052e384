"""Text as it may be shown to people."""

# Characters of a text that someone else chose: enough to recognise it by.
MAX_LENGTH = 500


def escape_unprintable(text: str) -> str:
    """Escape what is not printable: it would break the line, or steer a terminal."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def cut(text: str, length: int = MAX_LENGTH) -> str:
    """Return the text, or its beginning and an ellipsis if it has more than *length* characters."""
    return text if len(text) <= length else f"{text[: length - 1]}\u2026"
