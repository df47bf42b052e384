"""What each reason means in plain words, and what to try: for whoever reads it at night."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why a check fails: a closed list, fit to be told to anybody and to be alerted on."""

    DNS = "dns"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    CONNECT_TIMEOUT = "connect_timeout"
    TIMEOUT = "timeout"
    DISCONNECTED = "disconnected"
    TLS = "tls"
    AUTH = "auth"
    DENIED = "denied"
    TOO_MANY_CONNECTIONS = "too_many_connections"
    STARTING = "starting"
    READ_ONLY = "read_only"
    NO_PRIMARY = "no_primary"
    OUT_OF_MEMORY = "out_of_memory"
    PERSISTENCE = "persistence"
    MISCONFIGURED = "misconfigured"
    PROTOCOL = "protocol"
    HTTP_STATUS = "http_status"
    STUCK = "stuck"
    STALE = "stale"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Advice:
    """A reason in plain words, and what to try, in order."""

    words: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.words} {self.remedy}"


ADVICE: Mapping[Reason, Advice] = {
    Reason.DNS: Advice(
        "Its name can't be resolved.",
        "See whether it runs (a stopped container loses its name), whether both share a network, "
        "and how the URL spells the host.",
    ),
    Reason.REFUSED: Advice(
        "Nothing listens at its address.",
        "Start it, or correct the port. Its own log says why it ended.",
    ),
    Reason.UNREACHABLE: Advice(
        "No network path leads to it, or the pooler before it has no server.",
        "Look at routes, networks and the interface; behind a pooler, at the server itself.",
    ),
    Reason.CONNECT_TIMEOUT: Advice(
        "It does not accept the connection in time.",
        "Look for a firewall that drops packets, a host that is down, or a full backlog.",
    ),
    Reason.TIMEOUT: Advice(
        "It accepts the connection, but does not answer in time.",
        "Look at its load, locks and disk; it may be frozen. A timeout that is too short for it "
        "is raised with CHECK_TIMEOUT.",
    ),
    Reason.DISCONNECTED: Advice(
        "It closes the connection before it answers.",
        "See whether it restarts or crashes; its log tells. Idle limits of proxies do this too.",
    ),
    Reason.TLS: Advice(
        "No trusted encrypted connection comes about.",
        "Check its certificate's names and dates, the CA that is mounted here, and sslmode.",
    ),
    Reason.AUTH: Advice(
        "It does not accept the password, or the secret's file can't be read here.",
        "Compare the secret's file with what the server has; a rotated one is used at once. vitals "
        "doctor finds quotes, blanks and marks in it that are not meant.",
    ),
    Reason.DENIED: Advice(
        "It knows the user, but does not permit this.",
        "Give the user the right to log in and the grants that this depth of check needs.",
    ),
    Reason.TOO_MANY_CONNECTIONS: Advice(
        "It has no free connection slot.",
        "Look for a client that leaks connections, end idle ones, or raise the limit.",
    ),
    Reason.STARTING: Advice(
        "It is starting up: replaying its log or loading its data.",
        "Wait. Its log tells how far it is.",
    ),
    Reason.READ_ONLY: Advice(
        "It takes no writes: it is a replica or in recovery.",
        "See whether a failover has happened, and point the URL at the primary.",
    ),
    Reason.NO_PRIMARY: Advice(
        "It is a replica that has lost its primary.",
        "Bring the primary back, or promote a replica.",
    ),
    Reason.OUT_OF_MEMORY: Advice(
        "It is out of memory.",
        "Free some, raise its limit, or set an eviction policy.",
    ),
    Reason.PERSISTENCE: Advice(
        "It refuses writes because it can't save its data.",
        "Look at the space and the rights of its data folder; its log names the error.",
    ),
    Reason.MISCONFIGURED: Advice(
        "There is no such database.",
        "Correct the name in the URL, or create it.",
    ),
    Reason.PROTOCOL: Advice(
        "What answers does not speak the language that is expected.",
        "See whether the port belongs to another service, or to a proxy that answers for it.",
    ),
    Reason.HTTP_STATUS: Advice(
        "It answers, but not with the status code that is expected.",
        "Ask its URL by hand, and look at its log; expect in HTTP_CHECKS says what is wanted.",
    ),
    Reason.STUCK: Advice(
        "An attempt to ask it hangs and can't be ended.",
        "It is given up by itself after three timeouts. If it lasts, restart this instance.",
    ),
    Reason.STALE: Advice(
        "Nothing has been heard of it for too long: whatever was known is not believed any more.",
        "The fault is here, not there: see whether this machine is overloaded or was asleep, and "
        "restart this instance if it lasts.",
    ),
    Reason.ERROR: Advice(
        "Something failed that has no name of its own.",
        "The log of this instance has the error in its own words.",
    ),
}
