"""Mutations of a conversation, as a hostile or broken dependency makes them."""

import random
import re
import struct
from collections.abc import Callable, Sequence

from tests.fuzz.conversation import Conversation


NUMBERS = (-(2**31), -1, 0, 1, 3, 4, 5, 255, 65_535, 65_536, 2_000_000, 2**31 - 1, 2**32 - 1)
DIGITS = re.compile(rb"\d+")
SIZES = (1, 2, 4, 100)
REPEATS = (2, 3, 20, 101, 1000)
FLOODS = (1, 10, 1000, 70_000, 1_000_000)

# The most bytes in a turn: far more than a probe may read.
MAX_BYTES = 2_000_000

Messages = list[bytes]

# Changes one of the messages; the arguments end with its index, and messages that may be inserted.
Operation = Callable[[random.Random, Messages, int, Sequence[bytes]], None]


def _edit(edit: Callable[[random.Random, bytearray, int], None]) -> Operation:
    """Return an operation that edits a message at a random position."""

    def operation(rng: random.Random, messages: Messages, index: int, _: Sequence[bytes]) -> None:
        data = bytearray(messages[index])
        edit(rng, data, rng.randrange(len(data)))
        messages[index] = bytes(data)

    return operation


def _flip(rng: random.Random, data: bytearray, at: int) -> None:
    data[at] ^= 1 << rng.randrange(8)


def _replace(rng: random.Random, data: bytearray, at: int) -> None:
    data[at] = rng.choice((0, 10, 13, 32, 127, 128, 255, rng.randrange(256)))


def _insert(rng: random.Random, data: bytearray, at: int) -> None:
    data[at:at] = rng.randbytes(rng.choice(SIZES))


def _delete(rng: random.Random, data: bytearray, at: int) -> None:
    del data[at : at + rng.choice(SIZES)]


def _double(rng: random.Random, data: bytearray, at: int) -> None:
    data[at:at] = data[at : at + rng.choice(SIZES)]


def _shorten(_: random.Random, data: bytearray, at: int) -> None:
    del data[at:]


def _count(rng: random.Random, data: bytearray, at: int) -> None:
    """Change a decimal number, or a binary one if there is none."""
    if found := list(DIGITS.finditer(data)):
        match = rng.choice(found)
        near = (int(match[0][:9]) - 1, int(match[0][:9]) + 1)
        data[match.start() : match.end()] = b"%d" % rng.choice((*NUMBERS, *near))
    else:
        _length(rng, data, at)


def _length(rng: random.Random, data: bytearray, at: int) -> None:
    """Change a binary number, most often the length after a type."""
    at = rng.choice((1, 1, 3, 5, at))
    own = len(data) - 1
    value = rng.choice((*NUMBERS, own - 1, own + 1))
    size = rng.choice((4, 4, 2))
    data[at : at + size] = struct.pack("!I", value & 0xFFFFFFFF)[-size:]


def _swap(rng: random.Random, messages: Messages, _: int, __: Sequence[bytes]) -> None:
    rng.shuffle(messages)


def _repeat(rng: random.Random, messages: Messages, index: int, _: Sequence[bytes]) -> None:
    times = min(rng.choice(REPEATS), max(1, MAX_BYTES // len(messages[index])))
    messages[index:index] = [messages[index]] * (times - 1)


def _drop(_: random.Random, messages: Messages, index: int, __: Sequence[bytes]) -> None:
    del messages[index]


def _foreign(rng: random.Random, messages: Messages, index: int, others: Sequence[bytes]) -> None:
    """Insert or replace a message: one of another phase or conversation, or an odd one."""
    added = [rng.choice(others)] * rng.choice((1, 1, 1, 2, 200))
    messages[index : index + rng.randrange(2)] = added


def _surplus(rng: random.Random, messages: Messages, _: int, others: Sequence[bytes]) -> None:
    messages.append(rng.choice((rng.randbytes(rng.choice(FLOODS)), rng.choice(others))))


def _flood(rng: random.Random, data: bytearray, at: int) -> None:
    """Insert one byte, repeated many times, into a message."""
    data[at:at] = bytes([rng.choice((0, 10, 32, 65, 255))]) * rng.choice(FLOODS)


EDITS = (_flip, _replace, _insert, _delete, _double, _shorten, _count, _length, _flood)
OPERATIONS: dict[str, Operation] = {
    **{edit.__name__[1:]: _edit(edit) for edit in EDITS},
    **{one.__name__[1:]: one for one in (_swap, _repeat, _drop, _foreign, _surplus)},
}
ENDINGS = ("close", "reset", "silence")


class Mutation:
    """The changes to the conversation of one attempt, the same at each replay.

    Args:
        seed: determines all changes.
        others: messages of other conversations, and odd ones.

    Attributes:
        turn: the number of the changed turn.
    """

    def __init__(self, seed: str, conversation: Conversation, others: Sequence[bytes]) -> None:
        rng = random.Random(seed)
        self._seed, self._conversation, self._others = seed, conversation, others
        self.turn = rng.randrange(len(conversation.turns))
        self._cuts = rng.random() < 0.1
        count = rng.choice((1, 1, 1, 2, 3, 5))
        self._names = [] if self._cuts else rng.choices(list(OPERATIONS), k=count)
        self._ending = rng.choice(ENDINGS) if self._cuts or rng.random() < 0.2 else ""
        self._is_early = rng.random() < 0.05
        self._pieces = rng.choice((_whole, _whole, _single_bytes, _random_pieces))
        self._loses_vital = False

    def __str__(self) -> str:
        what = [*(["cut"] if self._cuts else self._names), self._ending, "early" * self._is_early]
        return f"turn {self.turn}: {' '.join(filter(None, what))}, {self._pieces.__name__[1:]}"

    @property
    def is_fatal(self) -> bool:
        """Return whether the first attempt could not pass, as it was played."""
        return self._loses_vital and self.turn < self._conversation.first

    def is_early(self, turn: int) -> bool:
        """Return whether this turn is sent before the client's request."""
        return self._is_early and turn == self.turn

    def ending(self, turn: int) -> str:
        """Return how the connection ends after this turn; empty if it goes on."""
        return self._ending if turn == self.turn else ""

    def apply(self, turn: int, messages: Sequence[bytes]) -> list[bytes]:
        """Return the pieces to send in this turn."""
        rng = random.Random(f"{self._seed} {turn}")
        changed = list(messages)
        if turn == self.turn and self._cuts:
            changed = self._cut(rng, changed)
        elif turn == self.turn:
            for name in self._names:
                changed = [message or b"?" for message in changed or [b"?"]]
                OPERATIONS[name](rng, changed, rng.randrange(len(changed)), self._others)
            count = self._conversation.is_vital
            lost = sum(map(count, messages)) - sum(map(count, changed))
            self._loses_vital = self._names == ["drop"] and lost > 0 and not self._is_early
        return self._pieces(rng, b"".join(changed)[:MAX_BYTES])

    def _cut(self, rng: random.Random, messages: Messages) -> Messages:
        vital = [at for at, one in enumerate(messages) if self._conversation.is_vital(one)]
        data = b"".join(messages)
        needed = sum(map(len, messages[: vital[-1] + 1])) if vital else 0
        cut = rng.randrange(len(data))
        self._loses_vital = cut < needed
        return [data[:cut]]


def _whole(_: random.Random, data: bytes) -> list[bytes]:
    return [data]


def _single_bytes(_: random.Random, data: bytes) -> list[bytes]:
    return [bytes([byte]) for byte in data[:1000]] + [data[1000:]]


def _random_pieces(rng: random.Random, data: bytes) -> list[bytes]:
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randrange(1, 8)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
