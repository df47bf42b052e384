"""The reason for each error of PostgreSQL and PgBouncer."""

from app.checks.network import Dialer, explain_network
from app.checks.postgres_protocol import PostgresServerError
from app.checks.postgres_statement import RequirementError
from app.health import Reason


# By SQLSTATE, or by its first two characters (its class) if the SQLSTATE is not listed.
# https://www.postgresql.org/docs/current/errcodes-appendix.html
SQLSTATES = {
    "08": Reason.DISCONNECTED,
    "08P01": Reason.PROTOCOL,
    "25006": Reason.READ_ONLY,
    "28": Reason.DENIED,
    "28P01": Reason.AUTH,
    "3D000": Reason.MISCONFIGURED,
    "42501": Reason.DENIED,
    "42601": Reason.MISCONFIGURED,  # a syntax error, an unknown column or table of the condition
    "42703": Reason.MISCONFIGURED,
    "42P01": Reason.MISCONFIGURED,
    "53200": Reason.OUT_OF_MEMORY,
    "53300": Reason.TOO_MANY_CONNECTIONS,
    "55000": Reason.DENIED,  # a database that allows no connections
    "57014": Reason.TIMEOUT,  # statement_timeout
    "57P01": Reason.DISCONNECTED,
    "57P02": Reason.DISCONNECTED,
    "57P03": Reason.STARTING,
    "57P05": Reason.DISCONNECTED,
}

# Poolers have one SQLSTATE for their own errors and those of the server, so a part of the text in
# lower case decides: PgBouncer 08P01, Pgpool-II, Supavisor and Neon XX000. The reason is the one
# that PostgreSQL itself would have.
POOLERS = {
    "authentication failed": Reason.AUTH,
    "no such database": Reason.MISCONFIGURED,
    "does not exist": Reason.MISCONFIGURED,
    "bind message supplies 0 parameters": Reason.MISCONFIGURED,  # the condition contains $1
    "transaction blocks not allowed": Reason.MISCONFIGURED,  # for a condition
    "tenant or user not found": Reason.MISCONFIGURED,
    "not permitted to log in": Reason.DENIED,
    "permission denied": Reason.DENIED,
    "is disabled": Reason.DENIED,
    "login rejected": Reason.DENIED,
    "ssl required": Reason.DENIED,
    "connection is insecure": Reason.DENIED,
    "no more connections": Reason.TOO_MANY_CONNECTIONS,
    "remaining connection slots": Reason.TOO_MANY_CONNECTIONS,
    "client connections reached": Reason.TOO_MANY_CONNECTIONS,
    "too many": Reason.TOO_MANY_CONNECTIONS,
    "the database system is": Reason.STARTING,
    "shutting down": Reason.STARTING,
    "server conn crashed": Reason.DISCONNECTED,
    "server_login_retry": Reason.UNREACHABLE,
    "failed to create a backend connection": Reason.UNREACHABLE,
    "all backend nodes are down": Reason.UNREACHABLE,
    "query_wait_timeout": Reason.TIMEOUT,
    "query_timeout": Reason.TIMEOUT,
    "query timeout": Reason.TIMEOUT,
    "client_login_timeout": Reason.TIMEOUT,
}

# Parts of the message to a client that has no certificate, and to one that does not use TLS.
CERTIFICATE_REQUIRED = "client certificate"
TLS_REQUIRED = ("SSL required", "connection is insecure", "no encryption")


def explain_postgres(error: BaseException, dialer: Dialer) -> Reason:
    """Return the reason for an error of PostgreSQL, PgBouncer or the network, or for an answer."""
    if isinstance(error, RequirementError):
        return error.reason
    if not isinstance(error, PostgresServerError):
        return explain_network(error, dialer)
    state = error.sqlstate
    if state[:2] == "08" or state == "XX000":
        for text, reason in POOLERS.items():
            if text in error.text.lower():
                return reason
    return SQLSTATES.get(state) or SQLSTATES.get(state[:2]) or Reason.ERROR
