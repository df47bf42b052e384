"""The state of a Redis Cluster, as each of its nodes knows it.

https://redis.io/docs/latest/commands/cluster-info/
"""

import re
from typing import Any

from redis.exceptions import ClusterDownError

from app.checks.errors import ProtocolError
from app.checks.resp import raise_refusal


CLUSTER_INFO = ("CLUSTER", "INFO")
STATE = re.compile(rb"^cluster_state:(\w{1,20})\r?$", re.MULTILINE)
SERVED = re.compile(rb"^cluster_slots_ok:(\d{1,5})\r?$", re.MULTILINE)
SLOTS = 16384


def ensure_cluster(info: Any, *, is_complete: bool) -> None:
    """Raise an error unless a reply to CLUSTER INFO reports that the cluster serves.

    Args:
        is_complete: whether the cluster must serve all slots. Otherwise a cluster with
            `cluster-require-full-coverage no` passes.

    Raises:
        redis.ClusterDownError: the cluster does not serve.
        redis.ResponseError: the server refuses the command.
        ProtocolError: the reply belongs to another command.
    """
    raise_refusal(info)
    text = info if isinstance(info, bytes) else b""
    state, served = STATE.search(text), SERVED.search(text)
    if not state or not served:
        msg = "a reply without the state of the cluster"
        raise ProtocolError(msg)
    if state[1] != b"ok" or (is_complete and int(served[1]) < SLOTS):
        msg = f"the state is {state[1].decode()}, and {int(served[1])} slots are served"
        raise ClusterDownError(msg)
