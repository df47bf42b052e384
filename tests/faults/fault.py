"""What a proxy can do to the connections that go through it."""

import sys
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """A way to treat connections; this one passes everything on."""

    def room(self, passed: int) -> int:
        """Tell how many bytes of the answer may go on after those that have passed."""
        del passed
        return sys.maxsize

    def harm(self, data: bytes, passed: int) -> bytes:
        """Return what becomes of the bytes that come after those that have passed."""
        del passed
        return data


@dataclass(frozen=True, slots=True)
class Refuse(Fault):
    """The server's process is gone: new connections are refused, open ones reset."""


@dataclass(frozen=True, slots=True)
class Silent(Fault):
    """The server's process is frozen: connections are accepted, nothing passes either way."""

    def room(self, passed: int) -> int:
        """Keep everything back."""
        del passed
        return 0


@dataclass(frozen=True, slots=True)
class Blackhole(Silent):
    """The network swallows packets: no SYN is answered, nothing passes on open connections."""


@dataclass(frozen=True, slots=True)
class Limit(Fault):
    """A part of the answer passes, and no more.

    Args:
        after: how many bytes pass, counted on each connection from its start, or from the switch
            to this fault where it was open before.

    """

    after: int = 0

    def room(self, passed: int) -> int:
        """Let what is left of the part go on."""
        return self.after - passed


@dataclass(frozen=True, slots=True)
class Stall(Limit):
    """The rest of the answer doesn't come."""


@dataclass(frozen=True, slots=True)
class Reset(Limit):
    """Then the connection is reset (RST)."""


@dataclass(frozen=True, slots=True)
class Cut(Limit):
    """Then the connection ends (FIN)."""


@dataclass(frozen=True, slots=True)
class Corrupt(Fault):
    """Every bit of the answer is flipped, but for its first bytes; they count as a `Limit`'s do."""

    after: int = 0

    def harm(self, data: bytes, passed: int) -> bytes:
        """Flip what comes after the first bytes."""
        sound = max(self.after - passed, 0)
        return data[:sound] + bytes(byte ^ 0xFF for byte in data[sound:])


@dataclass(frozen=True, slots=True)
class Slow(Fault):
    """The answer trickles: at most so many bytes at a time, each time after so many seconds."""

    size: int
    every: float

    def room(self, passed: int) -> int:
        """Let as much go on as goes at a time."""
        del passed
        return self.size
