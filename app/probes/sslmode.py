"""How libpq reads `sslmode`: the ways to connect to a PostgreSQL, with TLS and without."""

import ssl
from dataclasses import dataclass

from app.probes.trust import Trust


@dataclass(frozen=True, slots=True)
class Way:
    """One way to connect.

    Attributes:
        trust: the servers to trust; None: no TLS is asked for.
        demands: whether TLS is a must, and a server that has none is refused.

    """

    trust: Trust | None
    demands: bool = False


def ways(mode: str | None, root: str | None) -> list[Way]:
    """Return the ways that `sslmode` and `sslrootcert` allow, in the order of libpq.

    Without a root file the system's authorities are trusted. Files in the home directory are not
    read.

    https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION
    """
    if mode == "disable":
        return [Way(None)]
    if mode in {"verify-ca", "verify-full"} or (mode == "require" and root):
        return [Way(Trust(root, check_hostname=mode == "verify-full"), demands=True)]
    unverified = Trust(verify=False)
    if mode == "require":
        return [Way(unverified, demands=True)]
    if mode == "allow":
        return [Way(None), Way(unverified)]
    return [Way(unverified), Way(None)]


def should_try_next(error: BaseException) -> bool:
    """Return whether a server may accept with TLS what it refuses without, or the reverse."""
    return isinstance(error, ssl.SSLError) or getattr(error, "sqlstate", "") == "28000"
