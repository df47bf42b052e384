"""How late answers are, for clients that do not wait for each other."""

from tests.service import Reply


# Requests a second that are as good as sent, of which each waits until the service goes on.
PACE = 100


def late(replies: list[Reply]) -> float:
    """Return the seconds within which 99 of 100 requests are answered.

    A request is sent when the one before is answered. Those that others would have sent meanwhile
    count as well, or a service that stands still for a second would have been late once.
    """
    waited = [
        reply.seconds - missed / PACE
        for reply in replies
        for missed in range(int(reply.seconds * PACE) + 1)
    ]
    return sorted(waited)[int(len(waited) * 0.99)]
