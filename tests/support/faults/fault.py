"""Faults that a proxy can cause on the connections that pass through it."""

import sys
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """How the proxy treats connections; the base class forwards everything."""

    def room(self, _passed: int) -> int:
        """Return how many more bytes of the answer to forward after those that have passed."""
        return sys.maxsize

    def alter(self, data: bytes, _passed: int) -> bytes:
        """Return the bytes to forward instead of *data*, which follows those that have passed."""
        return data


@dataclass(frozen=True, slots=True)
class Refuse(Fault):
    """The server's process is gone: new connections are refused, open ones reset."""


@dataclass(frozen=True, slots=True)
class Silent(Fault):
    """The server's process is frozen: connections are accepted, but no data passes either way."""

    def room(self, _passed: int) -> int:
        return 0


@dataclass(frozen=True, slots=True)
class Blackhole(Silent):
    """The network drops packets: no SYN is answered, no data passes on open connections."""


@dataclass(frozen=True, slots=True)
class Limit(Fault):
    """Only the first bytes of the answer pass.

    Args:
        after: number of bytes that pass on each connection, counted from its start, or from the
            switch to this fault if it was open before.
    """

    after: int = 0

    def room(self, passed: int) -> int:
        return self.after - passed


@dataclass(frozen=True, slots=True)
class Stall(Limit):
    """The rest of the answer is held back."""


@dataclass(frozen=True, slots=True)
class Reset(Limit):
    """Then the connection is reset (RST)."""


@dataclass(frozen=True, slots=True)
class Cut(Limit):
    """Then the connection is closed (FIN)."""


@dataclass(frozen=True, slots=True)
class Corrupt(Fault):
    """Every bit after the first bytes of the answer is flipped; `Limit` defines *after*."""

    after: int = 0

    def alter(self, data: bytes, passed: int) -> bytes:
        intact = max(self.after - passed, 0)
        return data[:intact] + bytes(byte ^ 0xFF for byte in data[intact:])


@dataclass(frozen=True, slots=True)
class Slow(Fault):
    """The answer passes in parts of at most *size* bytes, each after *every* seconds."""

    size: int
    every: float

    def room(self, _passed: int) -> int:
        return self.size
