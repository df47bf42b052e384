"""Measures latency as concurrent clients would see it."""

from tests.support.service import Reply


# Assumed requests per second; each of them waits while the service is blocked.
PACE = 100


def p99_with_backlog(replies: list[Reply]) -> float:
    """Return the seconds within which 99 of 100 requests are answered.

    The prober sends a request when the previous one is answered. Requests that other clients would
    have sent meanwhile count too; otherwise a pause of one second would count as one late answer.
    """
    waited = [
        reply.seconds - missed / PACE
        for reply in replies
        for missed in range(int(reply.seconds * PACE) + 1)
    ]
    return sorted(waited)[int(len(waited) * 0.99)]
