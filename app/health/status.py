"""The words in which health is told: how it stands, and why."""

from enum import IntEnum, StrEnum


class Status(IntEnum):
    """How a check, or the whole, stands; ordered, so that the worst is the maximum."""

    PASS = 0
    WARN = 1
    UNKNOWN = 2
    FAIL = 3

    @property
    def word(self) -> str:
        """The status as it is written in an answer."""
        return self.name.lower()


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
