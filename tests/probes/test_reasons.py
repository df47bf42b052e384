"""What no server could easily be brought to say: each class of error, by the table."""

import errno
import ssl

import pytest
from redis import exceptions

from app.checks.errors import ProtocolError, explain_network
from app.checks.postgres_errors import explain_postgres
from app.checks.postgres_protocol import ServerError
from app.checks.redis import explain_redis
from app.health import Reason


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.EHOSTUNREACH, "no route to host"), Reason.UNREACHABLE),
        (OSError(errno.EHOSTDOWN, "host is down"), Reason.UNREACHABLE),
        (OSError(errno.ENETDOWN, "network is down"), Reason.UNREACHABLE),
        (OSError(errno.EADDRNOTAVAIL, "no port left"), Reason.UNREACHABLE),
        (OSError(errno.EMFILE, "too many open files"), Reason.ERROR),
        (PermissionError(errno.EACCES, "the socket is not yours"), Reason.DENIED),
        (ssl.SSLError(1, "handshake failure"), Reason.TLS),
        (ssl.SSLCertVerificationError("expired"), Reason.TLS),
        (BrokenPipeError(), Reason.DISCONNECTED),
        (ProtocolError("too much"), Reason.PROTOCOL),
        (UnicodeError("an answer that is no text"), Reason.ERROR),
        (RuntimeError("can't start new thread"), Reason.ERROR),
    ],
    ids=repr,
)
def test_errors_on_the_way(error: BaseException, reason: Reason) -> None:
    """What the operating system, a resolver and TLS say."""
    assert explain_network(error) is reason


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("08006", Reason.DISCONNECTED),
        ("08P01", Reason.PROTOCOL),
        ("25006", Reason.READ_ONLY),
        ("28000", Reason.DENIED),
        ("28P01", Reason.AUTH),
        ("3D000", Reason.MISCONFIGURED),
        ("42501", Reason.DENIED),
        ("53200", Reason.OUT_OF_MEMORY),
        ("53300", Reason.TOO_MANY_CONNECTIONS),
        ("55000", Reason.DENIED),
        ("57014", Reason.TIMEOUT),
        ("57P01", Reason.DISCONNECTED),
        ("57P02", Reason.DISCONNECTED),
        ("57P03", Reason.STARTING),
        ("57P05", Reason.DISCONNECTED),
        ("XX000", Reason.ERROR),
    ],
)
def test_states_of_postgresql(state: str, reason: Reason) -> None:
    """Each that has a word, and one that has none."""
    assert explain_postgres(ServerError(state, "what the server says")) is reason


def test_an_error_of_another_is_not_explained_by_postgresql() -> None:
    """The network's and redis-py's are explained elsewhere."""
    assert explain_postgres(OSError("anything else")) is None


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (exceptions.ClusterDownError("CLUSTERDOWN the cluster is down"), Reason.NO_PRIMARY),
        (exceptions.MovedError("1234 127.0.0.1:7000"), Reason.MISCONFIGURED),
        (exceptions.MasterDownError("link with MASTER is down"), Reason.NO_PRIMARY),
        (exceptions.ResponseError("DENIED Redis is running in protected mode"), Reason.DENIED),
        (exceptions.ResponseError("invalid DB index"), Reason.MISCONFIGURED),
        (exceptions.ResponseError("unknown command"), None),
    ],
    ids=repr,
)
def test_replies_of_redis(error: BaseException, reason: Reason | None) -> None:
    """By redis-py's class, or by how the message begins."""
    assert explain_redis(error) is reason
