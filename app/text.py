"""Text as it may be shown to people."""


def visible(text: str) -> str:
    """Escape what is not printable: it would break the line, or steer a terminal."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)
