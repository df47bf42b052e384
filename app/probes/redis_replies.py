"""What Redis or redis-py says, in a word of the closed list."""

from collections.abc import Mapping

from redis import exceptions

from app.health import Reason
from app.probes.reasons import UNWANTED, by_class


REPLIES: Mapping[type[BaseException], Reason] = {
    exceptions.AskError: Reason.MISCONFIGURED,  # a cluster's node that does not hold the key
    exceptions.AuthenticationError: Reason.AUTH,
    exceptions.BusyLoadingError: Reason.STARTING,
    exceptions.ClusterDownError: Reason.NO_PRIMARY,
    exceptions.MasterDownError: Reason.NO_PRIMARY,
    exceptions.NoPermissionError: Reason.DENIED,
    exceptions.OutOfMemoryError: Reason.OUT_OF_MEMORY,
    exceptions.ReadOnlyError: Reason.READ_ONLY,
}

# What redis-py has no class of its own for, by how the server's message begins.
MESSAGES: Mapping[str, Reason] = {
    **dict.fromkeys(UNWANTED, Reason.AUTH),
    "BUSY": Reason.TIMEOUT,  # a script keeps it from answering anybody
    "DB index is out of range": Reason.MISCONFIGURED,
    "DENIED": Reason.DENIED,  # protected mode
    "MISCONF": Reason.PERSISTENCE,
    "NOREPLICAS": Reason.READ_ONLY,
    "invalid DB index": Reason.MISCONFIGURED,
    "max number of clients": Reason.TOO_MANY_CONNECTIONS,
}


def of_redis(error: BaseException) -> Reason | None:
    """Explain what Redis or redis-py says, if it is theirs."""
    if known := by_class(REPLIES, error):
        return known
    message = str(error).removeprefix("ERR ")
    return next((why for start, why in MESSAGES.items() if message.startswith(start)), None)
