"""What an `Accept` prefers."""

from collections.abc import Sequence

import mimeparse


# Characters: no client sends more, and nobody shall keep the parser busy.
MAX_ACCEPT_LENGTH = 2048


def preferred(accept: str, offered: Sequence[str]) -> str:
    """Choose among the media types on offer, the most welcome of them first.

    Where an `Accept` makes no choice or no sense, that is the first. Parameters such as
    `version=0.0.4` are ignored, as nothing here comes in more than one version.
    """
    if len(accept) > MAX_ACCEPT_LENGTH:
        return offered[0]
    try:
        return mimeparse.best_match(offered[::-1], accept.lower()) or offered[0]
    except mimeparse.MimeTypeParseException:
        return offered[0]
