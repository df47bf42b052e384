"""The reasons why a check fails, and the advice for each: its meaning, and what to try."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why a check fails: a closed list without details, safe to publish and to alert on."""

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
    CLUSTER_DOWN = "cluster_down"
    NOT_REPLICA = "not_replica"
    LAGGING = "lagging"
    CONDITION = "condition"
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
    """What has happened, and what to try, in order."""

    words: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.words} {self.remedy}"


ADVICE: Mapping[Reason, Advice] = {
    Reason.DNS: Advice(
        "Its host name can't be resolved.",
        "Check whether it runs (a stopped container loses its name), whether both containers share "
        "a network, and the spelling of the host in the URL.",
    ),
    Reason.REFUSED: Advice(
        "Nothing listens at its address.",
        "Start it, or correct the port. Its own log says why it stopped.",
    ),
    Reason.UNREACHABLE: Advice(
        "There is no network route to it, or the connection pooler has no server.",
        "Check routes, networks and interfaces. Behind a pooler, check the database server.",
    ),
    Reason.CONNECT_TIMEOUT: Advice(
        "It does not accept the connection in time.",
        "Look for a firewall that drops packets, a host that is down, or a full listen queue.",
    ),
    Reason.TIMEOUT: Advice(
        "It accepts the connection, but does not answer in time.",
        "Check its load, locks and disk; it may be frozen. If it needs more time, raise "
        "CHECK_TIMEOUT.",
    ),
    Reason.DISCONNECTED: Advice(
        "It closes the connection before it answers.",
        "Check in its log whether it restarts or crashes. Proxies with idle timeouts do this too.",
    ),
    Reason.TLS: Advice(
        "The TLS handshake failed.",
        "Check the names and dates in its certificate, the CA file that is mounted here, and "
        "sslmode.",
    ),
    Reason.AUTH: Advice(
        "It rejects the password, or the secret's file can't be read here.",
        "Compare the secret's file with the password of the server: quotes, spaces and invisible "
        "characters count. A changed file is used at the next connection.",
    ),
    Reason.DENIED: Advice(
        "It knows the user, but denies access.",
        "Grant the user the right to log in, and the privileges that this check needs.",
    ),
    Reason.TOO_MANY_CONNECTIONS: Advice(
        "It has no free connection slot.",
        "Look for a client that leaks connections, close idle ones, or raise the limit.",
    ),
    Reason.STARTING: Advice(
        "It is starting: it replays its log or loads its data.",
        "Wait. Its log shows the progress.",
    ),
    Reason.READ_ONLY: Advice(
        "It rejects writes: it is a replica, or in recovery.",
        "Check whether there was a failover, and point the URL at the primary.",
    ),
    Reason.NO_PRIMARY: Advice(
        "No host is a primary, or a replica has lost the connection to its primary.",
        "Repair the primary, or promote a replica.",
    ),
    Reason.CLUSTER_DOWN: Advice(
        "The Redis Cluster does not serve all of its slots.",
        "Look for nodes that are down or can't reach the others with redis-cli --cluster check.",
    ),
    Reason.NOT_REPLICA: Advice(
        "No host is a replica.",
        "Check whether there was a failover, and point the URL at a replica.",
    ),
    Reason.LAGGING: Advice(
        "It is a replica that is too far behind, or that receives nothing.",
        "Check its connection to the primary, its load, and whether replay is paused. The limit is "
        "the option max_lag.",
    ),
    Reason.CONDITION: Advice(
        "The query of the option condition returns something else than true.",
        "Run it by hand, and repair what it watches.",
    ),
    Reason.OUT_OF_MEMORY: Advice(
        "It is out of memory.",
        "Free memory, raise its limit, or set an eviction policy.",
    ),
    Reason.PERSISTENCE: Advice(
        "It rejects writes because it can't save its data.",
        "Check free space and permissions of its data directory. Its log has the error.",
    ),
    Reason.MISCONFIGURED: Advice(
        "The database does not exist, or the query of the option condition can't work.",
        "Correct the URL or the query, or create the database. The log has the error.",
    ),
    Reason.PROTOCOL: Advice(
        "The answer does not follow the expected protocol.",
        "Check whether another service, or a proxy, listens at this port.",
    ),
    Reason.HTTP_STATUS: Advice(
        "It answers with another status code than the expected one.",
        "Request its URL by hand, and read its log. The expected codes are the option expect.",
    ),
    Reason.STUCK: Advice(
        "An attempt hangs and can't be cancelled.",
        "Vitals abandons the attempt after three timeouts. If this continues, restart this "
        "instance.",
    ),
    Reason.STALE: Advice(
        "There was no result for too long, so the last one no longer counts.",
        "The fault is in this instance. Check whether its machine is overloaded or was suspended. "
        "If this continues, restart this instance.",
    ),
    Reason.ERROR: Advice(
        "An error without a reason of its own.",
        "Read the error in the log of this instance.",
    ),
}
